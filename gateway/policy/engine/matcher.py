"""A matcher taken apart: what of it an index can answer, in which branches, and what is asked of each rule that is left.

pycasbin asks the parts of `a && b && c` of every rule, from left to right, and stops at the first that is false. A part that could
fail keeps its place: what stands behind it is asked after it. Parts that cannot fail may be asked in any order, and those that compare
a column are looked up.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from gateway.policy.engine.expression import Expressions
from gateway.policy.engine.functions import Fits, Functions
from gateway.policy.engine.parts import TRUTH, Needs, Part, Path
from gateway.policy.engine.roles import RoleLinks

MAX_BRANCHES = 8

Values = Callable[[Sequence[Any]], Collection[Any]]


@dataclass(slots=True)
class Conjunct:
    """One part of a branch, and how it is answered: by one value of a column, by several, by patterns, once, or rule by rule."""

    part: Part
    node: ast.expr
    one: tuple[int, Part] | None = None
    many: tuple[int, Values] | None = None
    tried: tuple[int, Fits, Part] | None = None

    @property
    def asked(self) -> bool:
        """It looks at the request alone."""
        return not self.part.columns and not self.part.evals

    @property
    def indexed(self) -> bool:
        """A dictionary answers it."""
        return self.one is not None or self.many is not None or self.tried is not None


@dataclass(slots=True)
class Branch:
    """Parts joined by `and`. rest: what is asked of each rule that the index gives, in the matcher's order."""

    one: list[tuple[int, Part]] = field(default_factory=list)
    many: list[tuple[int, Values]] = field(default_factory=list)
    tried: list[tuple[int, Fits, Part]] = field(default_factory=list)
    asked: list[Part] = field(default_factory=list)
    rest: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """A matcher, ready to be indexed.

    whole:    all of it, for a rule. branches: a rule matches where one of them does. needs: where they do not hold, nothing is looked up.
    early:    conditions of rules stand before parts that are looked up: what a rule needs must be known before it is passed over.
    alone:    it looks at no rule.
    """

    whole: Part
    branches: list[Branch]
    needs: Needs
    early: bool

    @property
    def settled(self) -> frozenset[Path]:
        """Places of the request that roles are looked up by, whatever else is asked."""
        held = [
            values for branch in self.branches for _column, values in branch.many if isinstance(values, Held)
        ]
        return frozenset((values.who,) for values in held if values.who is not None)

    @property
    def alone(self) -> bool:
        """It decides without rules."""
        return not self.whole.columns and not self.whole.evals


class Planner:
    """Takes one matcher apart."""

    def __init__(self, expressions: Expressions, roles: dict[str, RoleLinks], functions: Functions) -> None:
        self._expressions = expressions
        self._roles = roles
        self._functions = functions

    def plan(self, tree: ast.expr) -> Plan:
        """Gives the plan. Raises Unreadable, or Beyond."""
        whole = self._expressions.part(tree)
        conjuncts = [self._conjunct(node) for node in _flat(tree, ast.And)]
        firm = next(
            (
                at
                for at, one in enumerate(conjuncts)
                if one.part.needs is None or not (one.part.kind == TRUTH or one.part.evals)
            ),
            len(conjuncts),
        )
        needs: Needs = frozenset()
        for one in conjuncts[:firm]:
            needs |= one.part.needs or frozenset()
        ways = [self._ways(one) for one in conjuncts[:firm]]
        if _count(ways) > MAX_BRANCHES:
            ways = [[[one]] for one in conjuncts[:firm]]
        after = [one.part for one in conjuncts[firm:]]
        branches = []
        early = False
        for choice in product(*ways):
            parts = [one for way in choice for one in way]
            self._settle_domains(parts)
            branch = Branch(rest=[one.part for one in parts if not one.indexed and not one.asked] + after)
            for one in parts:
                if one.one:
                    branch.one.append(one.one)
                elif one.many:
                    branch.many.append(one.many)
                elif one.tried:
                    branch.tried.append(one.tried)
                elif one.asked:
                    branch.asked.append(one.part)
            evaluating = [at for at, one in enumerate(parts) if one.part.evals]
            moved = [at for at, one in enumerate(parts) if one.indexed or one.asked]
            early = early or bool(evaluating and moved and evaluating[0] < moved[-1])
            branches.append(branch)
        return Plan(whole, branches, needs, early or (len(branches) > 1 and bool(whole.evals)))

    def _ways(self, one: Conjunct) -> list[list[Conjunct]]:
        """The alternatives of a part that is an `or`, where each of them can be looked up or asked once."""
        if (
            one.indexed
            or one.asked
            or not isinstance(one.node, ast.BoolOp)
            or not isinstance(one.node.op, ast.Or)
        ):
            return [[one]]
        ways = [[self._conjunct(node) for node in _flat(way, ast.And)] for way in _flat(one.node, ast.Or)]
        good = all(
            any(part.indexed or part.asked for part in way)
            and all(part.part.kind == TRUTH or part.part.evals for part in way)
            for way in ways
        )
        return ways if good else [[one]]

    def _conjunct(self, node: ast.expr) -> Conjunct:
        made = Conjunct(self._expressions.part(node), node)
        if made.part.needs is None:
            return made
        match node:
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                made.one = self._equal(left, right)
            case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Tuple() | ast.List() as right]):
                column = self._expressions.part(left).column
                among = [self._expressions.part(element) for element in right.elts]
                if column is not None and not any(part.columns or part.evals for part in among):
                    made.many = column, _one_of([part.run for part in among], [])
            case ast.Call(func=ast.Name(id=name), args=[value, pattern]) if (
                name not in self._roles and name != "eval"
            ):
                parts = self._expressions.part(value), self._expressions.part(pattern)
                if parts[1].column is not None and not parts[0].columns and not parts[0].evals:
                    made.tried = parts[1].column, self._functions.named(name), parts[0]
            case ast.Call() | ast.BoolOp(op=ast.Or()):
                made.many = self._among(node)
        return made

    def _equal(self, left: ast.expr, right: ast.expr) -> tuple[int, Part] | None:
        one, other = self._expressions.part(left), self._expressions.part(right)
        for column, value in ((one, other), (other, one)):
            if column.column is not None and not value.columns and not value.evals:
                return column.column, value
        return None

    def _among(self, node: ast.expr) -> tuple[int, Values] | None:
        """A column that is one of several values, or a role that is held: `(p.dom == r.dom || p.dom == "*")`, `g(r.sub, p.sub)`."""
        columns: set[int] = set()
        values: list[Any] = []
        held: list[Held] = []
        for way in _flat(node, ast.Or):
            match way:
                case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                    equal = self._equal(left, right)
                    if equal is None:
                        return None
                    columns.add(equal[0])
                    values.append(equal[1].run)
                case ast.Call(func=ast.Name(id=name), args=[who, role, *domain]) if name in self._roles:
                    parts = [self._expressions.part(argument) for argument in (who, role, *domain)]
                    at = parts[1].column
                    if at is None or any(part.columns or part.evals for part in (parts[0], *parts[2:])):
                        return None
                    columns.add(at)
                    held.append(Held(self._roles[name], parts[0], parts[2] if domain else None))
                case _:
                    return None
        return (columns.pop(), _one_of(values, held)) if len(columns) == 1 else None

    def _settle_domains(self, parts: list[Conjunct]) -> None:
        """`g(r.sub, p.sub, p.dom)` beside `r.dom == p.dom` asks within the request's domain: no other row is left."""
        bound = {one.one[0]: one.one[1] for one in parts if one.one}
        for one in parts:
            match one.node:
                case ast.Call(func=ast.Name(id=name), args=[who, role, domain]) if (
                    name in self._roles and not one.many
                ):
                    asks, column, within = (
                        self._expressions.part(argument) for argument in (who, role, domain)
                    )
                    value = bound.get(within.column) if within.column is not None else None
                    if (
                        column.column is not None
                        and value is not None
                        and not asks.columns
                        and not asks.evals
                    ):
                        one.many = column.column, Held(self._roles[name], asks, value)


class Held:
    """The roles that somebody holds. who, domain: places of the request, where they are nothing more than that."""

    def __init__(self, links: RoleLinks, who: Part, domain: Part | None) -> None:
        self.links = links
        self.who = _place(who)
        self.domain = None if domain is None else _place(domain)
        self._who = who.run
        self._domain = None if domain is None else domain.run
        if domain is not None and self.domain is None:
            self.who = None

    def stand_in(self, request: list[Any]) -> None:
        """Writes somebody into the request who holds a role, where somebody does and the request says it plainly."""
        link = self.links.some()
        if link is not None and self.who is not None:
            request[self.who] = link[0]
            if self.domain is not None:
                request[self.domain] = link[1]

    def __call__(self, request: Sequence[Any]) -> Collection[Any]:
        """Gives them. Raises TypeError where a list or an object stands for a name."""
        domain = "" if self._domain is None else str(self._domain(request, (), ()))
        return self.links.reached(self._who(request, (), ()), domain)


def _place(part: Part) -> int | None:
    return part.path[0] if part.path is not None and len(part.path) == 1 else None  # type: ignore[return-value]


def _one_of(values: list[Any], held: list[Held]) -> Values:
    """Gives what a column may hold for one request."""
    if not values and len(held) == 1:
        return held[0]
    if not held:
        runs = tuple(values)
        return lambda r: [run(r, (), ()) for run in runs]

    def found(r: Sequence[Any]) -> Collection[Any]:
        names = {run(r, (), ()) for run in values}
        for one in held:
            names.update(one(r))
        return names

    return found


def _flat(node: ast.expr, op: type[ast.boolop]) -> list[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, op):
        return [part for value in node.values for part in _flat(value, op)]
    return [node]


def _count(ways: list[list[list[Conjunct]]]) -> int:
    total = 1
    for one in ways:
        total *= len(one)
    return total
