"""Creates whose record was never seen: looked for again, bound when it turns up after all, forgotten after a month.

A silent upstream may commit a create long after the reconciler looked and recorded that it was not there; one may say that it accepted
a create and do it later; a kill may fall between a seal and its intent. The seal and the keys are kept meanwhile: without them such a
record could never be read.
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
from gateway.words.record import Alarm, ClosedRecord
from gateway.words.resource import ResourceSpec

MONTH = timedelta(days=30)
HOUR = timedelta(hours=1)


class Kept(Protocol):
    """Keeps the seals of creates, and finishes or forgets them."""

    async def kept(self, before: datetime, after: Pending | None) -> Sequence[Pending]:
        """Gives the next creates begun before that instant whose record was never seen, the oldest first; empty at the end."""
        ...

    async def bind_pending(self, seal: str, ref: ResourceRef) -> Alarm | None:
        """Binds a pending seal to the record that its create made."""
        ...

    async def drop_pending(self, seal: str) -> None:
        """Forgets a pending seal; one that is bound stays."""
        ...


@dataclass(frozen=True, slots=True)
class Latecomers:
    """Looks for each kept create once every `again`; forgets it when it is older than `keep` and is not there now either.

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
        """Looks for those that are due and gives how many were found. Raises what the log and the store raise.

        An upstream that does not answer is not asked again in this round, and nothing of its creates is forgotten.
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
                if due and not young and pending.seal not in open_seals and pending.upstream not in silent:
                    try:
                        found += await self._look(pending, now)
                    except (NotSent, NoAnswer):
                        silent.add(pending.upstream)
                        self.looked[pending.seal] = now
                    except BadAnswer:
                        self.looked[pending.seal] = now
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
        if resource is None:
            return False  # no longer in the catalogue: nobody can say, and nothing is forgotten
        found = None
        if pending.marker is not None:
            collection = ResourceRef(pending.upstream, pending.resource, None, pending.parent)
            found = await self.upstream.find(collection, resource, pending.marker)
        if found is not None:
            return await self._bind(pending, resource, found, now)
        if pending.created < now - self.keep:
            await self.places.drop_pending(pending.seal)
            self.looked.pop(pending.seal, None)
        else:
            self.looked[pending.seal] = now
        return False

    async def _bind(
        self, pending: Pending, resource: ResourceSpec, found: ClosedRecord, now: datetime
    ) -> bool:
        """Records that it turned up, then lets it open: said twice does no harm, never said would."""
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
        if (alarm := await self.places.bind_pending(pending.seal, found.ref)) is not None:
            self.alarms.raise_([alarm])
            self.looked[pending.seal] = now
            return False
        self.looked.pop(pending.seal, None)
        return True
