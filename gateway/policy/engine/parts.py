"""Parts of expressions: closures, what they need so as not to fail, and how parts are joined to larger ones."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.policy.engine.faults import Beyond
from gateway.policy.engine.operations import BINARY, EQUAL, ORDER, UNARY
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


def constant(node: ast.Constant) -> Part:
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


def made_of(parts: Sequence[Part], run: Run, needs: Needs | None, kind: str | None = None) -> Part:
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
            return made_of(parts, lambda r, p, k: one(r, p, k) and two(r, p, k), needs, kind)
        return made_of(parts, lambda r, p, k: one(r, p, k) or two(r, p, k), needs, kind)

    def run(r: Sequence[Any], p: Sequence[str], k: Sequence[Any]) -> Any:
        value = conjunction
        for test in runs:
            value = test(r, p, k)
            if bool(value) is not conjunction:
                break
        return value

    return made_of(parts, run, needs, kind)


def negated(part: Part) -> Part:
    run = part.run
    return made_of([part], lambda r, p, k: not run(r, p, k), part.needs, TRUTH)


def signed(operate: Callable[[Any], Any], part: Part) -> Part:
    run = part.run
    needs = need_of(part, NUMBER) if operate is not UNARY[ast.Invert] else None
    return made_of(
        [part], lambda r, p, k: operate(run(r, p, k)), needs, FIGURE if needs is not None else None
    )


def worked_out(op: type[ast.operator], left: Part, right: Part) -> Part:
    operate, one, two = BINARY[op], left.run, right.run
    needs: Needs | None = None
    if op in (
        ast.Add,
        ast.Sub,
    ):  # of two numbers no failure, and no growth to speak of; of others there may be
        needs = with_needs(need_of(left, NUMBER), need_of(right, NUMBER))
    kind = FIGURE if needs is not None else None
    return made_of([left, right], lambda r, p, k: operate(one(r, p, k), two(r, p, k)), needs, kind)


def chosen(test: Part, body: Part, other: Part) -> Part:
    asked, yes, no = test.run, body.run, other.run
    parts = [test, body, other]
    kind = body.kind if body.kind == other.kind else None
    return made_of(
        parts, lambda r, p, k: yes(r, p, k) if asked(r, p, k) else no(r, p, k), _needs(parts), kind
    )


def listed(parts: list[Part], is_tuple: bool) -> Part:
    runs = tuple(part.run for part in parts)
    if is_tuple:
        return made_of(parts, lambda r, p, k: tuple([run(r, p, k) for run in runs]), _needs(parts), "tuple")
    return made_of(parts, lambda r, p, k: [run(r, p, k) for run in runs], _needs(parts), "list")


def compared(left: Part, op: ast.cmpop, right: Part) -> Part:
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
        return made_of(parts, lambda r, _p, k: operate(r[at][name], k[slot]), needs, TRUTH)
    if equal is not None:
        return made_of(parts, lambda r, p, k: equal(one(r, p, k), two(r, p, k)), needs, TRUTH)
    order = ORDER.get(type(op))
    if order is not None:
        ordered = _ordered(left, right)
        return made_of(
            parts, lambda r, p, k: order(one(r, p, k), two(r, p, k)), with_needs(needs, ordered), TRUTH
        )
    if isinstance(op, ast.In | ast.NotIn):
        needs = with_needs(needs, _contained(left, right))
        if isinstance(op, ast.In):
            return made_of(parts, lambda r, p, k: one(r, p, k) in two(r, p, k), needs, TRUTH)
        return made_of(parts, lambda r, p, k: one(r, p, k) not in two(r, p, k), needs, TRUTH)
    if right.constant and right.kind in (None, TRUTH):  # None, True, False: one object each, in every reader
        if isinstance(op, ast.Is):
            return made_of(parts, lambda r, p, k: one(r, p, k) is two(r, p, k), needs, TRUTH)
        return made_of(parts, lambda r, p, k: one(r, p, k) is not two(r, p, k), needs, TRUTH)
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
