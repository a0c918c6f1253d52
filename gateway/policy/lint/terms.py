"""Beside the request path: whether a condition can be true, and whether one being true makes another so.

Every answer is one-sided: "never" and "always" are proven, and whatever is not understood is taken for possible. A condition becomes the
list of its cases (each a row of comparisons that must all hold), and a case falls when two of its comparisons cannot hold together.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from gateway.policy.condition import casbin_spelling
from gateway.policy.lint.values import Bound, Literal, can_hold, holds

MAX_CASES = 64
"""A condition with more is taken for one that may be true or false."""
_NAMES: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_OPPOSITE = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
    "in": "not in",
    "not in": "in",
}
_FLIPPED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
World = Mapping[str, Sequence[Literal]]
"""All values that a name can have, for names of which that is known (`r.env.hour`)."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two names compared, or what is in a set: only known to be the same question as another one, or its opposite."""

    asked: tuple[str, str, str]
    so: bool


Case = tuple[Bound | Pair, ...]
Cases = tuple[Case, ...]
_ALWAYS: Cases = ((),)


class _TooMany(Exception):
    """More cases than are looked at."""


@dataclass(frozen=True, slots=True)
class Term:
    """A condition's cases. true: those in which it is true; false: in which it is false. None: too many to be looked at."""

    true: Cases | None
    false: Cases | None


def term_of(text: str) -> Term:
    """Gives the cases of a condition that was accepted before, or of several joined by `and`."""
    tree = ast.parse(casbin_spelling(text).strip(), mode="eval").body
    return Term(_bounded(tree, wanted=True), _bounded(tree, wanted=False))


def never(term: Term, world: World) -> bool:
    """True when the condition is true for no record, party and time. It may still fail on some, which denies."""
    return term.true is not None and not any(_possible(case, world) for case in term.true)


def implies(one: Term, other: Term, world: World) -> bool:
    """True when wherever `one` is true, `other` is true or fails."""
    if one.true is None or other.false is None or len(one.true) * len(other.false) > MAX_CASES:
        return False
    return not any(_possible(mine + theirs, world) for mine in one.true for theirs in other.false)


def _bounded(tree: ast.expr, *, wanted: bool) -> Cases | None:
    try:
        return _cases(tree, wanted)
    except _TooMany:
        return None


def _cases(node: ast.expr, wanted: bool) -> Cases:
    """The cases in which a truth comes out as wanted. Where a part fails, it comes out as neither."""
    match node:
        case ast.Constant(value=value):
            return _ALWAYS if value is wanted else ()
        case ast.UnaryOp(operand=operand):
            return _cases(operand, not wanted)
        case ast.BoolOp(op=op, values=values):
            parts = [_cases(value, wanted) for value in values]
            return _every(parts) if isinstance(op, ast.And) is wanted else _some(parts)
        case ast.Compare(left=left, ops=ops, comparators=others):
            pairs = zip([left, *others], ops, others, strict=False)
            parts = [_compared(a, _NAMES[type(op)], b, wanted) for a, op, b in pairs]
            return _every(parts) if wanted else _some(parts)
    return _ALWAYS  # nothing that the language has: anything may come out


def _every(parts: Sequence[Cases]) -> Cases:
    size = 1
    for part in parts:
        size *= len(part)
    if size > MAX_CASES:
        raise _TooMany
    return tuple(tuple(atom for case in chosen for atom in case) for chosen in product(*parts))


def _some(parts: Sequence[Cases]) -> Cases:
    if sum(map(len, parts)) > MAX_CASES:
        raise _TooMany
    return tuple(case for part in parts for case in part)


def _compared(left: ast.expr, op: str, right: ast.expr, wanted: bool) -> Cases:
    """One comparison. Its opposite holds wherever it is false, since what has no order fails rather than being false."""
    op = op if wanted else _OPPOSITE[op]
    if op in ("in", "not in"):
        if not isinstance(right, ast.List | ast.Tuple):
            return ((Pair((ast.unparse(left), "in", ast.unparse(right)), op == "in"),),)
        members = tuple(_literal(element) for element in right.elts)
        return _bound(left, Bound("", "==" if op == "in" else "!=", members))
    if isinstance(right, ast.Constant):
        return _bound(left, Bound("", op, (_literal(right),)))
    if isinstance(left, ast.Constant):
        return _bound(right, Bound("", _FLIPPED[op], (_literal(left),)))
    one, other = ast.unparse(left), ast.unparse(right)
    if one == other:
        return _ALWAYS if op in ("==", "<=", ">=") else ()
    if one > other:
        one, other, op = other, one, _FLIPPED[op]
    # Each order beside its opposite is one question: `a >= b` is `a < b` answered no.
    positive = {"==": "==", "!=": "==", "<": "<", ">=": "<", "<=": "<=", ">": "<="}[op]
    return ((Pair((one, positive, other), op == positive),),)


def _bound(node: ast.expr, bound: Bound) -> Cases:
    if isinstance(node, ast.Constant):
        return _ALWAYS if holds(_literal(node), bound) else ()
    return ((Bound(ast.unparse(node), bound.op, bound.values),),)


def _literal(node: ast.expr) -> Literal:
    assert isinstance(node, ast.Constant)  # noqa: S101 - the language has no other literal
    value = node.value
    assert value is None or isinstance(value, bool | int | str)  # noqa: S101 - the same
    return value


def _possible(case: Case, world: World) -> bool:
    """False when no values of the names make all comparisons of the case hold."""
    by_name: dict[str, list[Bound]] = {}
    answers: dict[tuple[str, str, str], bool] = {}
    for atom in case:
        if isinstance(atom, Pair):
            if answers.setdefault(atom.asked, atom.so) is not atom.so:
                return False
        else:
            by_name.setdefault(atom.name, []).append(atom)
    for bound in _units(case):
        by_name.setdefault(bound.name, []).append(bound)
    return all(can_hold(world.get(name), bounds) for name, bounds in by_name.items())


def _units(case: Case) -> Iterable[Bound]:
    """`r.dom` is the record's unit, `-` where it has none: what one is equal to, the other is too."""
    for atom in case:
        if isinstance(atom, Bound) and atom.op == "==":
            if atom.name == "r.rec.unit":
                yield Bound("r.dom", "==", tuple("-" if v is None else v for v in atom.values))
            elif atom.name == "r.dom":
                yield Bound("r.rec.unit", "==", (*atom.values, *((None,) if "-" in atom.values else ())))
