"""Creates whose record was never seen: looked for again, bound when it turns up after all, forgotten after a month.

A silent upstream may commit a create long after the reconciler looked and recorded that it was not there; a kill may fall between a
seal and its intent. The seal and the keys are kept meanwhile: without them such a record could never be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import orjson

from audit import AuditEvent, Kind, Log, RecordPart
from gateway.corridor.entries import place
from gateway.corridor.settle import SYSTEM, InSight, Result
from gateway.rooms import Alarms, Evidence
from gateway.words.access import ResourceRef
from gateway.words.binding import Pending
from gateway.words.errors import BadAnswer, NoAnswer, NotSent
from gateway.words.ids import new_id
from gateway.words.record import Alarm

MONTH = timedelta(days=30)
HOUR = timedelta(hours=1)
AT_ONCE = 200


class Kept(Protocol):
    """Keeps the seals of creates, and finishes or forgets them."""

    async def kept(self, before: datetime, limit: int) -> Sequence[Pending]:
        """Gives creates begun before that instant whose record was never seen, the oldest first."""
        ...

    async def bind_pending(self, seal: str, ref: ResourceRef) -> Alarm | None:
        """Binds a pending seal to the record that its create made."""
        ...

    async def drop_pending(self, seal: str) -> None:
        """Forgets a pending seal; one that is bound stays."""
        ...


@dataclass(frozen=True, slots=True)
class Latecomers:
    """Looks for each kept create once every `again`, and forgets it when it is older than `keep` and its intent is closed.

    patience: as in Settler. A seal whose intent is open is the settler's.
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

    async def round(self, grace: timedelta, now: datetime | None = None) -> int:
        """Looks for those that are due and gives how many were found. Raises what the log and the store raise."""
        now = now or datetime.now(UTC)
        kept = await self.places.kept(now - grace, AT_ONCE)
        open_seals = await self._open_seals() if kept else frozenset()
        found = 0
        for pending in kept:
            young = pending.created > now - grace - self.patience(pending.upstream)
            if young or pending.seal in open_seals:
                continue
            if pending.created < now - self.keep:
                await self.places.drop_pending(pending.seal)
                self.looked.pop(pending.seal, None)
            elif self.looked.get(pending.seal, now - self.again) <= now - self.again:
                self.looked[pending.seal] = now
                found += await self._look(pending)
        return found

    async def _open_seals(self) -> Set[str]:
        seals = set()
        for intent in await self.log.open_intents():
            for part in intent.entry.parts:
                body = orjson.loads(part.body)
                if isinstance(body, Mapping) and isinstance(seal := body.get("seal"), str):
                    seals.add(seal)
        return seals

    async def _look(self, pending: Pending) -> bool:
        resource = self.upstream.resource(pending.upstream, pending.resource)
        if resource is None or pending.marker is None:
            return False
        collection = ResourceRef(pending.upstream, pending.resource, None, pending.parent)
        try:
            found = await self.upstream.find(collection, resource, pending.marker)
        except (NotSent, NoAnswer, BadAnswer):
            return False  # another hour
        if found is None:
            return False
        if (alarm := await self.places.bind_pending(pending.seal, found.ref)) is not None:
            self.alarms.raise_([alarm])
            return False
        self.looked.pop(pending.seal, None)
        reference = self.evidence.reference(found.ref, resource.id_public)
        await self.log.append(
            AuditEvent(
                Kind.NOTE,
                new_id("req"),
                SYSTEM,
                "reconciler:found-late",
                resource=place(found.ref),
                records=(RecordPart({"reference": reference, "subject": None, "seal": pending.seal}),),
                upstream={"result": Result.DONE.value, "by": "reconciler"},
            )
        )
        return True
