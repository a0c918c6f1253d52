"""Beside step 5: who can do one thing to one record, each person decided by the engine. Pure.

People are those whom the policy's own links name: a person's token brings no role, so nobody else has any, and without one nobody is
allowed anything. Persons who hold the same roles on the record share one prepared question; whose id a condition asks for is decided alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gateway.policy.condition import Uncomparable
from gateway.policy.decider import COMPILED, Engine, PreparedQuestion, Ready, prepare
from gateway.policy.facts import NOWHERE, unit_of
from gateway.policy.why.explanation import Posed
from gateway.policy.why.reading import pool, roles_of
from gateway.words.access import Access
from gateway.words.decision import Decision, Disclosure
from gateway.words.json import Pattern
from gateway.words.principal import ANYWHERE, Party, Principal, RoleHeld
from gateway.words.resource import PERSONAL

_ALIKE = "person:?"  # nobody's id: the policy's are `issuer#subject`


@dataclass(frozen=True, slots=True, order=True)
class May:
    """Somebody who can. through: the application by which he comes, his own id where it acts for nobody. shown: how he sees the field."""

    who: str
    through: str
    purpose: str
    shown: Disclosure | None


def people_of(engine: Engine) -> list[str]:
    """Gives every person whom the policy links to a role."""
    return sorted(name for name in engine.bundle.roles.members if name.startswith("person:"))


def who_can(
    engine: Engine, posed: Posed, field: Pattern | None, credentials: Sequence[Principal]
) -> Iterator[May]:
    """Gives whoever may do what is posed, with each application's credential, for each purpose that it holds.

    posed: its principal and purpose are passed over. credentials: applications and system principals, each without a person.
    field: then only who sees something of it. Promises: each row is a decision of the engine for exactly that person.
    """
    groups = _groups(engine, posed)
    for credential in credentials:
        for purpose in _purposes(engine, posed, credential):
            access = replace(posed.access, principal=credential, purpose=purpose)
            said = purpose or NOWHERE
            me = credential.application.id
            alone = prepare(engine, access, posed.resource, 0).decide(posed.facts)
            yield from _row(me, me, said, alone, field)
            if not me.startswith("app:"):
                continue  # our own jobs act for nobody
            for person, decision in _persons(engine, posed, access, groups):
                yield from _row(person, me, said, decision, field)


def _row(who: str, through: str, purpose: str, decision: Decision, field: Pattern | None) -> Iterator[May]:
    shown = None if field is None else decision.read.of(field)
    if decision.allowed and shown is not Disclosure.WITHHELD:
        yield May(who, through, purpose, shown)


@dataclass(frozen=True, slots=True)
class _Group:
    """Persons with the same roles on the record. by_id: a condition of their rules asks who it is."""

    roles: frozenset[str]
    people: tuple[str, ...]
    by_id: bool


def _groups(engine: Engine, posed: Posed) -> list[_Group]:
    """Gives the people by their roles on the record; nobody where the record's unit is none, since then every question is denied."""
    bundle = engine.bundle
    try:
        unit = unit_of(posed.facts)
    except Uncomparable:
        return []
    asking = {
        line.role
        for line in pool(bundle, posed.resource, posed.access.action)
        if "id" in line.condition.attributes
    }
    found: dict[frozenset[str], list[str]] = {}
    for person in people_of(engine):
        found.setdefault(roles_of(bundle, Party(person), unit), []).append(person)
    return [
        _Group(roles, tuple(people), engine.name != COMPILED or bool(roles & asking))
        for roles, people in found.items()
        if roles
    ]


def _persons(
    engine: Engine, posed: Posed, access: Access, groups: Iterable[_Group]
) -> Iterator[tuple[str, Decision]]:
    for group in groups:
        if engine.name != COMPILED:
            for person in group.people:
                yield person, _decided_alone(engine, posed, access, Party(person))
            continue
        held = frozenset(RoleHeld(role, ANYWHERE) for role in group.roles)
        principal = replace(access.principal, person=Party(_ALIKE, held))
        ready = engine.ready(principal, access.action, access.purpose or NOWHERE, posed.resource)
        if ready.asking.early is not None:  # whatever the record is
            continue
        if not group.by_id:
            decision = _decided(engine, posed, access, ready)
            yield from ((person, decision) for person in group.people)
            continue
        for person in group.people:
            subject = engine.subject(Party(person), alone=False)
            his = replace(ready, subjects=[ready.subjects[0], subject])
            yield person, _decided(engine, posed, access, his)


def _decided(engine: Engine, posed: Posed, access: Access, ready: Ready) -> Decision:
    return PreparedQuestion(engine, ready, access, access.purpose or NOWHERE, 0).decide(posed.facts)


def _decided_alone(engine: Engine, posed: Posed, access: Access, person: Party) -> Decision:
    asked = replace(access, principal=replace(access.principal, person=person))
    return prepare(engine, asked, posed.resource, 0).decide(posed.facts)


def _purposes(engine: Engine, posed: Posed, credential: Principal) -> list[str | None]:
    """Those that the credential holds and the policy knows; none at all where the resource holds nobody's data."""
    held: list[str | None] = sorted(credential.purposes & engine.bundle.vocabulary.purposes.keys())  # type: ignore[assignment] # wider
    personal = any(spec.cls in PERSONAL for spec in posed.resource.fields)
    return held if personal else [None, *held]
