"""Service: gives runs of entries to whoever may read the log. Entries hold no personal value in clear."""

from __future__ import annotations

from dataclasses import dataclass

from audit import Kind, Log, Receipt, StoredEntry
from gateway.corridor.desk import Asker, Desk, Visit
from gateway.corridor.entries import callers_token
from gateway.rooms import Evidence
from gateway.words.control import AUDIT_READ, CONTROL_AUDIT
from gateway.words.errors import Code, Refused

MAX_ENTRIES = 1_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A run of entries, oldest first, as they lie in the store; `receipt` is the entry of this very look."""

    entries: tuple[StoredEntry, ...]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Reading:
    """The service."""

    desk: Desk
    log: Log
    evidence: Evidence

    async def entries(
        self, asker: Asker, *, after: int | None, limit: int, callers_id: str | None = None
    ) -> Seen:
        """Gives at most `limit` entries above `after`; without `after` the last ones.

        callers_id: of those only the ones whose caller called his request so.
        Raises Denied, Refused(PARAMETER_MALFORMED), Unavailable. Promises: the look is recorded before anything is shown, with
        the range that was asked for.
        """

        async def work(visit: Visit) -> Seen:
            visit.decide(self.desk.clock())
            if not 1 <= limit <= MAX_ENTRIES or (after is not None and after < 0):
                raise Refused(Code.PARAMETER_MALFORMED, parameter="limit", expected=f"1 to {MAX_ENTRIES}")
            start = after
            if start is None:
                start = max(0, (await self.log.head()).seq - limit)
            found = await self.log.entries(start, limit)
            range_ = {"reference": f"{start + 1}-{start + len(found)}", "subject": None}
            receipt = await self.desk.log.append(visit.event(Kind.SERVED, [range_]), fence=visit.ruled.fence)
            if callers_id is not None:
                token = callers_token(callers_id, self.evidence).encode()
                found = [e for e in found if any(token in part.body for part in e.parts)]
            return Seen(tuple(found), receipt)

        return await self.desk.attend(asker, AUDIT_READ, CONTROL_AUDIT, work)
