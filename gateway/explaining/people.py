"""Service: who can do one thing to one record, and what somebody can do at all. Decided on, recorded, and only then given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit import Kind
from gateway.corridor.desk import Asker, Visit
from gateway.explaining.asking import Asked, Credential, holds_at, resource_of, said_of
from gateway.explaining.service import Explained, Explaining, InForce, in_force, ref_of
from gateway.identity import all_keys
from gateway.policy import Bundle
from gateway.policy.decider import Engine
from gateway.policy.why import Can, May, Posed, people_of, what_can, who_can
from gateway.words.access import Access
from gateway.words.control import CONTROL_POLICY, POLICY_EXPLAIN
from gateway.words.errors import Code, Refused
from gateway.words.principal import Party, Principal

_NOBODY = "system:?"


@dataclass(frozen=True, slots=True)
class People:
    """The service. `who` of a question is passed over: it is what is asked for."""

    explaining: Explaining

    async def who_can(self, asker: Asker, read: Callable[[], Asked], field: str | None) -> Explained:
        """Gives everybody who may, by which application and for which purpose, and how he would see the field.

        People are those whom the policy links to a role; applications those with a key that holds now, and our own jobs.
        Raises and promises as Explaining.explain.
        """
        one = self.explaining

        async def work(visit: Visit) -> Explained:
            visit.decide(one.desk.clock())
            asked = read()
            now = in_force(visit.ruled)
            resource = resource_of(asked, now.known)
            pattern = None if field is None else f"/{field.lstrip('/')}"
            if pattern is not None and resource.spec(pattern) is None:
                raise Refused(Code.VALUE_REFUSED, field="/field")
            found = await self._credentials(now.bundle)
            ref, anybody = ref_of(asked, resource), Principal(Party(_NOBODY), None, frozenset(), ())
            access = Access(visit.asker.request, anybody, asked.action, None, ref, one.desk.clock())
            facts = await one.facts_of(visit.ruled, access, resource, asked)
            posed = Posed(access, resource, facts)
            rows, people = await asyncio.to_thread(
                _rows, now.bundle, posed, pattern, [credential.principal for credential in found]
            )
            said = said_of(asked, resource) | {"as": None, "field": pattern}
            receipt = await one.record(visit, said, ref, resource, facts)
            document = {"rows": rows, "people": people, "bundle": now.bundle.digest}
            return Explained(document, receipt)

        return await one.desk.attend(asker, POLICY_EXPLAIN, CONTROL_POLICY, work)

    async def what_can(self, asker: Asker, read: Callable[[], Asked]) -> Explained:
        """Gives what somebody can do at all, through each application's credential, before any record is known. Only `who` and
        `through` of the question count.

        Raises and promises as Explaining.explain; Refused(CONFLICT) where the bundle runs on pycasbin and cannot be looked through.
        """
        one = self.explaining

        async def work(visit: Visit) -> Explained:
            visit.decide(one.desk.clock())
            asked = read()
            now = in_force(visit.ruled)
            found = await one.credentials(asked, now)
            if not now.bundle.model.compiled:
                raise Refused(Code.CONFLICT)
            rows = await asyncio.to_thread(_reach, now, [credential.principal for credential in found])
            said = {"as": asked.who, "through": asked.through}
            part = {"reference": None, "subject": None, "asked": said}
            receipt = await one.desk.log.append(visit.event(Kind.SERVED, [part]), fence=visit.ruled.fence)
            return Explained({"rows": rows, "bundle": now.bundle.digest}, receipt)

        return await one.desk.attend(asker, POLICY_EXPLAIN, CONTROL_POLICY, work)

    async def _credentials(self, bundle: Bundle) -> Sequence[Credential]:
        """Gives what applications hold now, alike ones once, and our own jobs, which may name any purpose."""
        now = self.explaining.desk.clock()
        found: dict[object, Credential] = {}
        for key in await self.explaining.desk.store.scan(all_keys):
            if holds_at(key, now):
                party = Party(key.application, key.roles)
                principal = Principal(party, None, key.purposes, ("explained",))
                found.setdefault((key.application, key.roles, key.purposes), Credential(key.id, principal))
        purposes = frozenset(bundle.vocabulary.purposes)
        jobs = sorted(name for name in bundle.roles.members if name.startswith("system:"))
        ours = [Credential(None, Principal(Party(job), None, purposes, ("explained",))) for job in jobs]
        return [*found.values(), *ours]


def _rows(
    bundle: Bundle, posed: Posed, field: str | None, credentials: Sequence[Principal]
) -> tuple[list[Mapping[str, Any]], int]:
    """Two credentials of one application may give the same row: it is given once."""
    engine = Engine(bundle)
    found = sorted(set(who_can(engine, posed, field, credentials)), key=_order)
    return [_shown(may) for may in found], len(people_of(engine))


def _reach(now: InForce, principals: Sequence[Principal]) -> list[Mapping[str, Any]]:
    """What alike credentials of one application can is given once."""
    found = dict.fromkeys(what_can(Engine(now.bundle), now.known, principals))
    return [_reached(can) for can in found]


def _reached(can: Can) -> dict[str, Any]:
    shown = {disclosure.word: list(patterns) for disclosure, patterns in can.fields}
    return {
        "resource": can.resource,
        "action": can.action,
        "purpose": can.purpose,
        "through": can.through,
        "unit": can.unit,
        "holds": can.holds.value,
        **{word: shown.get(word, []) for word in ("clear", "masked", "token")},
        "open": list(can.open),
        "settable": list(can.settable),
    }


def _order(may: May) -> tuple[str, str, str, int]:
    return may.who, may.through, may.purpose, -1 if may.shown is None else int(may.shown)


def _shown(may: May) -> dict[str, Any]:
    shown = None if may.shown is None else may.shown.word
    return {"who": may.who, "through": may.through, "purpose": may.purpose, "shown": shown}
