"""Service: which bundles came in force when, by whom, what was refused, and what waits. Decided on and recorded like any look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from audit import Kind, Log, Receipt, StoredEntry
from gateway.activating.service import Done, Putting
from gateway.approvals import waiting_approvals
from gateway.corridor.desk import Asker, Desk, Visit
from gateway.words.approval import Approval
from gateway.words.control import CONTROL_POLICY, POLICY_HISTORY
from gateway.words.errors import Code, Refused
from gateway.words.json import JsonObject

MAX_LISTED = 500
_ABOUT_BUNDLES = b'"action":"bundle:'  # as the canonical form spells it
_SAID = ("approval", "filed_by", "confirmed_by", "waived")


@dataclass(frozen=True, slots=True)
class Told:
    """The history as a document, and the entry that says that it was given."""

    document: JsonObject
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class History:
    """The service."""

    desk: Desk
    log: Log
    putting: Putting[Any]

    async def told(self, asker: Asker, read: Callable[[], int]) -> Told:
        """Gives the last entries about bundles, latest first, and what waits. `read` gives how many, 1 to MAX_LISTED.

        Raises what `read` raises, Denied, Refused(PARAMETER_MALFORMED), Unavailable.
        """

        async def work(visit: Visit) -> Told:
            visit.decide(self.desk.clock())
            limit = read()
            if not 1 <= limit <= MAX_LISTED:
                raise Refused(Code.PARAMETER_MALFORMED, parameter="limit", expected=f"1 to {MAX_LISTED}")
            items = await self._items(limit)
            still = await self.desk.store.scan(lambda c: waiting_approvals(c, self.desk.clock()))
            receipt = await self.desk.log.append(
                visit.event(Kind.SERVED, [{"reference": "history", "subject": None, "entries": len(items)}]),
                fence=visit.ruled.fence,
            )
            document: JsonObject = {
                "bundle": self.putting.digest,
                "waits": self.putting.waits,
                "approvals": [waiting(one) for one in still],
                "items": [*items],
            }
            return Told(document, receipt)

        return await self.desk.attend(asker, POLICY_HISTORY, CONTROL_POLICY, work)

    async def _items(self, limit: int) -> list[JsonObject]:
        upto, items = (await self.log.head()).seq, list[JsonObject]()
        while len(items) < limit and (found := await self.log.latest(_ABOUT_BUNDLES, 0, upto)) is not None:
            items.append(_item(found))
            upto = found.seq - 1
        return items


def shown(done: Done) -> JsonObject:
    """Gives what became of a filing or a confirmation as documents hold it."""
    approval = None if done.approval is None else waiting(done.approval)
    return {
        "state": "waits" if done.entry is None else "done",
        "before": done.statement.before,
        "after": done.statement.after,
        "approval": approval,
        "entry": done.entry,
        "waived": done.waived,
    }


def waiting(approval: Approval) -> JsonObject:
    """Gives an approval as documents hold it."""
    return {
        "id": approval.id,
        "kind": approval.statement.kind,
        "before": approval.statement.before,
        "after": approval.statement.after,
        "digest": approval.statement.digest,
        "filed_by": approval.filed_by,
        "filed": _text(approval.filed_at),
        "until": _text(approval.until),
    }


def _item(entry: StoredEntry) -> JsonObject:
    said = orjson.loads(entry.bytes)
    part: Mapping[str, Any] = orjson.loads(entry.parts[0].body) if entry.parts else {}
    widens = part.get("widens")
    return {
        "seq": entry.seq,
        "time": said["time"],
        "what": said["action"].partition(":")[2],
        "how": said["decision"]["reason"],
        "bundle": said["decision"]["bundle"],
        "before": part.get("before"),
        "reasons": widens["reasons"] if isinstance(widens, dict) else None,
        "problems": part.get("problems"),
        **{name: part.get(name) for name in _SAID},
    }


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
