"""An expression of Casbin's, from its tree to a closure over plain data. No text is ever evaluated.

What a tree may hold is listed; what is not listed is refused, or (where pycasbin has it and it is harmless) left to pycasbin. A
closure gives the value that pycasbin's evaluator would give, or raises where that would raise; which exception is all the same.

Of each part is known, besides, under which conditions on the request it cannot fail (`needs`). Where those hold, the order in which
parts are asked makes no difference, and an index may ask them in its own; where they do not, everything is asked in pycasbin's order.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.policy.engine.faults import Beyond
from gateway.policy.engine.functions import TWO_TEXTS, Functions
from gateway.policy.engine.operations import BINARY, EQUAL, ORDER, UNARY
from gateway.policy.engine.roles import RoleLinks
from gateway.policy.engine.spelling import Unreadable, shown

Run = Callable[[Sequence[Any], Sequence[str], Sequence[Any]], Any]
"""request, row, constants → value."""

ANY, NUMBER, TEXT, SHORT, NAME, ADDRESS, MANY = "any", "number", "text", "short", "name", "address", "many"
"""What a place of the request must hold: something; a number; a text; one that a pattern may be tried on; no object and no list
(it can be a name in a link); an address; a list."""

Path = tuple[int | str, ...]
Need = tuple[Path, str]
Needs = frozenset[Need]
NONE: Needs = frozenset()

# A dict's own methods stand before its keys for pycasbin: `r.sub.items` is never what the request says there.
_METHODS = frozenset(name for name in dir(dict) if not name.startswith("_"))
_NEVER = frozenset({"format", "format_map", "mro", "exec", "tb_frame", "gi_frame", "ag_frame", "cr_frame"})
_HARMLESS = (ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.Dict, ast.Set, ast.Slice, ast.Starred)
_MAKERS = frozenset({"list", "tuple", "dict", "set"})
TRUTH, FIGURE, WORD = "truth", "figure", "word"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an expression, made ready.

    needs:  where they hold it cannot fail; None where nothing can be said. kind: TRUTH, FIGURE or WORD where it is always that.
    path:   the place of the request that it is, if it is one. asks: it looks at the request.
    columns, column: of the row that it looks at; the one that it is, and nothing more. evals: those whose text it evaluates.
    constant, slot: it is the same for all requests and rows; it is that one of a condition's constants.
    tries:  (function, column): patterns that stand in the row.
    """

    run: Run
    needs: Needs | None
    kind: str | None = None
    path: Path | None = None
    columns: frozenset[int] = frozenset()
    asks: bool = False
    evals: frozenset[int] = frozenset()
    constant: bool = False
    column: int | None = None
    slot: int | None = None
    tries: frozenset[tuple[str, int]] = frozenset()


class Expressions:
    """Makes parts of trees, for one model. Raises Unreadable for what is refused, Beyond for what pycasbin alone evaluates."""

    def __init__(
        self,
        *,
        request: Mapping[str, int],
        rule: Mapping[str, int],
        roles: Mapping[str, RoleLinks],
        functions: Functions,
        conditions: Mapping[str, tuple[Any, ...]] | None,
    ) -> None:
        """Takes the names that may stand in a text (`r_sub` → 0), and the rules' own conditions by their text: a closure and its constants first."""
        self._request = request
        self._rule = rule
        self._roles = roles
        self._functions = functions
        self._conditions = conditions

    def part(self, node: ast.expr) -> Part:
        """Gives the part for a tree."""
        match node:
            case ast.Constant():
                return _constant(node)
            case ast.Name(id=name):
                return self._name(name)
            case ast.Attribute(value=value, attr=attr):
                return self._attribute(self.part(value), attr, node)
            case ast.Subscript(value=value, slice=key):
                return self._subscript(self.part(value), self.part(key))
            case ast.BoolOp(op=op, values=values):
                return joined(isinstance(op, ast.And), [self.part(value) for value in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _negated(self.part(operand))
            case ast.UnaryOp(op=op, operand=operand):
                return _signed(UNARY[type(op)], self.part(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                return _worked_out(type(op), self.part(left), self.part(right))
            case ast.Compare(left=left, ops=ops, comparators=others):
                parts = [self.part(one) for one in (left, *others)]
                tests = [
                    _compared(one, op, other) for one, op, other in zip(parts, ops, parts[1:], strict=False)
                ]
                return tests[0] if len(tests) == 1 else joined(True, tests)
            case ast.IfExp(test=test, body=body, orelse=other):
                return _chosen(self.part(test), self.part(body), self.part(other))
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return _listed([self.part(element) for element in elements], isinstance(node, ast.Tuple))
            case ast.Call():
                return self._call(node)
        if isinstance(node, _HARMLESS):
            raise Beyond(shown(node))
        raise Unreadable("engine.not-allowed", shown(node))

    def _name(self, name: str) -> Part:
        if name in self._request:
            at = self._request[name]
            return Part(lambda r, _p, _k: r[at], NONE, path=(at,), asks=True)
        if name in self._rule:
            column = self._rule[name]
            return Part(lambda _r, p, _k: p[column], NONE, WORD, columns=frozenset({column}), column=column)
        if name[:3] in ("__s", "__n") and name[3:].isdigit():  # a constant's place, see conditions.py
            number = int(name[3:])
            kind = WORD if name[2] == "s" else FIGURE
            return Part(lambda _r, _p, k: k[number], NONE, kind, constant=True, slot=number)
        raise Unreadable("engine.name-unknown", name[:60])

    def _attribute(self, of: Part, name: str, node: ast.expr) -> Part:
        if name.startswith(("_", "func_")) or name in _NEVER or name in _METHODS:
            raise Unreadable("engine.attribute", shown(node))
        if of.kind is not None:
            raise Unreadable("engine.attribute-of-text", shown(node))
        run = of.run
        if of.path is None:
            return _all([of], lambda r, p, k: run(r, p, k)[name], None)
        path = (*of.path, name)
        if len(path) == 2:
            at = int(path[0])
            return Part(lambda r, _p, _k: r[at][name], frozenset({(path, ANY)}), path=path, asks=True)
        return Part(lambda r, p, k: run(r, p, k)[name], frozenset({(path, ANY)}), path=path, asks=True)

    @staticmethod
    def _subscript(of: Part, key: Part) -> Part:
        container, at = of.run, key.run
        return _all([of, key], lambda r, p, k: container(r, p, k)[at(r, p, k)], None)

    def _call(self, node: ast.Call) -> Part:
        if not isinstance(node.func, ast.Name):
            raise Unreadable("engine.method", shown(node))
        name = node.func.id
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise Unreadable("engine.not-allowed", shown(node))
        if name == "eval":
            return self._eval(node)
        if name in self._roles:
            if len(node.args) not in (2, 3):
                raise Unreadable("engine.arguments", shown(node))
            return self._linked(self._roles[name], [self.part(argument) for argument in node.args])
        if name in TWO_TEXTS:
            if len(node.args) != 2:
                raise Unreadable("engine.arguments", shown(node))
            return self._matched(name, *(self.part(argument) for argument in node.args))
        if name in _MAKERS:
            raise Beyond(shown(node))
        raise Unreadable("engine.function-unknown", name[:60])

    def _eval(self, node: ast.Call) -> Part:
        match node.args:
            case [ast.Name(id=name)] if name in self._rule and self._conditions is not None:
                column, conditions = self._rule[name], self._conditions
            case _:
                raise Unreadable("engine.eval", shown(node))

        def run(r: Sequence[Any], p: Sequence[str], _k: Sequence[Any]) -> Any:
            condition = conditions[p[column]]
            return condition[0](r, p, condition[1])

        return Part(run, NONE, asks=True, columns=frozenset({column}), evals=frozenset({column}))

    @staticmethod
    def _linked(links: RoleLinks, arguments: list[Part]) -> Part:
        """pycasbin looks both names up in a dict: a list or an object raises. The domain becomes text."""
        held, (one, other) = links.held, (argument.run for argument in arguments[:2])
        needs: Needs | None = NONE
        for argument in arguments[:2]:
            needs = with_needs(needs, need_of(argument, NAME))
        if len(arguments) == 2:
            return _all(arguments, lambda r, p, k: held(one(r, p, k), other(r, p, k), ""), needs, TRUTH)
        domain = arguments[2].run
        needs = with_needs(needs, arguments[2].needs)
        return _all(
            arguments, lambda r, p, k: held(one(r, p, k), other(r, p, k), str(domain(r, p, k))), needs, TRUTH
        )

    def _matched(self, name: str, value: Part, pattern: Part) -> Part:
        fits, one, other = self._functions.named(name), value.run, pattern.run
        wanted = {"keyMatch": TEXT, "ipMatch": ADDRESS}.get(name, SHORT)
        fixed = name != "timeMatch" and (pattern.constant or pattern.column is not None)
        tries = frozenset({(name, pattern.column)}) if fixed and pattern.column is not None else frozenset()
        if fixed and pattern.constant:
            self._functions.refuse(name, other((), (), ()))
        # A pattern of the policy was read at load and cannot fail any more; one of the request can.
        needs = need_of(value, wanted) if fixed else None
        made = _all([value, pattern], lambda r, p, k: fits(one(r, p, k), other(r, p, k)), needs, TRUTH)
        return replace(made, tries=made.tries | tries)


def with_needs(one: Needs | None, other: Needs | None) -> Needs | None:
    """Gives what both need together."""
    return None if one is None or other is None else one | other


def need_of(part: Part, wanted: str) -> Needs | None:
    """Gives what must hold so that the part is of a kind."""
    if part.path is not None:
        return frozenset({(part.path, wanted)})
    known = {WORD: (TEXT, NAME), FIGURE: (NUMBER, NAME), TRUTH: (NUMBER, NAME)}.get(part.kind or "", ())
    if part.kind == WORD and wanted == SHORT and part.columns:
        return part.needs  # a policy's own text; its length is looked at when it is tried
    return part.needs if wanted in known else None


def _constant(node: ast.Constant) -> Part:
    value = node.value
    match value:
        case bool():
            kind: str | None = TRUTH
        case int() | float():
            kind = FIGURE
        case str():
            kind = WORD
        case None:
            kind = None
        case _:
            raise Beyond(shown(node))
    return Part(lambda _r, _p, _k: value, NONE, kind, constant=True)


def _all(parts: Sequence[Part], run: Run, needs: Needs | None, kind: str | None = None) -> Part:
    """A part made of others, which looks at whatever they look at."""
    return Part(
        run,
        needs,
        kind,
        columns=frozenset().union(*(part.columns for part in parts)),
        asks=any(part.asks for part in parts),
        evals=frozenset().union(*(part.evals for part in parts)),
        tries=frozenset().union(*(part.tries for part in parts)),
    )


def _needs(parts: Sequence[Part]) -> Needs | None:
    needs: Needs | None = NONE
    for part in parts:
        needs = with_needs(needs, part.needs)
    return needs


def joined(conjunction: bool, parts: list[Part]) -> Part:
    """Gives the parts joined by `and`, or by `or`: the value is that of the one that settles it, as in Python."""
    runs = tuple(part.run for part in parts)
    needs = _needs(parts)
    kind = TRUTH if all(part.kind == TRUTH for part in parts) else None
    if len(runs) == 2:
        one, two = runs
        if conjunction:
            return _all(parts, lambda r, p, k: one(r, p, k) and two(r, p, k), needs, kind)
        return _all(parts, lambda r, p, k: one(r, p, k) or two(r, p, k), needs, kind)

    def run(r: Sequence[Any], p: Sequence[str], k: Sequence[Any]) -> Any:
        value = conjunction
        for test in runs:
            value = test(r, p, k)
            if bool(value) is not conjunction:
                break
        return value

    return _all(parts, run, needs, kind)


def _negated(part: Part) -> Part:
    run = part.run
    return _all([part], lambda r, p, k: not run(r, p, k), part.needs, TRUTH)


def _signed(operate: Callable[[Any], Any], part: Part) -> Part:
    run = part.run
    needs = need_of(part, NUMBER) if operate is not UNARY[ast.Invert] else None
    return _all([part], lambda r, p, k: operate(run(r, p, k)), needs, FIGURE if needs is not None else None)


def _worked_out(op: type[ast.operator], left: Part, right: Part) -> Part:
    operate, one, two = BINARY[op], left.run, right.run
    needs: Needs | None = None
    if op in (
        ast.Add,
        ast.Sub,
    ):  # of two numbers no failure, and no growth to speak of; of others there may be
        needs = with_needs(need_of(left, NUMBER), need_of(right, NUMBER))
    kind = FIGURE if needs is not None else None
    return _all([left, right], lambda r, p, k: operate(one(r, p, k), two(r, p, k)), needs, kind)


def _chosen(test: Part, body: Part, other: Part) -> Part:
    asked, yes, no = test.run, body.run, other.run
    parts = [test, body, other]
    kind = body.kind if body.kind == other.kind else None
    return _all(parts, lambda r, p, k: yes(r, p, k) if asked(r, p, k) else no(r, p, k), _needs(parts), kind)


def _listed(parts: list[Part], is_tuple: bool) -> Part:
    runs = tuple(part.run for part in parts)
    if is_tuple:
        return _all(parts, lambda r, p, k: tuple([run(r, p, k) for run in runs]), _needs(parts), "tuple")
    return _all(parts, lambda r, p, k: [run(r, p, k) for run in runs], _needs(parts), "list")


def _compared(left: Part, op: ast.cmpop, right: Part) -> Part:
    one, two = left.run, right.run
    parts = [left, right]
    needs = _needs(parts)
    equal = EQUAL.get(type(op))
    operate = equal or ORDER.get(type(op))
    if operate is not None and right.slot is not None and left.path is not None and len(left.path) == 2:
        at, name, slot = (
            int(left.path[0]),
            left.path[1],
            right.slot,
        )  # `r.sub.Age > 18`, which most conditions are made of
        if equal is None:
            needs = with_needs(needs, _ordered(left, right))
        return _all(parts, lambda r, _p, k: operate(r[at][name], k[slot]), needs, TRUTH)
    if equal is not None:
        return _all(parts, lambda r, p, k: equal(one(r, p, k), two(r, p, k)), needs, TRUTH)
    order = ORDER.get(type(op))
    if order is not None:
        ordered = _ordered(left, right)
        return _all(
            parts, lambda r, p, k: order(one(r, p, k), two(r, p, k)), with_needs(needs, ordered), TRUTH
        )
    if isinstance(op, ast.In | ast.NotIn):
        needs = with_needs(needs, _contained(left, right))
        if isinstance(op, ast.In):
            return _all(parts, lambda r, p, k: one(r, p, k) in two(r, p, k), needs, TRUTH)
        return _all(parts, lambda r, p, k: one(r, p, k) not in two(r, p, k), needs, TRUTH)
    if right.constant and right.kind in (None, TRUTH):  # None, True, False: one object each, in every reader
        if isinstance(op, ast.Is):
            return _all(parts, lambda r, p, k: one(r, p, k) is two(r, p, k), needs, TRUTH)
        return _all(parts, lambda r, p, k: one(r, p, k) is not two(r, p, k), needs, TRUTH)
    raise Unreadable("engine.identity")


def _ordered(left: Part, right: Part) -> Needs | None:
    """What makes `<` of the two a comparison of numbers, or of texts."""
    for one, other in ((left, right), (right, left)):
        if one.kind == WORD:
            return need_of(other, TEXT)
        if one.kind in (FIGURE, TRUTH):
            return need_of(other, NUMBER)
    return None


def _contained(left: Part, right: Part) -> Needs | None:
    """What makes `in` a look into a list, or for a text within a text."""
    if right.kind in ("tuple", "list"):
        return NONE
    if right.kind == WORD:
        return need_of(left, TEXT)
    return None if right.path is None else frozenset({(right.path, MANY)})
