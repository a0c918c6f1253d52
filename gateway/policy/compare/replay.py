"""Beside the request path: a recorded decision made again. Pure; what an entry does not keep is not guessed at in silence.

An entry names the application and the person, the roles that were looked at for both together, and the facts. Which of the two a credential
gave a role to, and attributes, it does not keep. So a decision is first made again under the bundle that made it, and only where it comes
out just as it was recorded is it made under another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.policy.bundle import Bundle
from gateway.policy.compare.sides import ELSEWHERE
from gateway.policy.decider import Engine, prepare
from gateway.policy.roles import RoleGraph
from gateway.words.access import Access, ResourceRef
from gateway.words.decision import Decision, Disclosure, Facts
from gateway.words.json import Pattern
from gateway.words.principal import Party, Principal, RoleHeld
from gateway.words.resource import ResourceSpec


@dataclass(frozen=True, slots=True)
class Recorded:
    """One decision as the log tells it.

    roles: every role that was looked at, of both parties. facts: None where it was decided before any record was looked at.
    reason, rule (`policy.csv:12`): None for one record of a list, of which the log keeps only that it was shown and how.
    shown: by pattern, as far as the entry says it in the catalogue's own patterns.
    """

    application: str
    person: str | None
    roles: frozenset[str]
    action: str
    purpose: str | None
    time: datetime
    facts: Facts | None
    allowed: bool
    reason: str | None
    rule: str | None
    shown: Mapping[Pattern, Disclosure]


def askers_of(bundle: Bundle, recorded: Recorded) -> tuple[Principal, ...]:
    """Gives who may have asked: what the bundle's links do not give him, his credential did; the person's, where there was one.

    It gave it within this record's unit or, where that is not how it comes out, within another one. Empty where it cannot be told:
    only the decision on one record says which roles counted on it.
    """
    ids = [recorded.application] + ([] if recorded.person is None else [recorded.person])
    of_one = recorded.facts is not None and recorded.reason is not None
    unit = recorded.facts.values.get("unit") if recorded.facts is not None and of_one else None
    where = unit if isinstance(unit, str) else ELSEWHERE
    units = (where,) if of_one else (ELSEWHERE, *bundle.roles.units_touching(ids))
    linked = frozenset().union(*(bundle.roles.effective(party, at) for party in ids for at in units))
    rest = recorded.roles - linked
    if not rest:
        return (_principal(recorded, frozenset()),)
    if not of_one:
        return ()
    given = frozenset(RoleHeld(role) for role in outermost(bundle.roles, rest, where))
    return _principal(recorded, given), _principal(recorded, frozenset())


def _principal(recorded: Recorded, given: frozenset[RoleHeld]) -> Principal:
    purposes = frozenset() if recorded.purpose is None else frozenset({recorded.purpose})
    if recorded.person is None:
        return Principal(Party(recorded.application, given), None, purposes, ())
    return Principal(Party(recorded.application), Party(recorded.person, given), purposes, ())


def decided(engine: Engine, recorded: Recorded, asker: Principal, resource: ResourceSpec) -> Decision:
    """Gives the decision that this engine makes on what was recorded."""
    ref = ResourceRef(resource.upstream, resource.name)
    access = Access("replay", asker, recorded.action, recorded.purpose, ref, recorded.time)
    asked = prepare(engine, access, resource, 0)
    return asked.collection() if recorded.facts is None else asked.decide(recorded.facts)


def comes_out(made: Decision, recorded: Recorded) -> bool:
    """True where a decision is the recorded one: allowed or not, for the same reason, by the same rule, each field shown the same way."""
    if made.allowed != recorded.allowed:
        return False
    if any(made.read.of(pattern) is not shown for pattern, shown in recorded.shown.items()):
        return False
    if recorded.reason is None:
        return True
    rule = None if made.rule is None else f"{made.rule.file}:{made.rule.line}"
    return (made.reason.value, rule) == (recorded.reason, recorded.rule)


def outermost(graph: RoleGraph, roles: Iterable[str], unit: str) -> frozenset[str]:
    """Gives those of the roles that none of the others brings with it."""
    every = frozenset(roles)
    brought = {below for role in every for below in graph.effective(role, unit) & every if below != role}
    return every - brought
