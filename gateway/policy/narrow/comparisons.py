"""Step 5 for a list: one comparison's outcomes. What Python's `==`, `<` and `in` give on each value that a record may hold in a field.

A field's value becomes a fact or is none (`words.decision.as_fact`, and the type that the catalogue says it holds): what is none fails.
`True == 1` for Casbin as for Python, and for no filter: so a number is asked for in both its types.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from gateway.policy.facts import NOWHERE
from gateway.policy.narrow.outcomes import (
    ANY,
    FAILS,
    FALLS,
    HOLDS,
    NONE,
    UNKNOWN,
    Over,
    Three,
    join,
    meet,
    opposite,
    without,
)
from gateway.words.decision import MAX_FACT_INTEGER, MAX_FACT_TEXT
from gateway.words.filter import Absent, Compare, Contains, Filter, In, Not, Scalar, Text, both, either
from gateway.words.json import Pattern
from gateway.words.resource import FieldSpec, Holds

_ORDER = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}
_OTHER = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}
FLIPPED: Mapping[str, str] = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
"""What stands between `b` and `a` where this stands between `a` and `b`."""
COMPARES: Mapping[str, Callable[[Any, Any], Any]] = {"eq": operator.eq, "ne": operator.ne, **_ORDER}

Literal = None | bool | int | str


@dataclass(frozen=True, slots=True)
class Known:
    """A value that is the same for every record: a literal, what the party is, the time, a fact that the resource has not."""

    value: Literal | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A fact that stands in a field of the record."""

    spec: FieldSpec


@dataclass(frozen=True, slots=True)
class Unit:
    """The record's unit, where it is not a known one: a text, NOWHERE for a record without one."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Hidden:
    """A value that no filter may name or can say."""


Operand = Known | Held | Unit | Hidden


def compared(op: str, one: Operand, other: Operand) -> Three:
    """Gives `one op other`; op: eq, ne, lt, le, gt, ge."""
    match one, other:
        case Known(a), Known(b):
            return _settled(lambda: COMPARES[op](a, b))
        case Known(), _:
            return compared(FLIPPED[op], other, one)
        case (Held() | Unit(), Known(value)) if _sayable(value):
            if op == "ne":
                return opposite(compared("eq", one, other))
            if isinstance(one, Unit):
                return _unit(op, one.pattern, value)
            return _equal(one.spec, (value,)) if op == "eq" else _ordered(op, one.spec, value)
    return UNKNOWN


def among(one: Operand, literals: tuple[Literal, ...]) -> Three:
    """Gives `one in literals`."""
    if not all(map(_sayable, literals)):
        return UNKNOWN
    match one:
        case Known(value):
            return _settled(lambda: value in literals)
        case Held(spec):
            return _equal(spec, literals)
        case Unit(pattern):
            made = [_unit("eq", pattern, literal).true for literal in literals]
            return _total(join(*made))
    return UNKNOWN


def member(one: Operand, of: Operand) -> Three:
    """Gives `one in of`, a fact that is a set: an absent one is empty, and a text is one member."""
    match one, of:
        case Known(value), Known(members) if isinstance(members, tuple):
            return _settled(lambda: value in members)
        case Known(value), Held(spec) if spec.holds is Holds.TEXTS:
            if not isinstance(value, str):
                return Three(NONE, ANY, ANY)  # members are texts
            if not _sayable(value) or not isinstance(value, str):
                return UNKNOWN
            # What holds no list fails; a text there may hold the value as a part of it.
            has = Contains(spec.pattern, value)
            return Three(Over(has, False), Over(Not(has), False), ANY)
    return UNKNOWN


def _settled(ask: Callable[[], Any]) -> Three:
    try:
        return HOLDS if ask() else FALLS
    except TypeError:
        return FAILS


def _sayable(value: object) -> TypeGuard[Literal]:
    """True for what a filter may compare with: no list, no half of a character, nothing that could not be a fact."""
    if not isinstance(value, str):
        return value is None or (isinstance(value, int) and abs(value) <= MAX_FACT_INTEGER)
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return len(value) <= MAX_FACT_TEXT


def _total(true: Over) -> Three:
    return Three(true, without(true), NONE)


def _fact(spec: FieldSpec) -> Over:
    """Records that hold a fact there, or nothing."""
    if spec.holds is Holds.TEXT:
        return Over(either((Absent(spec.pattern), Text(spec.pattern))), True)
    return ANY  # no filter says of a list or of any value at all whether it is one


def _equal(spec: FieldSpec, values: tuple[Literal, ...]) -> Three:
    asked: dict[tuple[type, Scalar], None] = {}
    for value in values:
        for same in _variants(value, spec.holds):
            asked[type(same), same] = None
    parts = [In(spec.pattern, tuple(value for _, value in asked))] if asked else []
    true = Over(either([*parts, *([Absent(spec.pattern)] if None in values else [])]), True)
    fact = _fact(spec)
    if true == NONE:
        return Three(NONE, fact, without(fact))
    false = meet(fact, without(true)) if fact.exact else Over(without(true).filter, False)
    return Three(true, false, without(fact))


def _variants(value: Literal, holds: Holds) -> tuple[Scalar, ...]:
    """Gives the values of a field that are equal to this one as facts, of those that the field may hold."""
    if isinstance(value, str):
        return () if holds is Holds.TEXTS else (value,)
    if value is None or holds is not Holds.ANY:
        return ()
    return (int(value), bool(value)) if value in (0, 1) else (value,)


def _ordered(op: str, spec: FieldSpec, value: Literal) -> Three:
    """What has no order with the value fails: so do an absent fact, and a text beside a number."""
    if (
        value is None
        or spec.holds is Holds.TEXTS
        or (spec.holds is Holds.TEXT and not isinstance(value, str))
    ):
        return FAILS
    true, false = _standing(op, spec.pattern, value), _standing(_OTHER[op], spec.pattern, value)
    return Three(true, false, without(join(true, false)))


def _standing(op: str, pattern: Pattern, value: bool | int | str) -> Over:
    if isinstance(value, str):
        return Over(both((Compare(pattern, op, value), Text(pattern))), True)
    number = int(value)
    truths = tuple(truth for truth in (False, True) if _ORDER[op](truth, number))
    found = either((Compare(pattern, op, number), *([In(pattern, truths)] if truths else [])))
    edge = _edge(pattern, op)
    return Over(both((found, edge)), True)


def _edge(pattern: Pattern, op: str) -> Filter:
    """Bounds the side that the order leaves open: a number beyond what an entry can hold is no fact. A boolean is within."""
    upwards = op in ("gt", "ge")
    limit = Compare(pattern, *(("le", MAX_FACT_INTEGER) if upwards else ("ge", -MAX_FACT_INTEGER)))
    return either((limit, In(pattern, (False, True))))


def _unit(op: str, pattern: Pattern, value: Literal) -> Three:
    """The unit is always a text: compared with something else it is never equal, and has no order."""
    if not isinstance(value, str):
        return FALLS if op == "eq" else FAILS
    nowhere = [Absent(pattern)] if COMPARES[op](NOWHERE, value) else []
    if op == "eq":
        return _total(Over(either((In(pattern, (value,)), *nowhere)), True))
    return _total(Over(either((Compare(pattern, op, value), *nowhere)), True))
