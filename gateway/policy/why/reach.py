"""Beside step 5: what somebody can do at all, before any record is known: action by action, purpose by purpose, unit by unit. Pure.

Where no condition stands in the way it holds for every record of the unit; where one does, it is said to depend, and on which rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from gateway.policy.bundle import SET, Bundle, Line
from gateway.policy.condition import Asked
from gateway.policy.decider import COMPILED, Engine
from gateway.policy.facts import NOWHERE
from gateway.policy.known import Known
from gateway.policy.plan import LADDER, RECORD
from gateway.policy.why.reading import Hearing, about, pool, roles_of
from gateway.words.decision import Disclosure, narrower
from gateway.words.json import Pattern
from gateway.words.principal import ANYWHERE, Principal
from gateway.words.resource import PERSONAL, FieldSpec, ResourceSpec

ELSEWHERE = "\0"  # no unit's name: what holds for roles and rules of `*` alone


class Holds(Enum):
    """Whether rules allow, whatever the record."""

    ALWAYS = "always"
    DEPENDS = "depends"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Can:
    """One thing that somebody can do.

    unit:    of the records; `*` where it is the same in every unit, `-` for those that are in none of the policy's units.
    holds:   on every record there, or depending on its facts or the time. rules: those that may allow it.
    fields:  by how each is certainly shown. open: those whose showing depends. settable: certainly. Floors stand above all of it.
    """

    resource: str
    action: str
    purpose: str
    through: str
    unit: str
    holds: Holds
    fields: tuple[tuple[Disclosure, tuple[Pattern, ...]], ...]
    open: tuple[Pattern, ...]
    settable: tuple[Pattern, ...]


def what_can(engine: Engine, known: Known, principals: Sequence[Principal]) -> Iterator[Can]:
    """Gives what each of these principals can do, on every resource, for each purpose that it holds.

    Raises ValueError where the bundle runs on pycasbin: what that reads cannot be looked through.
    """
    if engine.name != COMPILED:
        raise ValueError("only a compiled bundle can be looked through")
    for name, resource in sorted(known.resources.items()):
        for action in sorted(known.actions[name]):
            lines = pool(engine.bundle, resource, action)
            for principal in principals:
                for purpose in _purposes(engine.bundle, resource, principal):
                    yield from _each_unit(engine.bundle, resource, action, purpose, principal, lines)


def _each_unit(
    bundle: Bundle,
    resource: ResourceSpec,
    action: str,
    purpose: str,
    principal: Principal,
    lines: Sequence[Line],
) -> Iterator[Can]:
    """One row for each unit in which something can be done; one for all where they are alike."""
    found = [
        can
        for unit in (*sorted(bundle.vocabulary.units), ELSEWHERE)
        if (can := _in_unit(bundle, resource, action, purpose, principal, unit, lines)) is not None
    ]
    alike = {replace(can, unit="") for can in found}
    if len(alike) == 1 and len(found) == len(bundle.vocabulary.units) + 1:
        yield replace(found[0], unit=ANYWHERE)
    else:
        yield from (replace(can, unit=NOWHERE) if can.unit == ELSEWHERE else can for can in found)


def _in_unit(
    bundle: Bundle,
    resource: ResourceSpec,
    action: str,
    purpose: str,
    principal: Principal,
    unit: str,
    lines: Sequence[Line],
) -> Can | None:
    asked = Asked({}, {}, {}, purpose, unit)
    heard = [Hearing(bundle, party, roles_of(bundle, party, unit), asked) for party in principal.parties]
    own = about(lines, action, (RECORD,))
    holds = _all(_holds(hearing, own) for hearing in heard)
    if holds is Holds.NEVER:
        return None
    fields: dict[Disclosure, list[Pattern]] = {}
    open_: list[Pattern] = []
    settable: list[Pattern] = []
    for spec in resource.fields:
        shown = _shown(spec, heard, lines)
        if shown is None:
            open_.append(spec.pattern)
        elif shown is not Disclosure.WITHHELD:
            fields.setdefault(shown, []).append(spec.pattern)
        names = (spec.pattern, spec.cls.value)
        sets = _all(_holds(hearing, about(lines, SET, names)) for hearing in heard)
        if sets is Holds.ALWAYS and not spec.server_set:
            settable.append(spec.pattern)
    return Can(
        resource=f"{resource.upstream}/{resource.name}",
        action=action,
        purpose=purpose,
        through=principal.application.id,
        unit=unit,
        holds=holds,
        fields=tuple((shown, tuple(patterns)) for shown, patterns in sorted(fields.items())),
        open=tuple(open_),
        settable=tuple(settable),
    )


def _holds(hearing: Hearing, lines: Sequence[Line]) -> Holds:
    """Whether these rules allow one party, whatever the record: a condition that may fail on some record denies there."""
    speaking = [line for line in lines if hearing.columns(line)]
    allows = [line for line in speaking if line.allows]
    denies = [line for line in speaking if not line.allows]
    if not allows or any(line.condition.always for line in denies):
        return Holds.NEVER
    certain = not denies and all(line.condition.total for line in allows)
    return Holds.ALWAYS if certain and any(line.condition.always for line in allows) else Holds.DEPENDS


def _all(each: Iterator[Holds]) -> Holds:
    found = list(each)
    if Holds.NEVER in found:
        return Holds.NEVER
    return Holds.DEPENDS if Holds.DEPENDS in found else Holds.ALWAYS


def _shown(spec: FieldSpec, heard: Sequence[Hearing], lines: Sequence[Line]) -> Disclosure | None:
    """How a field is shown on every record that is allowed, None where that depends."""
    names = (spec.pattern, spec.cls.value)
    shown = Disclosure.CLEAR
    for hearing in heard:
        one = _party_shown(hearing, names, lines)
        if one is None:
            return None
        shown = narrower(shown, one)
    return shown


def _party_shown(hearing: Hearing, names: tuple[str, ...], lines: Sequence[Line]) -> Disclosure | None:
    for act, shown in LADDER:
        holds = _holds(hearing, about(lines, act, names))
        if holds is Holds.DEPENDS:
            return None
        if holds is Holds.ALWAYS:
            return shown
    return Disclosure.WITHHELD


def _purposes(bundle: Bundle, resource: ResourceSpec, principal: Principal) -> list[str]:
    held = sorted(principal.purposes & bundle.vocabulary.purposes.keys())
    personal = any(spec.cls in PERSONAL for spec in resource.fields)
    return held if personal else [NOWHERE, *held]
