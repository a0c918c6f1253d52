"""Creates whose record was never seen: looked for again, bound when it turns up after all, forgotten after a month.

A silent upstream may commit a create long after the reconciler looked and recorded that it was not there; one may say that it accepted
a create and do it later; a kill may fall between a seal and its intent. The seal and the keys are kept meanwhile: without them such a
record could never be read. A seal by which a record was to be adopted is another thing: it is bound before anything is sent, so that
one that is still pending was never used, and is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import orjson

from audit import AuditEvent, Kind, Log, RecordPart
from gateway.corridor.entries import place
from gateway.corridor.settle import SYSTEM, InSight, Result, fails, searchable
from gateway.rooms import Alarms, Evidence
from gateway.words.access import ResourceRef
from gateway.words.binding import Pending
from gateway.words.errors import BadAnswer, NoAnswer, NotSent, Unaddressable
from gateway.words.ids import new_id
from gateway.words.record import Alarm, AlarmKind, ClosedRecord
from gateway.words.resource import ResourceSpec

MONTH = timedelta(days=30)
HOUR = timedelta(hours=1)


class Kept(Protocol):
    """Keeps the seals of creates, and finishes or forgets them."""

    async def kept(self, before: datetime, after: Pending | None) -> Sequence[Pending]:
        """Gives the next creates begun before that instant whose record was never seen, the oldest first; empty at the end."""
        ...

    async def located(self, upstream: str, resource: str, reference: str) -> ResourceRef | None:
        """Gives the record that a keyed reference stands for, None when no binding has it."""
        ...

    async def bind_pending(self, seal: str, ref: ResourceRef) -> Alarm | None:
        """Binds a pending seal to the record that its create made."""
        ...

    async def drop_pending(self, seal: str) -> bool:
        """Forgets a pending seal; one that is bound stays, and gives False."""
        ...


@dataclass(frozen=True, slots=True)
class Latecomers:
    """Looks for each kept create once every `again`; forgets it when it is older than `keep` and is not there now either.

    What nobody can look for is never forgotten: a person is told once a process. patience: as in Settler. A seal whose intent is
    open is the settler's. refused: seals that the record they were found with could not take; said once a process, and looked
    for no more in it.
    """

    log: Log
    upstream: InSight
    places: Kept
    evidence: Evidence
    alarms: Alarms
    patience: Callable[[str], timedelta] = lambda _: timedelta(0)
    keep: timedelta = MONTH
    again: timedelta = HOUR
    looked: dict[str, datetime] = field(default_factory=dict)
    stuck: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    async def round(self, grace: timedelta, now: datetime | None = None) -> int:
        """Looks for those that are due and gives how many were found. Raises what the log and the store raise.

        An upstream that does not answer, or answers that it fails, is not asked again in this round; nothing of its creates is forgotten.
        """
        now = now or datetime.now(UTC)
        # First: a create that is bound between the two is in neither, and one that begins now is too young.
        open_seals = await self._open_seals()
        silent: set[str] = set()
        found, last = 0, None
        while page := await self.places.kept(now - grace, last):
            last = page[-1]
            for pending in page:
                young = pending.created > now - grace - self.patience(pending.upstream)
                due = self.looked.get(pending.seal, now - self.again) <= now - self.again
                left = pending.seal in open_seals or pending.seal in self.refused
                if due and not young and not left and pending.upstream not in silent:
                    try:
                        found += await self._look(pending, now)
                    except (
                        Unaddressable
                    ):  # nobody was called: the upstream's other creates are not held up by it
                        self.looked[pending.seal] = now
                        self._stuck(pending)
                    except (NotSent, NoAnswer, BadAnswer) as error:
                        self.looked[pending.seal] = now
                        if fails(error):
                            silent.add(pending.upstream)
        return found

    async def _open_seals(self) -> Set[str]:
        seals = set()
        for intent in await self.log.open_intents():
            for part in intent.entry.parts:
                body = orjson.loads(part.body)
                if isinstance(body, Mapping) and isinstance(seal := body.get("seal"), str):
                    seals.add(seal)
        return seals

    async def _look(self, pending: Pending, now: datetime) -> bool:
        """Looks for one; what was looked for and is not there after `keep` is forgotten. Raises what an upstream raises."""
        resource = self.upstream.resource(pending.upstream, pending.resource)
        if pending.adopts is not None:
            return await self._unsent(pending, pending.adopts, resource)
        if resource is None or pending.marker is None or not searchable(resource):
            return self._stuck(pending)
        collection = ResourceRef(pending.upstream, pending.resource, None, pending.parent)
        found = await self.upstream.find(collection, resource, pending.marker)
        if found is not None:
            return await self._bind(pending, resource, found)
        if pending.created < now - self.keep:
            await self._note("forgotten", pending, collection, "", "not-found")
            await self.places.drop_pending(pending.seal)
            self._done_with(pending)
        else:
            self.looked[pending.seal] = now
        return False

    async def _unsent(self, pending: Pending, at: ResourceRef, resource: ResourceSpec | None) -> bool:
        """Forgets a seal by which a record was to be adopted. It would be bound if anything had been sent, and nobody has to look."""
        reference = self.evidence.reference(at, resource is not None and resource.id_public)
        await self._note("forgotten", pending, at, reference, "not-sent")
        await self.places.drop_pending(pending.seal)
        self._done_with(pending)
        return False

    def _stuck(self, pending: Pending) -> bool:
        """Nobody can look for it: nothing of it is forgotten, and a person is told once."""
        if pending.seal not in self.stuck:
            self.stuck.add(pending.seal)
            self.alarms.raise_([Alarm(AlarmKind.INTENT_STUCK, pending.upstream, pending.resource)])
        return False

    def _done_with(self, pending: Pending) -> None:
        self.looked.pop(pending.seal, None)
        self.stuck.discard(pending.seal)

    async def _bind(self, pending: Pending, resource: ResourceSpec, found: ClosedRecord) -> bool:
        """Records that it turned up, then lets it open; or that its record is another's, once, and lets it be."""
        reference = self.evidence.reference(found.ref, resource.id_public)
        # Bindings go by the keyed reference, whatever the resource's entries say. A bound row never changes, so that asking to bind
        # what is bound already opens nothing: it tells whether it is ours (another replica was first) or somebody else's.
        token = self.evidence.reference(found.ref, False)
        bound = await self.places.located(pending.upstream, pending.resource, token)
        if bound is None:
            await self._note("found-late", pending, found.ref, reference, Result.DONE.value)
        if (alarm := await self.places.bind_pending(pending.seal, found.ref)) is not None:
            await self._note(alarm.kind.value, pending, found.ref, reference, Result.UNKNOWABLE.value)
            self.refused.add(pending.seal)
            self.alarms.raise_([alarm])
            return False
        self._done_with(pending)
        return bound is None

    async def _note(self, said: str, pending: Pending, at: ResourceRef, reference: str, result: str) -> None:
        """Records what is about to be done with a seal: said twice does no harm, never said would."""
        await self.log.append(
            AuditEvent(
                Kind.NOTE,
                new_id("req"),
                SYSTEM,
                f"reconciler:{said}",
                resource=place(at),
                records=(RecordPart({"reference": reference, "subject": None, "seal": pending.seal}),),
                upstream={"result": result, "by": "reconciler"},
            )
        )
