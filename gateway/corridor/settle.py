"""The reconciler: settles every open intent by looking at the upstream, at start and while running.

An intent is open when its change may have been forwarded and no outcome was recorded: a kill, a silent upstream, a full disk.
What the upstream holds now is compared with the digests in the intent's own record part; no field is opened for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Protocol

import orjson

from audit import AuditEvent, Kind, Log, OpenIntent, RecordPart
from gateway.corridor.entries import value_digest, version_digest
from gateway.corridor.pointers import Pointers
from gateway.rooms import Alarms, Evidence
from gateway.words.access import ResourceRef
from gateway.words.errors import BadAnswer, NoAnswer, NotSent, Unaddressable
from gateway.words.record import Alarm, AlarmKind, ClosedRecord
from gateway.words.resource import Idempotency, ResourceSpec, Verb

SYSTEM = {"application": "system:reconciler", "person": None, "roles": [], "proven": ["process"]}

_NOT_NOW = frozenset({408, 429})  # of the server's time and of the caller's pace: not of what was asked


class Result(StrEnum):
    """What became of an intent, as its outcome entry says."""

    DONE = "done"
    NOT_DONE = "not-done"
    UNKNOWABLE = (
        "unknowable"  # somebody wrote the record after us: what we sent can no longer be told from it
    )


class InSight(Protocol):
    """What of the bundle in force the reconciler needs: specs, and two looks at an upstream (see rooms.Upstream)."""

    def resource(self, upstream: str, name: str) -> ResourceSpec | None:
        """Gives the spec; None when the catalogue no longer has it."""
        ...

    async def find(self, ref: ResourceRef, resource: ResourceSpec, marker: str) -> ClosedRecord | None:
        """Looks for the record that a create with this marker made."""
        ...

    async def look(self, ref: ResourceRef, resource: ResourceSpec) -> ClosedRecord | None:
        """Reads one record; None when it certainly is not there."""
        ...


class Places(Protocol):
    """Finds records again from what an intent may say of them, and finishes their pending seals."""

    async def located(self, upstream: str, resource: str, reference: str) -> ResourceRef | None:
        """Gives the record that a keyed reference stands for, None when no binding has it."""
        ...

    async def bind_pending(self, seal: str, ref: ResourceRef) -> Alarm | None:
        """Binds a pending seal to the record that its create made; None also when it is bound to just that one already."""
        ...

    async def drop_pending(self, seal: str) -> bool:
        """Forgets a pending seal; one that is bound stays, and gives False."""
        ...


class OwnChanges(Protocol):
    """Settles intents about the gateway's own state (keys, bundles) against the state rows."""

    async def settle(self, intent: OpenIntent) -> bool:
        """Settles one; False when it is not of a kind that this service makes."""
        ...


@dataclass(slots=True)
class Settled:
    """What one round did."""

    closed: int = 0
    left_open: int = 0


@dataclass(frozen=True, slots=True)
class Settler:
    """Looks at open intents. `grace`: intents younger than this may still be under way in another process.

    under_way: intents whose requests have not ended in this process, however old.
    patience: how much longer than `grace` a change to that upstream may be under way in another process.
    slack: how long after its intent that upstream may still carry a change out, whoever waits for it: before that, what is not there
    may come yet, and is not said to be undone.
    put_off: intents whose upstream failed when it was asked for them, the latest last.
    """

    log: Log
    upstream: InSight
    places: Places
    own: tuple[OwnChanges, ...]
    evidence: Evidence
    alarms: Alarms
    under_way: Set[int] = frozenset()
    patience: Callable[[str], timedelta] = lambda _: timedelta(0)
    slack: Callable[[str], timedelta] = lambda _: timedelta(0)
    stuck: set[int] = field(default_factory=set)
    put_off: list[int] = field(default_factory=list)

    async def round(self, grace: timedelta, now: datetime | None = None) -> Settled:
        """Settles what can be settled. Raises what the log raises; an upstream that does not answer, or answers that it fails, leaves
        its intents open and is not asked again in this round. The intent that met that comes after all others in the next."""
        settled = Settled()
        now = now or datetime.now(UTC)
        latest = now - grace
        silent: set[str] = set()
        for intent in self._in_turn(await self.log.open_intents()):
            where = intent.fields.get("resource") or {}
            upstream, begun = str(where.get("upstream")), datetime.fromisoformat(intent.time)
            young = begun > latest - self.patience(upstream)
            if young or intent.seq in self.under_way or upstream in silent:
                settled.left_open += 1
                continue
            try:
                closed = await self._settle(intent, sure=begun <= now - self.slack(upstream))
            except Unaddressable:  # nobody was called: the upstream's other intents are not held up by it
                closed = self._stuck(intent, self.upstream.resource(upstream, str(where.get("type"))))
            except (NotSent, NoAnswer, BadAnswer) as error:
                if fails(error):
                    silent.add(upstream)
                    self.put_off.append(intent.seq)
                closed = False
            if closed:
                settled.closed += 1
                self.stuck.discard(intent.seq)
            else:
                settled.left_open += 1
        return settled

    def _in_turn(self, intents: Sequence[OpenIntent]) -> list[OpenIntent]:
        """Gives those first that have not met a failing upstream, then the others, the latest to meet one last: a record that its
        upstream can never answer for holds up nobody's but its own."""
        still = {intent.seq for intent in intents}
        met = {seq: when for when, seq in enumerate(self.put_off) if seq in still}
        self.put_off[:] = sorted(met, key=met.__getitem__)
        return sorted(intents, key=lambda intent: met.get(intent.seq, -1))

    async def _settle(self, intent: OpenIntent, *, sure: bool) -> bool:
        """Settles one. sure: what is not there now was not done; else it may come yet, and only what was done is settled."""
        for service in self.own:
            if await service.settle(intent):
                return True
        where = intent.fields.get("resource") or {}
        resource = self.upstream.resource(where.get("upstream", ""), where.get("type", ""))
        if resource is None or not intent.entry.parts:
            return self._stuck(intent, resource)
        part = orjson.loads(intent.entry.parts[0].body)
        match Verb(part["verb"]):
            case Verb.CREATE | Verb.SEND:
                return await self._settle_create(intent, resource, part, sure=sure)
            case Verb.UPDATE | Verb.DELETE as verb:
                return await self._settle_change(intent, resource, part, verb, sure=sure)
            case _:
                return self._stuck(intent, resource)

    async def _settle_create(
        self, intent: OpenIntent, resource: ResourceSpec, part: Mapping[str, Any], *, sure: bool
    ) -> bool:
        if part["marker"] is None or not searchable(resource):
            return self._stuck(intent, resource)
        collection = ResourceRef(resource.upstream, resource.name, None, await self._above(resource, part))
        found = await self.upstream.find(collection, resource, part["marker"])
        if found is None:  # its seal is kept: it may be made yet (late.py)
            return sure and await self._close(intent, Result.NOT_DONE, resource, None)
        if part["seal"] is not None:
            alarm = await self.places.bind_pending(part["seal"], found.ref)
            if alarm is not None:
                self.alarms.raise_([alarm])
                return await self._close(intent, Result.UNKNOWABLE, resource, found)
        return await self._close(intent, Result.DONE, resource, found)

    async def _settle_change(
        self, intent: OpenIntent, resource: ResourceSpec, part: Mapping[str, Any], verb: Verb, *, sure: bool
    ) -> bool:
        # What a change adopts is bound before anything of it is sent: a seal that is not bound was not used, and now never will be.
        if (seal := part.get("seal")) is not None and await self.places.drop_pending(seal):
            return await self._close(intent, Result.NOT_DONE, resource, None)
        ref = await self._place(resource, part)
        if ref is None:
            return self._stuck(intent, resource)
        now = await self.upstream.look(ref, resource)
        if now is None:
            return await self._close(
                intent, Result.DONE if verb is Verb.DELETE else Result.UNKNOWABLE, resource, None
            )
        if part["version"] is not None and version_digest(now, self.evidence) == part["version"]:
            return sure and await self._close(intent, Result.NOT_DONE, resource, now)
        if verb is Verb.UPDATE and self._carries(now, resource, part):
            return await self._close(intent, Result.DONE, resource, now)
        if part["version"] is None and not sure:
            return False  # nothing tells that somebody else wrote the record: ours may come yet
        return await self._close(intent, Result.UNKNOWABLE, resource, now)

    async def _place(self, resource: ResourceSpec, part: Mapping[str, Any]) -> ResourceRef | None:
        reference = part["reference"]
        if not resource.id_public:
            return await self.places.located(resource.upstream, resource.name, reference)
        above = await self._above(resource, part)
        if resource.parent is not None and above is None:
            return None
        return ResourceRef(resource.upstream, resource.name, reference, above)

    async def _above(self, resource: ResourceSpec, part: Mapping[str, Any]) -> ResourceRef | None:
        """Gives the parent's place, None where there is none or it cannot be found again."""
        reference = part.get("parent")
        if resource.parent is None or reference is None:
            return None
        above = self.upstream.resource(resource.upstream, resource.parent)
        if above is not None and above.id_public:
            return ResourceRef(resource.upstream, resource.parent, reference)
        return await self.places.located(resource.upstream, resource.parent, reference)

    def _carries(self, now: ClosedRecord, resource: ResourceSpec, part: Mapping[str, Any]) -> bool:
        """True when every member that the change set stands there just as it was sent."""
        at = partial(Pointers(resource, self.evidence).member, now.fields)
        sealed = all(_text_digest(at(p)) == digest for p, digest in part["sealed"].items())
        plain = all(value_digest(at(p), self.evidence) == d for p, d in part["plain"].items())
        return sealed and plain

    async def _close(
        self, intent: OpenIntent, result: Result, resource: ResourceSpec, found: ClosedRecord | None
    ) -> bool:
        parts: tuple[RecordPart, ...] = ()
        if found is not None:
            reference = self.evidence.reference(found.ref, resource.id_public)
            parts = (RecordPart({"reference": reference, "subject": None}),)
        await self.log.append(
            AuditEvent(
                kind=Kind.OUTCOME,
                request=intent.fields["request"],
                principal=SYSTEM,
                action=intent.fields["action"],
                purpose=intent.fields["purpose"],
                resource=intent.fields["resource"],
                records=parts,
                of=intent.seq,
                upstream={"result": result.value, "by": "reconciler"},
            )
        )
        return True

    def _stuck(self, intent: OpenIntent, resource: ResourceSpec | None) -> bool:
        """Nothing here can tell what became of it: it stays open, and a person is told once."""
        if intent.seq not in self.stuck:
            self.stuck.add(intent.seq)
            where = intent.fields.get("resource") or {}
            name = resource.name if resource else str(where.get("type"))
            self.alarms.raise_([Alarm(AlarmKind.INTENT_STUCK, str(where.get("upstream")), name)])
        return False


def fails(error: NotSent | NoAnswer | BadAnswer) -> bool:
    """Tells whether it is the upstream that fails, so that asking it for other records is no use now. An answer that cannot be used
    (a refusal, what the catalogue does not describe) is about the record, and others may do better."""
    if not isinstance(error, BadAnswer):
        return True
    return error.status is None or error.status >= 500 or error.status in _NOT_NOW


def searchable(resource: ResourceSpec) -> bool:
    """Tells whether a create on this resource can be looked for at all."""
    return resource.idempotency is not Idempotency.NONE and resource.lookup is not None


def _text_digest(value: object) -> str | None:
    return hashlib.sha256(value.encode()).hexdigest() if isinstance(value, str) else None
