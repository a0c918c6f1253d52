"""Step 5 for a list: one prepared question as one filter over the record's fields. Sound always, exact where everything can be said.

A record is allowed where, for every party, some allow of its unit holds, no deny holds, and none of them fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.policy.narrow.outcomes import NONE, Over, join, meet, without
from gateway.policy.narrow.reading import Asker, Reader, fields_of_facts
from gateway.policy.plan import Query, Question, UnitPlan
from gateway.words.filter import UNKNOWN, Absent, Filter, In, Not, Text, Within, both, either, weight
from gateway.words.principal import ANYWHERE
from gateway.words.resource import FieldSpec

MAX_WEIGHT = 400
"""Comparisons in one filter; a longer one is cut to the units alone, and then to nothing."""
MAX_UNITS = 1_000


def within(question: Question, askers: Sequence[Asker], sets: frozenset[str]) -> Within:
    """Gives which records the question could be allowed on. `askers`: one a party, in order. Pure; the time is in `askers`."""
    if question.early is not None:
        return Within(NONE.filter, exact=True)
    if len(question.special) > MAX_UNITS:
        return UNKNOWN
    fields = fields_of_facts(question.resource)
    readers = [Reader(asker, fields, sets) for asker in askers]
    elsewhere = _allowed(question.plan(None), readers, None)
    unit = fields.get("unit")
    if unit is None:  # its records belong to no unit
        return _light(elsewhere, UNKNOWN)
    found: dict[Over, list[str]] = {}
    for name in sorted(question.special):
        found.setdefault(_allowed(question.plan(name), readers, name), []).append(name)
    apart = [name for over, names in found.items() if over != elsewhere for name in names]
    pieces = [
        (Over(In(unit.pattern, tuple(names)), True), over)
        for over, names in found.items()
        if over not in (elsewhere, NONE)
    ]
    if elsewhere != NONE:
        pieces.append((_elsewhere(unit, apart, said=elsewhere.exact), elsewhere))
    places = join(*(place for place, _ in pieces))
    return _light(join(*(meet(*piece) for piece in pieces)), Within(places.filter))


def _allowed(plan: UnitPlan, readers: Sequence[Reader], unit: str | None) -> Over:
    """Gives the records of that unit on which every party may be allowed."""
    if plan.settled() is not None:
        return NONE
    parts = [_of(party.record, reader, unit) for party, reader in zip(plan.parties, readers, strict=True)]
    return meet(*parts)


def _of(query: Query, reader: Reader, unit: str | None) -> Over:
    denies = [reader.outcomes(line.condition, unit) for _place, line in query.denies]
    allows = [reader.outcomes(line.condition, unit) for _place, line in query.allows]
    # Where grants exist, they lift a default deny alone: `join` them with the allows, never with what a deny takes away.
    held = join(*(allow.true for allow in allows))
    return meet(held, *(deny.false for deny in denies), *(without(allow.failed) for allow in allows))


def _elsewhere(unit: FieldSpec, apart: Sequence[str], *, said: bool) -> Over:
    """Gives the records of any unit but these, or of none. A unit that is no text, empty or `*` is nobody's."""
    others: list[Filter] = [Not(In(unit.pattern, tuple(apart)))] if apart else []
    if not said:
        return Over(both(others), False)
    named = both((Text(unit.pattern), Not(In(unit.pattern, ("", ANYWHERE, *apart)))))
    return Over(either((Absent(unit.pattern), named)), True)


def _light(over: Over, otherwise: Within) -> Within:
    for made in (Within(over.filter, over.exact), otherwise):
        if weight(made.filter) <= MAX_WEIGHT:
            return made
    return UNKNOWN


def askers(
    subjects: Sequence[Mapping[str, str | int | bool | None]],
    env: Mapping[str, str | int],
    purpose: str,
    *,
    named: bool,
) -> list[Asker]:
    """Gives the parties as conditions see them; `named`: their ids and attributes may stand in a filter."""
    return [Asker(sub if named else None, env, purpose, bool(sub["alone"])) for sub in subjects]
