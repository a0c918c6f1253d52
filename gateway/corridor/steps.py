"""The single steps of the request path, each said once; gateway/gate.py puts them in order.

A step does one thing for one request and raises what ends it. None of them serves anything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from audit import Claim, LogBusy, LogUnavailable, Receipt
from gateway.corridor import entries
from gateway.corridor.recorder import Appender
from gateway.corridor.replies import check, refusal_of
from gateway.corridor.turns import Turns
from gateway.corridor.walk import Caches, Walk
from gateway.rooms import (
    Alarms,
    Answer,
    Evidence,
    FactSource,
    Identifier,
    Lens,
    Prepared,
    Repeats,
    Traps,
)
from gateway.words.access import ResourceRef
from gateway.words.decision import NOTHING_SHOWN, Decision, Disclosure, Facts
from gateway.words.draft import Draft
from gateway.words.errors import (
    BadAnswer,
    Code,
    Denied,
    GatehouseError,
    NotSent,
    Refused,
    Unaddressable,
    Unavailable,
)
from gateway.words.record import Alarm, AlarmKind, ClosedRecord, SealedChange
from gateway.words.resource import Verb, Versioning
from gateway.words.work import Addressed

NOT_SENT = "not-sent"
"""What an outcome says of a change of which certainly nothing reached the upstream."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The rooms off the corridor, and what is done with them.

    under_way: intents whose requests have not ended in this process; the reconciler leaves those alone.
    claimed: idempotency keys of requests under way in this process.
    """

    identifier: Identifier
    facts: FactSource
    lens: Lens
    log: Appender
    evidence: Evidence
    caches: Caches
    alarms: Alarms
    repeats: Repeats
    traps: Traps
    turns: Turns = field(default_factory=Turns)
    under_way: set[int] = field(default_factory=set)
    claimed: set[bytes] = field(default_factory=set)

    async def _before(
        self, walk: Walk, what: Addressed, asked: Prepared, condition: str | None
    ) -> tuple[ClosedRecord, Decision]:
        """Gives the record that a change is about, read by ourselves, and the decision on it."""
        await self._above(walk, what)
        answer = check(await walk.ruled.upstream.before(what))
        self._alarm(*answer.alarms)
        before = whole(answer)
        decision = await self._decide(walk, what, asked, before)
        if before.version is None and what.resource.versioning is not Versioning.NONE:
            raise BadAnswer(
                answer.status
            )  # promised by the catalogue; without one the write is not conditional
        # Who may not read the record knows no version of it: a condition of his is a guess, and never holds.
        if condition not in (None, "*") and not (
            condition == before.version and self._may_read(walk, what, decision)
        ):
            raise Refused(Code.CHANGED_MEANWHILE)
        return before, decision

    async def _seal_update(
        self, walk: Walk, what: Addressed, draft: Draft, before: ClosedRecord, decision: Decision
    ) -> SealedChange:
        """Seals what changes. Who may not read the record changes it blindly: what he sends tells him nothing by changing nothing.

        Who may read it sees its version: an equal value in a field that is stored in clear would move nothing, and tell him that he
        guessed. So of those he sets only what he sees.
        """
        if not self._may_read(walk, what, decision):
            decision = replace(decision, read=NOTHING_SHOWN)
        else:
            guesses = {
                spec.pattern
                for spec in what.resource.fields
                if not spec.sealed and decision.read.of(spec.pattern) is not Disclosure.CLEAR
            }
            decision = replace(decision, write=decision.write - guesses)
        return await self.lens.seal_update(what, draft, before, decision, walk.principal)

    async def _adopt(self, walk: Walk, what: Addressed, decision: Decision, sealed: SealedChange) -> None:
        """Binds a record that was there before us to the seal that its first change minted, before anything of it is sent.

        Its id is known, so nothing has to be waited for: whatever becomes of the change, and whenever, what it sealed opens.
        """
        if sealed.pending is None:
            return
        alarm = await self.lens.bind(sealed, what.ref)
        if alarm is None:
            return
        # Another change may have been first, and another replica's reconciler may have given this one up: no incidents, those.
        if alarm.kind is AlarmKind.BINDING_BROKEN:
            self._alarm(alarm)
        error = Refused(Code.CHANGED_MEANWHILE)
        await self._undone(walk, what, decision, sealed, {"result": NOT_SENT}, error)
        raise error

    async def _forward(
        self,
        walk: Walk,
        what: Addressed,
        decision: Decision,
        sealed: SealedChange | None,
        before: ClosedRecord | None,
    ) -> Answer:
        """Sends the change. An answer that says whether it was done is recorded; any other leaves the intent open."""
        condition = before.version if before and what.resource.versioning is not Versioning.NONE else None
        try:
            if before is not None and condition is None:
                await self._still(walk, what, before)
            answer = await walk.ruled.upstream.change(what, sealed, condition)
        except (NotSent, Refused) as unsent:
            await self._undone(walk, what, decision, sealed, {"result": NOT_SENT}, unsent)
            raise
        self._alarm(*answer.alarms)
        if 200 <= answer.status < 300:
            if answer.created is not None and sealed is not None:
                await self._bind(what, sealed, answer.created)
            return answer
        error = refusal_of(answer)
        if isinstance(error, Refused):  # answered, and not done
            said: dict[str, str | int] = {"result": "refused", "status": answer.status}
            await self._undone(walk, what, decision, sealed, said, error)
        raise error

    async def _still(self, walk: Walk, what: Addressed, before: ClosedRecord) -> None:
        """Compares again, just before a write that cannot be conditional. Whatever this raises, nothing was sent."""
        try:
            now = (await walk.ruled.upstream.before(what)).record
        except GatehouseError as error:
            raise NotSent from error
        if now is None or now.fields != before.fields:
            raise Refused(Code.CHANGED_MEANWHILE)

    async def _undone(
        self,
        walk: Walk,
        what: Addressed,
        decision: Decision,
        sealed: SealedChange | None,
        said: dict[str, str | int],
        error: GatehouseError,
    ) -> None:
        """Records that an intended change was certainly not done; the error then names that entry."""
        intent = walk.intent
        if sealed is not None:
            await self.lens.drop(
                sealed
            )  # first: where it cannot be, the intent stays open and the reconciler does it
        event = entries.outcome(what, decision, intent.seq, said, None, self.evidence)
        try:
            receipt = await self.log.append(event)
        except (LogBusy, LogUnavailable) as failure:
            raise self._unrecorded(intent) from failure
        error.entry = receipt.ref

    async def _bind(self, what: Addressed, sealed: SealedChange, created: str) -> None:
        """Binds the new record to its seal before anybody is told its id; else the intent stays open for the reconciler."""
        if what.resource.subject is None or sealed.pending is None:
            return
        ref = what.ref.record_of(created)
        if (alarm := await self.lens.bind(sealed, ref)) is not None:
            self.alarms.raise_([alarm])
            raise BadAnswer

    async def _decide(self, walk: Walk, what: Addressed, asked: Prepared, record: ClosedRecord) -> Decision:
        """Decides on a record that was fetched. Where even its existence is not his to know, it is not there."""
        walk.record = record
        decision = walk.decision = asked.decide(await self._facts(what, record))
        if decision.allowed:
            return decision
        if what.route.verb is not Verb.READ and self._may_read(walk, what, decision):
            raise Denied(decision)
        raise Denied(decision, Code.NOT_FOUND)

    async def _above(self, walk: Walk, what: Addressed) -> None:
        """Goes on where he may read the record that this one, or the list, is below; else it is as if that were not there."""
        if what.ref.parent is not None and not await self._reaches(walk, what, what.ref.parent):
            raise Refused(Code.NOT_FOUND)

    async def _named(self, walk: Walk, what: Addressed, draft: Draft) -> None:
        """Goes on where he may read the record that says whose a new one is; else it is refused as one that is not there is.

        Before anything else about the draft: what else is wrong with it says nothing of a record that is not his to know.
        """
        rule, ref = what.resource.subject, self.lens.named(what.resource, draft)
        if rule is None or rule.pointer is None or ref is None:
            return  # then the record above says whose it is
        if not await self._reaches(walk, what, ref):
            raise Refused(Code.VALUE_REFUSED, field=rule.pointer)

    async def _reaches(self, walk: Walk, what: Addressed, ref: ResourceRef) -> bool:
        """Tells whether another record, that this access leads to, is there and his to read.

        A body may name it by any text: what is no id of its resource, or fits no path, is not there, as in a path.
        """
        walk.touch(ref)
        resource = what.upstream.resources[ref.resource]
        if not resource.id_form.fits(ref.record or ""):
            return False
        try:
            found = await walk.ruled.upstream.look(ref, resource)
        except Unaddressable:
            return False
        if found is None:
            return False
        there = replace(what, access=what.leading_to(ref), resource=resource)
        asked = walk.ruled.decider.prepare(there.access, resource, walk.ruled.fence)
        decision = asked.decide(await self._facts(there, found))
        if not decision.allowed:
            walk.decision = decision
        return decision.allowed

    def _may_read(self, walk: Walk, what: Addressed, decision: Decision) -> bool:
        """Tells whether he may read the record that he changes: the right to change it shows nothing of it."""
        asked = walk.ruled.decider.prepare(what.reading(), what.resource, walk.ruled.fence)
        return asked.decide(decision.facts).allowed

    async def _facts(self, what: Addressed, record: ClosedRecord) -> Facts:
        subjects = await self.lens.subjects_of(what.resource, [record])
        (known,) = await self.facts.floors(what.access, subjects)
        return self.facts.of_record(what.resource, record, known)

    async def _refuse(
        self,
        walk: Walk,
        error: GatehouseError,
        fence: int | None = None,
        claims: tuple[Claim, ...] = (),
    ) -> Receipt:
        """Records a refusal. One of a change whose outcome nobody knows leaves its intent open and names it.

        Raises OverBudget where a claim does not fit.
        Raises Stale where a fence is given and the log's is newer: what was revoked since would be told what only it might know.
        """
        if walk.open_intent is not None:
            return walk.open_intent
        whose = await self._whose(walk)
        event = entries.refused(
            walk.call, walk.principal, error, walk.what, walk.decision, whose, self.evidence, walk.earlier
        )
        try:
            return await self.log.append(event, fence=fence, claims=claims)
        except LogBusy as busy:
            raise Unavailable(Code.LOG_BUSY, retry_after_seconds=busy.retry_after_seconds) from busy
        except LogUnavailable as unavailable:
            raise Unavailable(Code.LOG_UNAVAILABLE) from unavailable

    async def _whose(self, walk: Walk) -> str | None:
        """Gives the pseudonym of the data subject whose record was looked at and refused; None where nobody can say who it is."""
        if walk.what is None or walk.record is None:
            return None
        try:
            return await self.lens.pseudonym_of(walk.what, None, walk.record)
        except Exception:  # noqa: BLE001 - a refusal has its entry, whatever else breaks
            return None

    async def _renew(self, walk: Walk) -> None:
        """Reads everything cached anew, for a request that was told that it is stale. What cannot be read is refused, and recorded."""
        try:
            await self.caches.refresh()
        except GatehouseError as error:
            error.entry = (await self._refuse(walk, error)).ref
            raise

    def _unrecorded(self, intent: Receipt) -> Unavailable:
        error = Unavailable(Code.OUTCOME_UNRECORDED, intent=intent.ref)
        error.entry = intent.ref
        return error

    def _alarm(self, *raised: Alarm) -> None:
        if raised:
            self.alarms.raise_(raised)

    @asynccontextmanager
    async def _turn(self, what: Addressed) -> AsyncIterator[None]:
        """Serialises writes to a record whose upstream cannot make them conditional; the read before follows the turn."""
        if what.resource.versioning is not Versioning.NONE:
            yield
            return
        async with self.turns.of(what.ref, self.evidence.reference(what.ref, False)):
            yield


def whole(answer: Answer) -> ClosedRecord:
    """Gives the record of an answer that must carry one."""
    if answer.record is None:
        raise BadAnswer(answer.status)
    return answer.record
