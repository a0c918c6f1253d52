"""Service: a bundle comes in force because somebody asks for it: at once where nobody's access widens, else when another confirms it.

Order of both, and what holds where it breaks off:
    intent entry        nothing is changed yet
    state row           what was filed waits; what is confirmed is confirmed by that person, once
    activation entry    raises the fence: the bundle is in force on every process, and only where the one before it still was
    outcome entry       without it the reconciler looks whether the activation stands, and ends what was not done
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import orjson

from audit import Kind, Log, LogBusy, LogUnavailable, Receipt
from gateway.activating.entries import How
from gateway.approvals import (
    confirm_approval,
    execute_approval,
    insert_approval,
    lapse_approval,
    read_approval,
)
from gateway.catalogue import Catalogue
from gateway.corridor.desk import Asker, Desk, Visit
from gateway.policy import Bundle, gains
from gateway.words.approval import ACTIVATE_BUNDLE, LASTS, Approval, Statement
from gateway.words.control import CONTROL_POLICY, POLICY_ACTIVATE, POLICY_APPROVE
from gateway.words.errors import Code, Refused, Unavailable
from gateway.words.ids import new_id
from gateway.words.json import JsonObject
from gateway.words.principal import Party
from gateway.words.widening import Widening

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_APPROVAL = re.compile(r"apr_[0-9a-hjkmnp-tv-z]{26}", re.ASCII)
_CONFIRMED = b'"action":"policy:approve"'  # as the canonical form spells it


class Whole(Protocol):
    """A bundle with its catalogue."""

    @property
    def bundle(self) -> Bundle:
        """The rules."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """What they speak about."""
        ...


class Ready(Protocol):
    """A bundle that was made ready."""

    @property
    def digest(self) -> str:
        """Its digest."""
        ...

    @property
    def loaded(self) -> Whole:
        """What it is."""
        ...


R = TypeVar("R", bound=Ready)


class Putting(Protocol[R]):
    """What puts bundles in force."""

    @property
    def digest(self) -> str:
        """Of the bundle in force."""
        ...

    @property
    def now(self) -> Whole:
        """The bundle in force. Raises Unavailable."""
        ...

    @property
    def waits(self) -> str | None:
        """The digest of what the policy folder offers and a person has to look at."""
        ...

    @property
    def waives(self) -> bool:
        """Whether the demonstration runs, which asks for no second person."""
        ...

    async def ready(self, digest: str) -> R:
        """Gives a kept bundle made ready. Raises Refused(VALUE_REFUSED)."""
        ...

    async def weighed(self, offer: R) -> tuple[tuple[Widening, ...], JsonObject]:
        """Gives how it could widen anybody's access beside what is in force, and what an entry says of the difference."""
        ...

    async def put(self, offer: R, before: str, how: How, said: JsonObject) -> Receipt | None:
        """Puts it in force where `before` still is, by one entry; None where another is by now. Raises Unavailable."""
        ...

    async def drop(self, offer: R) -> None:
        """Lets go of what was made ready and is not in force."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which bundle; None: the one that the policy folder offers and that waits."""

    bundle: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What became of it. approval: what was filed or confirmed, None where nobody else was asked. entry: the activation, None while it
    waits. receipt: of the outcome."""

    statement: Statement
    approval: Approval | None
    entry: int | None
    waived: bool
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Activating(Generic[R]):
    """The service."""

    desk: Desk
    log: Log
    putting: Putting[R]

    async def file(self, asker: Asker, read: Callable[[], Wanted]) -> Done:
        """Puts a bundle in force where it widens nobody's access, and files it for another to confirm where it could.

        `read` gives what is asked for, once the asker is known. Raises what `read` raises, Denied, Refused (PERSON_NEEDED; VALUE_REFUSED:
        there is no such bundle, or it is in force; APPROVAL_OVER: another came in force meanwhile), Unavailable.
        """

        async def work(visit: Visit) -> Done:
            visit.decide(self.desk.clock())
            person = _person(visit)
            digest = self._digest(read())
            offer = await self.putting.ready(digest)
            try:
                before = self.putting.digest
                statement = Statement(ACTIVATE_BUNDLE, before, digest)
                widenings, said = await self.putting.weighed(offer)
                if widenings and not self.putting.waives:
                    return await self._filed(visit, statement, person, said)
                return await self._at_once(visit, offer, statement, person, said, waived=bool(widenings))
            finally:
                await self.putting.drop(offer)

        return await self.desk.attend(asker, POLICY_ACTIVATE, CONTROL_POLICY, work)

    async def confirm(self, asker: Asker, name: str) -> Done:
        """Confirms what another filed, and does it.

        Raises Denied, Refused (PERSON_NEEDED, NOT_FOUND, APPROVAL_OWN, APPROVAL_GAINS; APPROVAL_OVER: it was confirmed, ended, is not
        what the log says was filed, or another bundle is in force than the one that it was filed against), Unavailable.
        Promises: of any number of confirmations one at most puts the bundle in force, once, in the place of exactly that bundle.
        """

        async def work(visit: Visit) -> Done:
            if not _APPROVAL.fullmatch(name):
                visit.decide(self.desk.clock())
                raise Refused(Code.NOT_FOUND)
            approval = await self.desk.store.read(lambda c: read_approval(c, name))
            if approval is not None:
                visit.record = approval.id
            visit.decide(self.desk.clock())
            person = _person(visit)
            if approval is None:
                raise Refused(Code.NOT_FOUND)
            if person.id == approval.filed_by:
                raise Refused(Code.APPROVAL_OWN)
            if not approval.waits(self.desk.clock()) or not await self._stands(approval):
                raise Refused(Code.APPROVAL_OVER)
            if approval.statement.before != self.putting.digest:
                await self._lapse(visit, approval)
            offer = await self.putting.ready(approval.statement.after)
            try:
                return await self._confirmed(visit, offer, approval, person)
            finally:
                await self.putting.drop(offer)

        return await self.desk.attend(asker, POLICY_APPROVE, CONTROL_POLICY, work)

    def _digest(self, wanted: Wanted) -> str:
        digest = wanted.bundle or self.putting.waits
        if digest is None or not _DIGEST.fullmatch(digest) or digest == self.putting.digest:
            raise Refused(Code.VALUE_REFUSED, field="/bundle")
        return digest

    async def _filed(self, visit: Visit, statement: Statement, person: Party, said: JsonObject) -> Done:
        now = self.desk.clock()
        name = visit.record = new_id("apr")
        part = _part("file", name, statement) | {"until": (now + LASTS).isoformat(), **said}
        intent = await self.desk.intend(visit, part)
        filed = Approval(name, statement, person.id, now, now + LASTS, intent)
        await self.desk.write(visit, lambda c: insert_approval(c, filed))
        receipt = await self.desk.conclude(visit, "done")
        return Done(statement, filed, None, False, receipt)

    async def _at_once(
        self, visit: Visit, offer: R, statement: Statement, person: Party, said: JsonObject, *, waived: bool
    ) -> Done:
        visit.record = statement.after
        intent = await self.desk.intend(visit, _part("activate", statement.after, statement))
        how = How.WAIVED if waived else How.NARROW
        entry = await self._put(
            visit, offer, statement, how, {**said, "filed_by": person.id, "intent": intent}
        )
        if entry is None:
            await self.desk.conclude(visit, "not-done")
            raise Refused(Code.APPROVAL_OVER)
        return Done(statement, None, entry.seq, waived, await self.desk.conclude(visit, "done"))

    async def _confirmed(self, visit: Visit, offer: R, approval: Approval, person: Party) -> Done:
        statement, name = approval.statement, approval.id
        old, new = self.putting.now, offer.loaded
        widenings, said = await self.putting.weighed(offer)
        if gains(old.bundle, new.bundle, new.catalogue, widenings, person):
            raise Refused(Code.APPROVAL_GAINS)
        intent = await self.desk.intend(visit, _part("confirm", name, statement))
        now = self.desk.clock()
        mine = await self.desk.write(visit, lambda c: confirm_approval(c, name, person.id, now, intent))
        if not mine:
            await self.desk.conclude(visit, "not-done")
            raise Refused(Code.APPROVAL_OVER)
        told: JsonObject = {
            "approval": name,
            "filed_by": approval.filed_by,
            "filed": approval.intent,
            "confirmed_by": person.id,
            "intent": intent,
        }
        entry = await self._put(visit, offer, statement, How.APPROVED, {**said, **told})
        if entry is None:
            await self._over(visit, approval, intent)
        else:
            seq = entry.seq
            await self.desk.write(visit, lambda c: execute_approval(c, name, seq))
            return Done(statement, approval, seq, False, await self.desk.conclude(visit, "done"))
        raise Refused(Code.APPROVAL_OVER)

    async def _put(
        self, visit: Visit, offer: R, statement: Statement, how: How, said: JsonObject
    ) -> Receipt | None:
        try:
            return await self.putting.put(offer, statement.before, how, said)
        except (Unavailable, LogBusy, LogUnavailable) as error:
            raise visit.unrecorded() from error

    async def _lapse(self, visit: Visit, approval: Approval) -> None:
        """Ends what can no longer be done as it was filed; the log says so. Raises Refused(APPROVAL_OVER)."""
        intent = await self.desk.intend(visit, _part("lapse", approval.id, approval.statement))
        await self._over(visit, approval, intent)
        raise Refused(Code.APPROVAL_OVER)

    async def _over(self, visit: Visit, approval: Approval, intent: int) -> None:
        now = self.desk.clock()
        await self.desk.write(visit, lambda c: lapse_approval(c, approval.id, now, intent))
        await self.desk.conclude(visit, "not-done")

    async def _stands(self, approval: Approval) -> bool:
        """Tells whether the log has it as the row says: filed by that person, with its outcome, and no intent to confirm it yet.

        A row may have been written by anybody who can write to the state store, and an older copy of it may have come back.
        """
        filed = await self.log.entry(approval.intent)
        if filed is None:
            return False
        said, part = orjson.loads(filed.bytes), orjson.loads(filed.parts[0].body) if filed.parts else {}
        as_filed = (
            (said["kind"], said["action"], said["principal"]["person"])
            == (Kind.INTENT, POLICY_ACTIVATE, approval.filed_by)
            and (part.get("verb"), part.get("reference")) == ("file", approval.id)
            and part.get("statement") == approval.statement.digest
        )
        settled = await self.log.settling(approval.intent) if as_filed else None
        if settled is None or (orjson.loads(settled.bytes)["upstream"] or {}).get("result") != "done":
            return False
        upto = (await self.log.head()).seq
        while (found := await self.log.latest(_CONFIRMED, approval.intent, upto)) is not None:
            if _begins(found.bytes, [part.body for part in found.parts], approval.id):
                return False
            upto = found.seq - 1
        return True


def _begins(entry: bytes, parts: Sequence[bytes], name: str) -> bool:
    return orjson.loads(entry)["kind"] == Kind.INTENT and any(
        orjson.loads(part).get("reference") == name for part in parts
    )


def _person(visit: Visit) -> Party:
    """Gives the person who asks. Raises Refused(PERSON_NEEDED): an application that asks for itself proves nobody."""
    person = visit.principal.person
    if person is None:
        raise Refused(Code.PERSON_NEEDED)
    return person


def _part(verb: str, reference: str, statement: Statement) -> JsonObject:
    return {
        "verb": verb,
        "reference": reference,
        "subject": None,
        "kind": statement.kind,
        "before": statement.before,
        "after": statement.after,
        "statement": statement.digest,
    }
