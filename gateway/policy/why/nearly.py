"""Beside step 5: which rules one single thing kept from applying, and what that thing is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.policy.bundle import ANY, Line
from gateway.policy.why.explanation import Change, Column, Kind, Near, Said
from gateway.policy.why.otherwise import changes, names, parts, role_unit
from gateway.policy.why.reading import Hearing, holds

MAX_NEAR = 60
_ORDER = (Column.CONDITION, Column.PURPOSE, Column.UNIT, Column.ROLE)


def nearly(hearing: Hearing, lines: Iterable[Line], purposes: frozenset[str]) -> list[Near]:
    """Gives the rules of which exactly one thing failed, those with a condition first, then by column, then in file order.

    purposes: those that the credential holds. Promises: with that one thing true, the rule applies to this party.
    """
    found = [near for line in lines for near in _near(hearing, line, purposes)]
    found.sort(key=lambda near: (_ORDER.index(near.column), near.rule.line))
    return found[:MAX_NEAR]


def _near(hearing: Hearing, line: Line, purposes: frozenset[str]) -> Iterator[Near]:
    asked = hearing.asked
    role, unit, purpose = (
        line.role in hearing.roles,
        line.unit in (asked.dom, ANY),
        line.pur in (asked.pur, ANY),
    )
    if role and unit and purpose:
        if holds(line.condition, asked) is not True:
            yield from _by_condition(hearing, line)
    elif role and unit:
        if holds(line.condition, hearing.for_purpose(line.pur).asked) is True:
            kind = Kind.PURPOSE if line.pur in purposes else Kind.CREDENTIAL
            change = Change(kind, "purpose", line.pur)
            yield _made(hearing, line, Column.PURPOSE, line.pur, {"r.pur": asked.pur}, change)
    elif purpose and not unit:
        there = hearing.within(line.unit)
        if line.role in there.roles and holds(line.condition, there.asked) is True:
            change = Change(Kind.FACT, "unit", line.unit)
            found: dict[str, Said] = {"r.dom": asked.dom}
            yield _made(hearing, line, Column.UNIT, line.unit, found, change)
    elif purpose and unit and holds(line.condition, asked) is True:
        where = role_unit(asked.dom)
        held: dict[str, Said] = {line.role: _elsewhere(hearing, line.role)}
        change = Change(Kind.ROLE, "role", line.role, hearing.party.id, where)
        yield _made(hearing, line, Column.ROLE, line.role, held, change)


def _by_condition(hearing: Hearing, line: Line) -> Iterator[Near]:
    """One part of the condition that was not true while all others were."""
    failing = [(text, part) for text, part in parts(line.condition) if holds(part, hearing.asked) is not True]
    if len(failing) != 1:
        return
    text, part = failing[0]
    change = next(changes(line.condition, hearing.asked, hearing.party.id, wanted=True), None)
    yield _made(hearing, line, Column.CONDITION, text, names(part, hearing.asked), change)


def _elsewhere(hearing: Hearing, role: str) -> Said:
    """The units in which the party does hold that role."""
    units = hearing.bundle.vocabulary.units
    return tuple(sorted(unit for unit in units if role in hearing.within(unit).roles))


def _made(
    hearing: Hearing, line: Line, column: Column, wanted: str, found: dict[str, Said], change: Change | None
) -> Near:
    return Near(hearing.party.id, line.rule, line.allows, column, wanted, found, change)
