"""The word `Filter`: which records, said over fields; each upstream adapter renders it in its own language.

Compares strings by code point, numbers by value; a field that is absent or null matches nothing but `Absent`.
The policy room makes one of a decision (`Within`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gateway.words.decision import MAX_FACT_TEXT
from gateway.words.json import Json, Pattern

Scalar = str | int | bool


@dataclass(frozen=True, slots=True)
class And:
    """True when every part is; of nothing: true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True when any part is; of nothing: false."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when the part is false. Two-valued: what an absent field makes false, Not makes true."""

    part: Filter


@dataclass(frozen=True, slots=True)
class Eq:
    """The field equals the value, type included."""

    field: Pattern
    value: Scalar = dataclasses.field(repr=False)
    kind: type = dataclasses.field(
        init=False, repr=False
    )  # True and 1 are equal, and these two words are not

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", type(self.value))


@dataclass(frozen=True, slots=True)
class In:
    """The field equals one of the values, type included."""

    field: Pattern
    values: tuple[Scalar, ...] = dataclasses.field(repr=False)
    kinds: tuple[type, ...] = dataclasses.field(init=False, repr=False)  # as above

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(map(type, self.values)))


@dataclass(frozen=True, slots=True)
class Compare:
    """The field stands in that order to the value; `op` is lt, le, gt or ge."""

    field: Pattern
    op: str
    value: str | int = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class Prefix:
    """The field is a string that begins with the value."""

    field: Pattern
    value: str = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class Contains:
    """The field is a string that holds the value somewhere, or an array that has it as an element."""

    field: Pattern
    value: str = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class Absent:
    """The field is missing or null."""

    field: Pattern


@dataclass(frozen=True, slots=True)
class Text:
    """The field is a string that can be a fact: of at most `MAX_FACT_TEXT` characters."""

    field: Pattern


Leaf = Eq | In | Compare | Prefix | Contains | Absent | Text
Filter = And | Or | Not | Leaf

EVERYTHING = And(())
NOTHING = Or(())


@dataclass(frozen=True, slots=True)
class Within:
    """Which records a question could be allowed on. Promises: a record that the filter leaves out is denied.

    exact: and one that it takes is allowed, whatever it holds; so that the number of those is known without a look at each.
    """

    filter: Filter = EVERYTHING
    exact: bool = False


UNKNOWN = Within()
"""Nothing is known: each record is to be decided on."""

_ORDER: Mapping[str, Callable[[str | int, str | int], bool]] = {
    "lt": lambda a, b: a < b,  # type: ignore[operator]  # both sides have one type: checked before the call
    "le": lambda a, b: a <= b,  # type: ignore[operator]  # as above
    "gt": lambda a, b: a > b,  # type: ignore[operator]  # as above
    "ge": lambda a, b: a >= b,  # type: ignore[operator]  # as above
}


def fields_of(what: Filter) -> frozenset[Pattern]:
    """Gives every field that the filter looks at: each is a disclosure."""
    match what:
        case And(parts) | Or(parts):
            return frozenset[Pattern]().union(*(fields_of(p) for p in parts))
        case Not(part):
            return fields_of(part)
        case _:
            return frozenset({what.field})


def both(parts: Iterable[Filter]) -> Filter:
    """Gives the shortest `And` of the parts: none that is always true or stands twice, NOTHING where one is."""
    flat: dict[Filter, None] = {}
    for part in parts:
        flat |= dict.fromkeys(part.parts if isinstance(part, And) else (part,))
    if NOTHING in flat:
        return NOTHING
    return next(iter(flat)) if len(flat) == 1 else And(tuple(flat))


def either(parts: Iterable[Filter]) -> Filter:
    """Gives the shortest `Or` of the parts: none that is never true or stands twice, EVERYTHING where one is."""
    flat: dict[Filter, None] = {}
    for part in parts:
        flat |= dict.fromkeys(part.parts if isinstance(part, Or) else (part,))
    if EVERYTHING in flat:
        return EVERYTHING
    return next(iter(flat)) if len(flat) == 1 else Or(tuple(flat))


def negated(part: Filter) -> Filter:
    """Gives the opposite, without a `Not` in a `Not`."""
    if isinstance(part, Not):
        return part.part
    if part in (EVERYTHING, NOTHING):
        return NOTHING if part == EVERYTHING else EVERYTHING
    return Not(part)


def weight(what: Filter) -> int:
    """Gives how many comparisons it makes: what it costs to say and to ask."""
    match what:
        case And(parts) | Or(parts):
            return 1 + sum(map(weight, parts))
        case Not(part):
            return 1 + weight(part)
        case In(_, values):
            return 1 + len(values)
    return 1


def holds(what: Filter, value_of: Callable[[Pattern], Json]) -> bool:
    """Evaluates the filter on one record, whose field values `value_of` gives (None for absent)."""
    match what:
        case And(parts):
            return all(holds(p, value_of) for p in parts)
        case Or(parts):
            return any(holds(p, value_of) for p in parts)
        case Not(part):
            return not holds(part, value_of)
        case Eq(name, value):
            return _same(value_of(name), value)
        case In(name, values):
            return any(_same(value_of(name), v) for v in values)
        case Compare(name, op, value):
            have = value_of(name)
            return type(have) is type(value) and _ORDER[op](have, value)
        case Prefix(name, value):
            have = value_of(name)
            return isinstance(have, str) and have.startswith(value)
        case Contains(name, value):
            have = value_of(name)
            return isinstance(have, str | list) and value in have
        case Absent(name):
            return value_of(name) is None
        case Text(name):
            have = value_of(name)
            return isinstance(have, str) and len(have) <= MAX_FACT_TEXT


def _same(have: Json, value: Scalar) -> bool:
    return type(have) is type(value) and have == value
