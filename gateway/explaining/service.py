"""Service: an explanation is decided on, made of what is in force, recorded, and only then given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit import Kind, Receipt
from gateway.catalogue import Catalogue
from gateway.corridor.desk import Asker, Desk, Visit
from gateway.corridor.entries import facts_of
from gateway.corridor.walk import Ruled
from gateway.explaining.asking import Asked, Credential, credentials, purpose_of, resource_of, said_of
from gateway.explaining.documents import document
from gateway.explaining.sentences import sentences
from gateway.identity import all_keys
from gateway.policy import Bundle, PolicyDecider
from gateway.policy.decider import Engine, told
from gateway.policy.known import Known, known
from gateway.policy.why import Explanation, Posed, decided, explain
from gateway.rooms import Evidence, FactSource, Lens
from gateway.text import Language
from gateway.text.problems import told_text
from gateway.words.access import Access, ResourceRef
from gateway.words.control import CONTROL_POLICY, CONTROL_UPSTREAM, POLICY_EXPLAIN
from gateway.words.decision import Facts
from gateway.words.errors import Code, Refused, Unavailable
from gateway.words.resource import ResourceSpec
from gateway.words.told import Cause

_FURTHEST = (
    Cause.DEPENDS,
    Cause.FORBIDDEN,
    Cause.ROLES,
    Cause.OTHER_PURPOSE,
    Cause.APPLICATION,
    Cause.PURPOSE_NOT_HELD,
    Cause.UNDECIDED,
)


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation as a document, and the entry that says that it was given."""

    document: Mapping[str, Any]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class InForce:
    """What is in force, as this service asks it."""

    bundle: Bundle
    known: Known


@dataclass(frozen=True, slots=True)
class Explaining:
    """The service. An engine of its own is made for each question: what is only supposed fills no cache that requests are served by."""

    desk: Desk
    facts: FactSource
    lens: Lens
    evidence: Evidence

    async def explain(self, asker: Asker, read: Callable[[], Asked], language: Language) -> Explained:
        """Gives why a question comes out as it does. `read` gives the question, once the asker is known and may ask.

        Raises what `read` raises, Denied, Refused (VALUE_REFUSED; NOT_FOUND: there is no such record), Unavailable, and what an
        upstream raises.
        Promises: the entry is durable before anything is given, and says who was asked about, the record's reference and its facts.
        """

        async def work(visit: Visit) -> Explained:
            visit.decide(self.desk.clock())
            asked = read()
            now = in_force(visit.ruled)
            resource = resource_of(asked, now.known)
            found = await self.credentials(asked, now)
            ref = ref_of(asked, resource)
            access = self._access(visit, asked, found[0], ref)
            facts = await self.facts_of(visit.ruled, access, resource, asked)
            poses = [Posed(self._access(visit, asked, one, ref), resource, facts) for one in found]
            said, credential = await asyncio.to_thread(_explained, now.bundle, poses, found)
            receipt = await self.record(visit, said_of(asked, resource), ref, resource, facts)
            texts = {"told": told_text(said.told, language), "text": sentences(said, language)}
            return Explained({"credential": credential.id, **document(said), **texts}, receipt)

        return await self.desk.attend(asker, POLICY_EXPLAIN, CONTROL_POLICY, work)

    async def credentials(self, asked: Asked, now: InForce) -> Sequence[Credential]:
        """Gives what he could come with. Raises Refused(VALUE_REFUSED) where nobody could bring him."""
        keys = await self.desk.store.scan(all_keys)
        purposes = frozenset(now.bundle.vocabulary.purposes)
        found = credentials(asked, keys, purposes, self.desk.clock())
        if not found:  # no application has a credential
            raise Refused(Code.VALUE_REFUSED, field="/through")
        return found

    async def facts_of(self, ruled: Ruled, access: Access, resource: ResourceSpec, asked: Asked) -> Facts:
        """Gives the record's facts and floors as a request would be decided on, or those that were given in their place."""
        if asked.record is None:
            return _given(asked, resource)
        if asked.facts or resource.upstream == CONTROL_UPSTREAM or not resource.id_form.fits(asked.record):
            raise Refused(Code.VALUE_REFUSED, field="/record")
        if (resource.parent is None) != (asked.parent is None):
            raise Refused(Code.VALUE_REFUSED, field="/parent")
        found = await ruled.upstream.look(access.ref, resource)
        if found is None:
            raise Refused(Code.NOT_FOUND)
        subjects = await self.lens.subjects_of(resource, [found])
        (floors,) = await self.facts.floors(access, subjects)
        return self.facts.of_record(resource, found, floors)

    async def record(
        self,
        visit: Visit,
        asked: Mapping[str, Any],
        ref: ResourceRef,
        resource: ResourceSpec,
        facts: Facts,
    ) -> Receipt:
        """Records that it was asked and is about to be answered. Raises Stale where something was revoked since."""
        reference = None if ref.record is None else self.evidence.reference(ref, resource.id_public)
        # Apart from a decision's own facts: those are of whoever asks, and it was made on none.
        part = {"reference": reference, "subject": None, "asked": {**asked, "facts": facts_of(facts)}}
        return await self.desk.log.append(visit.event(Kind.SERVED, [part]), fence=visit.ruled.fence)

    def _access(self, visit: Visit, asked: Asked, credential: Credential, ref: ResourceRef) -> Access:
        principal = credential.principal
        purpose = purpose_of(asked, principal)
        return Access(visit.asker.request, principal, asked.action, purpose, ref, self.desk.clock())


def in_force(ruled: Ruled) -> InForce:
    """Gives the bundle and what it may speak of. Raises Unavailable where there is none."""
    decider, addresser = ruled.decider, ruled.addresser
    bundle = decider.bundle if isinstance(decider, PolicyDecider) else None
    if bundle is None or not isinstance(addresser, Catalogue):
        raise Unavailable(Code.NOT_READY)
    return InForce(bundle, known(addresser))


def _explained(
    bundle: Bundle, poses: Sequence[Posed], found: Sequence[Credential]
) -> tuple[Explanation, Credential]:
    """Explains the question with the credential that gets furthest: one that is allowed, else where the least stands in the way."""
    engine = Engine(bundle)

    def short(at: int) -> int:
        if decided(engine, poses[at]).allowed:
            return 0
        return 1 + _FURTHEST.index(told(engine, poses[at].access, poses[at].resource).cause)

    best = min(range(len(poses)), key=short)
    return explain(engine, poses[best]), found[best]


def ref_of(asked: Asked, resource: ResourceSpec) -> ResourceRef:
    """Gives the place that is asked about."""
    above = None
    if resource.parent is not None and asked.parent is not None:
        above = ResourceRef(resource.upstream, resource.parent, asked.parent)
    return ResourceRef(resource.upstream, resource.name, asked.record, above)


def _given(asked: Asked, resource: ResourceSpec) -> Facts:
    names = {spec.fact for spec in resource.fields}
    if asked.parent is not None:
        raise Refused(Code.VALUE_REFUSED, field="/parent")
    if not asked.facts.keys() <= names:
        raise Refused(Code.VALUE_REFUSED, field="/facts")
    return Facts(dict(asked.facts))
