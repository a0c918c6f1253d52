"""How a change of our own, or a look at it, is decided and recorded: the corridor's rule without an upstream. Services work here.

Identify → decide → intent entry → state rows with the intent's number → outcome entry → answer. Every refusal of somebody who
was identified has its own entry. No HTTP: a door gives an `Asker` and reads values.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from audit import AuditEvent, Kind, LogBusy, LogUnavailable, Receipt, RecordPart, Stale
from gateway.corridor.entries import decision_of, principal_of
from gateway.corridor.recorder import Appender
from gateway.corridor.walk import ATTEMPTS, Caches, Ruled
from gateway.observe import here
from gateway.store import Connection, Store
from gateway.words.access import Access, ResourceRef
from gateway.words.decision import Decision, Facts
from gateway.words.errors import Code, Denied, GatehouseError, Refused, Unavailable
from gateway.words.principal import Principal
from gateway.words.resource import ResourceSpec

T = TypeVar("T")


def _nothing_wrong() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, as a door knows him.

    request:  our id of the request.  purpose: the one he names, if any.  trace: the id of the request's trace, if it has one.
    identify: gives the principal; asked anew when the fence moved, since a key may have been revoked meanwhile.
    check:    raises Refused for what the door finds wrong with the request; runs once he is known, so that it is recorded as his.
    """

    request: str
    identify: Callable[[], Awaitable[Principal]]
    purpose: str | None = None
    check: Callable[[], None] = _nothing_wrong
    trace: str | None = None


@dataclass(slots=True)
class Visit:
    """One request at the desk. Grows on its way, so that a refusal's entry says all that was known."""

    asker: Asker
    action: str
    ruled: Ruled
    principal: Principal
    resource: ResourceSpec | None = None
    record: str | None = None
    purpose: str | None = None
    decision: Decision | None = None
    intent: Receipt | None = None

    def decide(self, now: datetime) -> Decision:
        """Gives the decision that allows. Raises Denied, and Refused(PURPOSE_NOT_HELD)."""
        if self.resource is None:
            raise AssertionError("what is decided on is a control resource")
        self.purpose = purpose_of(self.asker, self.principal)
        ref = ResourceRef(self.resource.upstream, self.resource.name, self.record)
        access = Access(self.asker.request, self.principal, self.action, self.purpose, ref, now)
        prepared = self.ruled.decider.prepare(access, self.resource, self.ruled.fence)
        # No facts: a key has none, and what may be done to it hangs on the asker alone.
        self.decision = prepared.early() or prepared.decide(Facts())
        if not self.decision.allowed:
            raise Denied(self.decision, told=self.ruled.decider.told(access, self.resource))
        return self.decision

    def event(
        self,
        kind: Kind,
        parts: Sequence[Mapping[str, Any]] = (),
        *,
        of: int | None = None,
        result: str | None = None,
        decision: Mapping[str, Any] | None = None,
    ) -> AuditEvent:
        """Gives an entry of this visit; `decision` stands in place of its own where it is given."""
        own = None if self.decision is None else decision_of(self.decision)
        place = (
            None
            if self.resource is None
            else {"upstream": self.resource.upstream, "type": self.resource.name}
        )
        return AuditEvent(
            kind=kind,
            request=self.asker.request,
            trace=self.asker.trace,
            principal=principal_of(self.principal, self.decision.roles if self.decision else ()),
            action=self.action,
            purpose=self.purpose,
            resource=place,
            records=tuple(RecordPart(part) for part in parts),
            decision=own if decision is None else decision,
            grant=self.decision.grant if self.decision else None,
            of=of,
            upstream=None if result is None else {"result": result},
        )

    def unrecorded(self) -> Unavailable:
        """Gives the error for a change of which nobody can say now what became of it; the reconciler settles its intent."""
        if self.intent is None:
            raise AssertionError("only a change that was intended can be unrecorded")
        error = Unavailable(Code.OUTCOME_UNRECORDED, intent=self.intent.ref)
        error.entry = self.intent.ref
        return error


@dataclass(frozen=True, slots=True)
class Desk:
    """Where requests about our own state arrive."""

    log: Appender
    caches: Caches
    store: Store
    clock: Callable[[], datetime]

    async def attend(
        self, asker: Asker, action: str, resource: ResourceSpec | None, work: Callable[[Visit], Awaitable[T]]
    ) -> T:
        """Gives what `work` gives. Raises GatehouseError, with `entry` set once somebody was identified.

        Promises: as the gate's `answer`. `work` may append with the fence only before it changes anything.
        """
        visit: Visit
        if (traced := here.get()) is not None:
            traced.about(action, None if resource is None else (resource.upstream, resource.name))
        for _ in range(ATTEMPTS):
            ruled = (
                self.caches.now
            )  # before the credential is looked up: what is read later can only be newer
            visit = Visit(asker, action, ruled, await asker.identify(), resource)
            try:
                return await self._recorded(visit, work)
            except Stale:
                await self._renew(visit)
        error = Unavailable(Code.FENCE_MOVING)
        error.entry = (await self._refuse(visit, error)).ref
        raise error

    async def intend(self, visit: Visit, part: Mapping[str, Any]) -> int:
        """Records what is about to be changed; gives the intent's number. Nothing may have been changed before."""
        visit.intent = await self.log.append(visit.event(Kind.INTENT, [part]), fence=visit.ruled.fence)
        return visit.intent.seq

    async def write(self, visit: Visit, work: Callable[[Connection], T]) -> T:
        """Writes the state rows of an intended change. Raises OUTCOME_UNRECORDED where nobody can say whether they stand."""
        try:
            return await self.store.write(work)
        except Unavailable as error:
            raise visit.unrecorded() from error

    async def conclude(self, visit: Visit, result: str) -> Receipt:
        """Records what became of it, and raises the fence: what is cached has changed. Raises OUTCOME_UNRECORDED."""
        if visit.intent is None:
            raise AssertionError("an outcome names its intent")
        event = visit.event(Kind.OUTCOME, of=visit.intent.seq, result=result)
        try:
            return await self.log.append(event, raises_fence=True)
        except (LogBusy, LogUnavailable) as error:
            raise visit.unrecorded() from error

    async def _recorded(self, visit: Visit, work: Callable[[Visit], Awaitable[T]]) -> T:
        try:
            visit.asker.check()
            with log_errors():
                return await work(visit)
        except GatehouseError as error:
            if error.entry is None and error.code not in (Code.LOG_BUSY, Code.LOG_UNAVAILABLE):
                error.entry = visit.intent.ref if visit.intent else (await self._refuse(visit, error)).ref
            raise
        except Stale:
            raise
        except Exception as defect:  # a defect of ours is an answer too, and has its entry
            internal = GatehouseError(Code.INTERNAL)
            internal.entry = visit.intent.ref if visit.intent else (await self._refuse(visit, internal)).ref
            raise internal from defect

    async def _renew(self, visit: Visit) -> None:
        """Reads everything cached anew, for a request that was told that it is stale. What cannot be read is refused, and recorded."""
        try:
            await self.caches.refresh()
        except GatehouseError as error:
            error.entry = (await self._refuse(visit, error)).ref
            raise

    async def _refuse(self, visit: Visit, error: GatehouseError) -> Receipt:
        verdict: dict[str, Any] | None = None
        if visit.decision is None or visit.decision.allowed:  # refused for another reason than the decision
            verdict = {
                "allowed": False,
                "reason": error.code.value,
                "by": "desk",
                "rule": None,
                "bundle": visit.decision.bundle if visit.decision else None,
                "facts": None,
                "engine": None,
            }
        parts = [] if visit.record is None else [{"reference": visit.record, "subject": None}]
        with log_errors():
            return await self.log.append(visit.event(Kind.DENIED, parts, decision=verdict))


def purpose_of(asker: Asker, principal: Principal) -> str | None:
    """Gives the purpose that is named, or the only one held; None where there is nothing to choose by.

    Raises Refused(PURPOSE_NOT_HELD).
    """
    if asker.purpose is not None:
        if asker.purpose not in principal.purposes:
            raise Refused(Code.PURPOSE_NOT_HELD)
        return asker.purpose
    return next(iter(principal.purposes)) if len(principal.purposes) == 1 else None


@contextmanager
def log_errors() -> Iterator[None]:
    """Turns what the log raises into our own errors; `Stale` passes."""
    try:
        yield
    except LogBusy as error:
        raise Unavailable(Code.LOG_BUSY, retry_after_seconds=error.retry_after_seconds) from error
    except LogUnavailable as error:
        raise Unavailable(Code.LOG_UNAVAILABLE) from error
