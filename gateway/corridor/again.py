"""Beside steps 6 to 10: a change that its caller names by a key (Idempotency-Key) is made once; a repetition is told what came of it.

Intent → row with the intent's number → forwarded → outcome. What became of a change is read from the log and kept nowhere else;
a repetition is decided anew, shown what its caller may see now, and leaves an entry of its own that names the first one's intent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from audit import EventRefused, OverBudget, StoredEntry
from gateway.corridor import entries
from gateway.corridor.replies import refusal_of, reply
from gateway.corridor.showing import Showing
from gateway.corridor.steps import NOT_SENT
from gateway.corridor.walk import Walk
from gateway.rooms import Answer, Prepared, Reply
from gateway.words.claim import Claim, Standing
from gateway.words.decision import Decision, Facts
from gateway.words.errors import Code, Denied, GatehouseError, Refused
from gateway.words.record import ClosedRecord, SealedChange
from gateway.words.work import Addressed, Create, Delete, Update

_OPEN, _DONE, _ACCEPTED, _REFUSED, _UNKNOWABLE = "open", "done", "accepted", "refused", "unknowable"
_LATER = 429
"""The one refusal after which the same request is meant to be sent again; nothing was done, so its key is free."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """The first request with a key, as the log knows it.

    part: what its intent says of the record. result, status: as its outcome says, `open` while it has none.
    made: the record that the outcome names (its reference). shown: whether its caller was shown the record then.
    """

    intent: int
    ref: str
    part: Mapping[str, Any]
    result: str = _OPEN
    status: int | None = None
    made: str | None = None
    shown: bool = False

    @property
    def never_sent(self) -> bool:
        """True when the log says that nothing was done and that asking again is right."""
        return self.result == NOT_SENT or (self.result == _REFUSED and self.status == _LATER)

    def said(self) -> dict[str, Any]:
        """Gives what the repetition's entry says of it."""
        return (
            {"result": self.result} if self.status is None else {"result": self.result, "status": self.status}
        )


@dataclass(frozen=True, slots=True)
class Again(Showing):
    """What is done with keys: `_once` goes around a change, `_intend` writes the key down, `_tell` answers in a change's place."""

    @asynccontextmanager
    async def _once(self, walk: Walk, what: Addressed) -> AsyncIterator[Earlier | None]:
        """Gives what was sent with the caller's key before; None where this is the first, or names no key.

        Raises Refused: HEADER_MALFORMED, IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_KEY_IN_USE (one is under way here), TOO_MANY,
        IDEMPOTENCY_UNANSWERED (the log knows nothing of what the row says).
        """
        claim = self.repeats.claim(walk.call, what)
        if claim is None:
            yield None
            return
        walk.claim, standing = claim, await self.repeats.first(claim)
        earlier = None
        if standing is not None:
            walk.earlier = standing.intent
            earlier = await self._earlier(standing)
        if earlier is not None and not earlier.never_sent:
            yield earlier
            return
        # The row decides, among all processes; this only spares this one's own twins an intent each.
        if claim.key in self.claimed:
            raise Refused(Code.IDEMPOTENCY_KEY_IN_USE)
        self.claimed.add(claim.key)
        try:
            yield None
        finally:
            self.claimed.discard(claim.key)

    async def _earlier(self, standing: Standing) -> Earlier:
        entry = await self.log.entry(standing.intent)
        earlier = None if entry is None else begun(entry, standing.mark)
        if (
            earlier is None
        ):  # somebody changed the row, or the log is an older one: nothing is sent on such a word
            raise Refused(Code.IDEMPOTENCY_UNANSWERED, result=_UNKNOWABLE)
        settling = await self.log.settling(standing.intent)
        return earlier if settling is None else settled(earlier, settling)

    async def _intend(
        self,
        walk: Walk,
        what: Addressed,
        decision: Decision,
        sealed: SealedChange | None,
        before: ClosedRecord | None,
    ) -> None:
        """Records the intent, and lets the caller's key stand for it if he named one. When this returns the change may be forwarded."""
        subject = await self.lens.pseudonym_of(what, sealed, before)
        event = entries.intent(what, decision, sealed, before, subject, self.evidence, walk.claim)
        walk.open_intent = await self.log.append(event, fence=walk.ruled.fence)
        self.under_way.add(walk.open_intent.seq)
        if walk.claim is not None:
            await self._take(walk, what, decision, sealed, walk.claim)

    async def _take(
        self, walk: Walk, what: Addressed, decision: Decision, sealed: SealedChange | None, claim: Claim
    ) -> None:
        """Lets the caller's key stand for the intent, durably, before anything is forwarded; else nothing ever is."""
        try:
            if await self.repeats.take(claim, walk.intent.seq, walk.earlier):
                return
            # Of two that began at once the other may have been another request; then that is said.
            await self.repeats.first(claim)
            raise Refused(Code.IDEMPOTENCY_KEY_IN_USE)
        except GatehouseError as error:
            await self._undone(walk, what, decision, sealed, {"result": NOT_SENT}, error)
            raise

    async def _tell(self, walk: Walk, what: Addressed, asked: Prepared, earlier: Earlier) -> Reply:
        """Tells what became of the first request, to whom may still make such a change, and shows what he may see now. Sends nothing."""
        decision = walk.decision = asked.decide(await self._facts_again(what, earlier))  # 4, 5
        if not decision.allowed:
            hidden = not isinstance(what.work, Create) and not self._may_read(walk, what, decision)
            raise Denied(decision, Code.NOT_FOUND if hidden else None)
        if earlier.result == _OPEN:
            error = Refused(Code.IDEMPOTENCY_KEY_IN_USE, intent=earlier.ref)
            raise await self._told(walk, what, decision, earlier, error)
        record, decision = await self._as_it_is(walk, what, asked, decision, earlier)
        if earlier.result not in (_DONE, _ACCEPTED):
            raise await self._told(walk, what, decision, earlier, _error(earlier))
        seen = [] if record is None else [(record, decision)]
        views = await self.lens.views(what.resource, seen, walk.principal)  # 8
        self._alarm(*(alarm for view in views for alarm in view.alarms))
        said = earlier.said()
        takes = self._takes(what, asked, views)
        event = entries.repeated(what, decision, views, earlier.intent, said, self.evidence)
        try:
            receipt = await self.log.append(event, fence=walk.ruled.fence, claims=takes.claims)  # 9
        except (EventRefused, OverBudget) as why:
            # The record is more than an entry can hold, or he was shown as much as he may be: it is told that it was done, and not shown.
            record = None
            event = entries.repeated(what, decision, (), earlier.intent, said, self.evidence)
            receipt = await self._unshown(what, event, takes, why, walk.ruled.fence)
        passing = [("gatehouse-replay", earlier.ref)]
        status = earlier.status or (201 if isinstance(what.work, Create) else 204)
        if record is None:
            return reply(status if status in (201, 202) else 204, None, receipt, decision, passing)  # 10
        upstream = walk.ruled.upstream
        passing += upstream.version_headers(what, record)
        if isinstance(what.work, Create):
            passing += upstream.location_headers(what, record.ref)
        document = upstream.compose(what, views, Answer(status, record), following=None, total=None)
        return reply(200 if status == 204 else status, document, receipt, decision, passing)  # 10

    async def _told(
        self, walk: Walk, what: Addressed, decision: Decision, earlier: Earlier, error: GatehouseError
    ) -> GatehouseError:
        """Gives the error that tells him; recorded with the fence, since it tells something of the change."""
        event = entries.repeated(what, decision, (), earlier.intent, earlier.said(), self.evidence)
        error.entry = (await self.log.append(event, fence=walk.ruled.fence)).ref
        return error

    async def _facts_again(self, what: Addressed, earlier: Earlier) -> Facts:
        """Gives what can be decided on without asking the upstream: a draft's facts, or the record's when the intent was recorded.

        Floors are never those of then.
        """
        if isinstance(what.work, Create):
            (known,) = await self.facts.floors(what.access, [None])
            return self.facts.of_draft(what.resource, what.work.draft, known)
        subjects = await self.lens.subjects_of(what.resource, [ClosedRecord(what.ref, {})])
        (known,) = await self.facts.floors(what.access, subjects)
        values = _facts_of(earlier.part)
        # A record's part names every fact of its resource, null where it has none: what is missing there could be no fact then.
        unfit = {f.fact for f in what.resource.fields if f.fact is not None and f.fact not in values}
        return Facts(values, known.floors, frozenset(unfit))

    async def _as_it_is(
        self, walk: Walk, what: Addressed, asked: Prepared, decision: Decision, earlier: Earlier
    ) -> tuple[ClosedRecord | None, Decision]:
        """Gives the record as it is now, None where he is to be shown nothing of it, and the decision that this rests on.

        Raises Denied and Refused as the change itself would: what was hidden, moved or removed since is not there for him.
        """
        match what.work:
            case Update():
                record, decision = await self._before(walk, what, asked, None)
                shows = earlier.result == _DONE and self._may_read(walk, what, decision)
                return (record if shows else None), decision
            case Create():
                await self._above(walk, what)
                await self._named(walk, what, what.work.draft)
                if earlier.result != _DONE:
                    return None, decision
                made = await self._made(walk, what, earlier)
                now = None if made is None else asked.decide(await self._facts(what, made))
                if now is not None and now.allowed and self._may_read(walk, what, now):
                    return made, now
                walk.decision = now or decision
                if earlier.shown:  # the same answer whether it was hidden from him since or removed
                    raise Refused(Code.NOT_FOUND)
                return None, decision
            case Delete():
                await self._above(walk, what)
        return None, decision

    async def _made(self, walk: Walk, what: Addressed, earlier: Earlier) -> ClosedRecord | None:
        """Gives the record that a create made: by the gateway's own binding where it has one, else by the create's marker."""
        resource, upstream = what.resource, walk.ruled.upstream
        record = earlier.made
        if record is not None and not resource.id_public:
            located = await self.lens.located(resource.upstream, resource.name, record)
            record = None if located is None else located.record
        if record is not None:
            return await upstream.look(what.ref.record_of(record), resource)
        marker = earlier.part.get("marker")
        return None if marker is None else await upstream.find(what.ref, resource, marker)


def begun(entry: StoredEntry, mark: str) -> Earlier | None:
    """Gives what an intent's entry says; None for an entry that is no intent of this very request: its mark is another. Pure."""
    part = orjson.loads(entry.parts[0].body) if entry.parts else {}
    if part.get("idempotency") != mark:
        return None
    return Earlier(entry.seq, f"{entry.seq}:{entry.hash}", part)


def settled(earlier: Earlier, entry: StoredEntry) -> Earlier:
    """Gives the same with what became of it. Pure."""
    said = orjson.loads(entry.bytes)["upstream"] or {}
    part = orjson.loads(entry.parts[0].body) if entry.parts else {}
    return Earlier(
        earlier.intent,
        earlier.ref,
        earlier.part,
        said.get("result", _UNKNOWABLE),
        said.get("status"),
        part.get("reference"),
        "fields" in part,
    )


def _error(earlier: Earlier) -> GatehouseError:
    if earlier.result == _REFUSED and earlier.status is not None:
        return Refused(refusal_of(Answer(earlier.status)).code, intent=earlier.ref)
    return Refused(Code.IDEMPOTENCY_UNANSWERED, result=earlier.result, intent=earlier.ref)


def _facts_of(part: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the facts that an entry's part holds, as they were decided on; its floors are left where they are."""
    facts = {name: value for name, value in part.get("facts", {}).items() if not isinstance(value, dict)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
