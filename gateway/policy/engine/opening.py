"""From the two files to an engine: read, refused or compiled; what the compiler does not know runs on pycasbin."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import datetime

from gateway.policy.engine.compiled import CompiledEngine
from gateway.policy.engine.conditions import Conditions
from gateway.policy.engine.definition import Effect, definition
from gateway.policy.engine.expression import Expressions
from gateway.policy.engine.faults import MODEL, POLICY, Beyond, Fault, Unfit
from gateway.policy.engine.functions import Functions
from gateway.policy.engine.matcher import Plan, Planner
from gateway.policy.engine.order import ranked
from gateway.policy.engine.parts import Part
from gateway.policy.engine.roles import MAX_LINKS, RoleLinks
from gateway.policy.engine.rules import MOST_FAULTS, Columns, Rows, decoded, misfit, rows
from gateway.policy.engine.spelling import Unreadable, escaped, evaluated, parsed
from gateway.policy.engine.stock import StockEngine
from gateway.policy.engine.verdict import Engine
from gateway.policy.engine.vetting import vet

COMPILED, PYCASBIN = "compiled", "pycasbin"


class Policy:
    """A compiled engine with what it was made of, so that a rule or a link can be changed.

    Promises: after `add` and `remove` it decides as one made from the changed file would; a change that a load would refuse raises
    Unfit and changes nothing. A rule's change touches that rule alone; a link's lets go what was remembered of its kind.
    """

    def __init__(
        self, model: str, policy: str, suffix: str = "", now: Callable[[], datetime] | None = None
    ) -> None:
        """Raises Unfit for what is refused, Beyond for what pycasbin alone can evaluate."""
        self._read(model, policy, suffix, now)
        # After all that reading needed was let go, which passes over most of memory once more.
        self.engine.warm()

    def _read(self, model: str, policy: str, suffix: str, now: Callable[[], datetime] | None) -> None:
        self.model = definition(model, suffix)
        read = rows(policy, self.model)
        self._functions = Functions(now)
        self._roles = {
            name: RoleLinks(read.by_kind[name], domains=width == 3)
            for name, width in self.model.roles.items()
        }
        request = {f"r{suffix}_{name}": at for at, name in enumerate(self.model.request)}
        self._rule = {f"p{suffix}_{name}": at for at, name in enumerate(self.model.rule)}
        self._names = {*request, *self._rule}
        self._conditions = Conditions(
            Expressions(
                request=request,
                rule=self._rule,
                roles=self._roles,
                functions=self._functions,
                conditions=None,
            )
        )
        expressions = Expressions(
            request=request,
            rule=self._rule,
            roles=self._roles,
            functions=self._functions,
            conditions=self._conditions.ready,
        )
        planner = Planner(expressions, self._roles, self._functions)
        self._line = self.model.lines["m" + suffix]
        tree = self._matcher()
        beyond: Beyond | None = None
        whole: Part | None = None
        plan: Plan | None = None
        try:
            whole = expressions.part(tree)
            plan = planner.plan(tree)
        except Unreadable as unreadable:
            raise Unfit([Fault(MODEL, self._line, unreadable.why, {"part": unreadable.part})]) from None
        except Beyond as found:
            beyond = found
        self._tries = whole.tries if whole is not None else self._vetted(tree, MODEL, self._line)
        self._evals = whole.evals if whole is not None else self._evaluated()
        self._check_deep()
        found_beyond = self._check_rows(read)
        own = read.by_kind[self.model.rule_kind]
        alone = plan is not None and plan.alone and found_beyond is None
        self._without_rules = alone and self.model.effect is not Effect.DENY_OVERRIDE
        if not own and not self._without_rules:
            raise Unfit([Fault(POLICY, 1, "engine.no-rules", {})])
        if beyond is not None or found_beyond is not None or plan is None:
            raise beyond or found_beyond or Beyond("")
        self._links = read.by_kind
        self._plan = plan
        order = ranked(self.model, read.by_kind.get("g", []))
        self.engine = CompiledEngine(self.model, plan, self._conditions, self._functions, order)
        self.engine.fill(own)

    def _matcher(self) -> ast.expr:
        text = self.model.matcher
        try:
            tree = parsed(text)
        except Unreadable as unreadable:
            raise Unfit([Fault(MODEL, self._line, unreadable.why, {"part": unreadable.part})]) from None
        # pycasbin finds `eval(` by its own search of the text: with a blank it would be an unknown function, or column.
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "eval"
        ]
        named = evaluated(escaped(text))
        if len(calls) != len(named) or not set(named) <= self._rule.keys():
            raise Unfit([Fault(MODEL, self._line, "engine.eval", {"part": text[:60]})])
        return tree

    def _evaluated(self) -> frozenset[int]:
        return frozenset(self._rule[name] for name in evaluated(escaped(self.model.matcher)))

    def _vetted(self, tree: ast.expr, file: str, line: int) -> frozenset[tuple[str, int]]:
        try:
            return vet(tree, self._rule, self._names, self._roles, self._functions)
        except Unreadable as unreadable:
            raise Unfit([Fault(file, line, unreadable.why, {"part": unreadable.part})]) from None

    def _check_deep(self, kind: str = "") -> None:
        for name, links in self._roles.items():
            far = links.beyond() if kind in ("", name) else None
            if far is not None:
                params: dict[str, str | int] = {"kind": name, "name": far[0][:60], "role": far[1][:60]}
                raise Unfit([Fault(POLICY, 1, "engine.too-far", {**params, "most": MAX_LINKS})])

    def _check_rows(self, read: Rows) -> Beyond | None:
        kind = self.model.rule_kind
        faults: list[Fault] = []
        beyond: Beyond | None = None
        if not self._tries and not self._evals:
            return None
        for row, line in zip(read.by_kind[kind], read.lines[kind], strict=True):
            try:
                self._check_row(row)
            except Unreadable as unreadable:
                faults.append(Fault(POLICY, line, unreadable.why, {"part": unreadable.part}))
                if len(faults) >= MOST_FAULTS:
                    break
            except Beyond as found:
                beyond = found
                self._check_beyond(row, line)
        if faults:
            raise Unfit(faults)
        return beyond

    def _check_row(self, row: Columns) -> None:
        tries = self._tries
        for column in self._evals:
            condition = self._conditions.of(row[column])
            if condition.tries:
                tries = tries | condition.tries
        for name, column in tries:
            self._functions.refuse(name, row[column])

    def _check_beyond(self, row: Columns, line: int) -> None:
        for column in self._evals:
            for name, other in self._vetted(parsed(row[column]), POLICY, line):
                self._functions.refuse(name, row[other])

    def add(self, kind: str, row: Columns) -> None:
        """Adds a row as if it stood at the end of the file. Raises Unfit."""
        self._fit(kind, row)
        if kind == self.model.rule_kind:
            self.engine.put(row)
        elif kind in self._roles:
            self._links[kind].append(row)
            self._roles[kind].add(row)
            try:
                self._check_deep(kind)
                self._reorder(kind)
            except Unfit:
                self._links[kind].pop()
                self._roles[kind].remove(row)
                raise

    def remove(self, kind: str, row: Columns) -> None:
        """Takes the first row that reads so out of the file. Raises Unfit, and KeyError or ValueError where there is none."""
        if kind == self.model.rule_kind:
            if len(self.engine) == 1 and not self._without_rules:
                raise Unfit([Fault(POLICY, 1, "engine.no-rules", {})])
            self.engine.take(row)
        else:
            self._links[kind].remove(row)
            self._roles[kind].remove(row)
            self._reorder(kind)

    def replace(self, row: Columns, other: Columns) -> None:
        """Writes one rule in the place of another. Raises Unfit, and KeyError where the rule is not there."""
        self._fit(self.model.rule_kind, other)
        self.engine.put(other, self.engine.take(row))

    def _reorder(self, kind: str) -> None:
        """By subject priority a link orders all the rules anew."""
        if kind == "g" and self.model.effect is Effect.SUBJECT_PRIORITY:
            order = ranked(self.model, self._links["g"])
            made = CompiledEngine(self.model, self._plan, self._conditions, self._functions, order)
            made.fill(self.engine.rows())
            self.engine = made

    def _fit(self, kind: str, row: Columns) -> None:
        fault = misfit(self.model, kind, row)
        if fault is not None:
            raise Unfit([fault])
        if kind == self.model.rule_kind:
            try:
                self._check_row(row)
            except (Unreadable, Beyond) as error:
                key = error.why if isinstance(error, Unreadable) else "engine.beyond-now"
                raise Unfit([Fault(POLICY, 1, key, {"part": error.part})]) from None


def open_engine(
    model: bytes, policy: bytes, *, engine: str = COMPILED, suffix: str = ""
) -> tuple[Engine, str]:
    """Gives an engine over the two files, and what of them made it pycasbin (empty where nothing did).

    engine: COMPILED, or PYCASBIN to have pycasbin itself decide. Raises Unfit where the files are refused, on either engine.
    """
    model_text, policy_text = decoded(model, MODEL), decoded(policy, POLICY)
    part = ""
    try:
        made = Policy(model_text, policy_text, suffix)
        if engine == COMPILED:
            return made.engine, ""
    except Beyond as beyond:
        part = beyond.part
    try:
        return StockEngine(model_text, policy_text, suffix), part
    except Exception:  # noqa: BLE001 - it read the files otherwise than we did: nothing is decided by them
        raise Unfit([Fault(MODEL, 1, "engine.pycasbin-refuses", {})]) from None
