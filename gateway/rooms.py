"""What the corridor asks of each room off it: one small protocol a room, in the order of the path.

The gate knows only these; app.py joins the real rooms to them. A room does not import this page: it fits it by shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.words.access import Access, Call, ResourceRef
from gateway.words.answer import Answer, Content
from gateway.words.budget import Budget
from gateway.words.claim import Claim, Standing
from gateway.words.decision import Decision, Facts
from gateway.words.draft import Draft
from gateway.words.filter import Within
from gateway.words.json import JsonObject, Pattern
from gateway.words.principal import Principal
from gateway.words.record import Alarm, ClosedRecord, SealedChange, View
from gateway.words.resource import ResourceSpec
from gateway.words.told import Told
from gateway.words.work import Addressed, List, Narrowing, Run


class Identifier(Protocol):
    """Step 2. Holds cached credentials; `Caches.refresh` makes them new."""

    async def identify(self, call: Call) -> Principal:
        """Gives who asks. Raises Unidentified (one answer for unknown, wrong, expired, revoked), Refused for PERSON_UNPROVEN."""
        ...


class Addresser(Protocol):
    """Step 3. Pure: the catalogue and the call."""

    def address(self, call: Call, principal: Principal) -> Addressed:
        """Gives the question and the work.

        Raises Refused: NOT_FOUND (no route), METHOD_NOT_LISTED, PARAMETER_UNKNOWN, PARAMETER_MALFORMED, MEDIA_TYPE, BODY_MALFORMED,
        BODY_TOO_LARGE, PURPOSE_MISSING (the principal holds several and the call names none), PURPOSE_NOT_HELD.
        """
        ...


class FactSource(Protocol):
    """Step 4."""

    @property
    def floored(self) -> bool:
        """True where somebody keeps floors: then a record's own facts do not say whether it may be seen."""
        ...

    async def floors(self, access: Access, subjects: Sequence[str | None]) -> Sequence[Facts]:
        """Gives what is known without each record: its subject's floors (erasure, holds, refusals), read fresh, never cached."""
        ...

    def of_record(self, resource: ResourceSpec, record: ClosedRecord, known: Facts) -> Facts:
        """Gives `known` joined with the facts that the record's non-personal fields carry."""
        ...

    def of_draft(self, resource: ResourceSpec, draft: Draft, known: Facts) -> Facts:
        """Gives the facts that a record about to be created would have."""
        ...


class Prepared(Protocol):
    """One principal's question about one resource, prepared once and asked for many records.

    budgets: those that hold for what it is shown; nothing but the log knows how much of them is left.
    """

    @property
    def budgets(self) -> tuple[Budget, ...]: ...

    def early(self) -> Decision | None:
        """Gives the denial that holds whatever the record's facts turn out to be, else None."""
        ...

    def collection(self) -> Decision:
        """Gives the decision on the collection as a whole, made without any record: allowed unless `early` denies. Its read view
        names only what is searchable; each item has a decision of its own."""
        ...

    def decide(self, facts: Facts) -> Decision:
        """Gives the decision for a record of these facts. An engine error is a denial; never raises."""
        ...

    def searchable(self) -> frozenset[Pattern]:
        """Gives the fields that are CLEAR on every record that this question could be allowed on."""
        ...

    def sees_all(self) -> bool:
        """True where this question is allowed on every record, whatever its facts: nothing of a collection is hidden."""
        ...

    def within(self, *, named: bool) -> Within:
        """Gives which records this question could be allowed on, now: what a list may leave unread. named: it may name who asks.
        Never raises."""
        ...


class Decider(Protocol):
    """Step 5. No I/O."""

    def prepare(self, access: Access, resource: ResourceSpec, fence: int) -> Prepared:
        """Gives the question made ready against the bundle that is active now."""
        ...

    def told(self, access: Access, resource: ResourceSpec) -> Told:
        """Gives what the caller may be told of a denial: made of the question and of his own roles, never of a record. Never raises."""
        ...


class Upstream(Protocol):
    """Step 7. Raises NotSent, NoAnswer or BadAnswer, and nothing else."""

    async def fetch(self, what: Addressed) -> Answer:
        """Reads the one record that `what` names, exactly as addressed (READ)."""
        ...

    async def content(self, what: Addressed) -> Content:
        """Reads the bytes of the one record that `what` names, whole (DOWNLOAD)."""
        ...

    def narrowing(self, what: Addressed, work: List, known: Callable[[bool], Within]) -> Narrowing:
        """Gives what the list can be narrowed by before it is read. known: gives which records are possible; it is asked with True
        where the answer may name who asks. Raises NotSent where a load has just taken the upstream away."""
        ...

    async def page(self, what: Addressed, work: List, run: Run) -> Answer:
        """Reads one run of a list."""
        ...

    async def before(self, what: Addressed) -> Answer:
        """Reads the record that a change is about, by the gateway itself (the resource's own read target)."""
        ...

    async def change(self, what: Addressed, sealed: SealedChange | None, condition: str | None) -> Answer:
        """Carries out a create, send, update or delete with the sealed document, conditional on `condition` where there is one."""
        ...

    async def find(self, ref: ResourceRef, resource: ResourceSpec, marker: str) -> ClosedRecord | None:
        """Looks for the record that a create with this marker made; None when it certainly is not there."""
        ...

    async def look(self, ref: ResourceRef, resource: ResourceSpec) -> ClosedRecord | None:
        """Reads one record for the reconciler; None when it certainly is not there."""
        ...

    def version_headers(self, what: Addressed, record: ClosedRecord) -> tuple[tuple[str, str], ...]:
        """Gives the headers that name the record's version, as the upstream would have sent them, if the route passes them."""
        ...

    def location_headers(self, what: Addressed, ref: ResourceRef) -> tuple[tuple[str, str], ...]:
        """Gives the header that says where a record that this route made can be read, if the route passes it and one reads it."""
        ...

    def compose(
        self,
        what: Addressed,
        views: Sequence[View],
        page: Answer,
        *,
        following: str | None,
        total: int | None,
    ) -> JsonObject:
        """Gives the answer's document in the route's own shape: the frame's listed members, and the views in place of records."""
        ...


class Lens(Protocol):
    """Step 8, and the sealing of drafts on the way to step 6."""

    async def views(
        self, resource: ResourceSpec, seen: Sequence[tuple[ClosedRecord, Decision]], principal: Principal
    ) -> Sequence[View]:
        """Opens and shows each record as its decision says. A field that cannot be opened in its place is withheld and an alarm."""
        ...

    async def subjects_of(
        self, resource: ResourceSpec, records: Sequence[ClosedRecord]
    ) -> Sequence[str | None]:
        """Gives our id of each record's data subject, None where it has none or is unbound. One query for those not cached."""
        ...

    async def pseudonym_of(
        self, what: Addressed, sealed: SealedChange | None, before: ClosedRecord | None
    ) -> str | None:
        """Gives the pseudonym under which an intent's entry names the data subject; None where there is none."""
        ...

    def named(self, resource: ResourceSpec, draft: Draft) -> ResourceRef | None:
        """Gives the record that a draft says it belongs to, None where it names none."""
        ...

    async def seal_create(
        self, what: Addressed, draft: Draft, decision: Decision, principal: Principal
    ) -> SealedChange:
        """Mints key and seal id, stores them as pending, and seals. Raises Refused (FIELD_UNKNOWN, FIELD_NOT_WRITABLE, VALUE_REFUSED)."""
        ...

    async def seal_update(
        self, what: Addressed, draft: Draft, before: ClosedRecord, decision: Decision, principal: Principal
    ) -> SealedChange:
        """Seals what changes; what he cannot see keeps its stored ciphertext; what he was shown and sends back changes nothing.

        A change that adopts its record has a pending seal: to be bound before anything of it is sent.
        Raises Refused: MASK_SUBMITTED, FIELD_NOT_WRITABLE, FIELD_UNKNOWN, SUBJECT_CHANGED, VALUE_REFUSED, RECORD_WITHHELD,
        SUBJECT_UNBOUND.
        """
        ...

    async def bind(self, sealed: SealedChange, ref: ResourceRef) -> Alarm | None:
        """Binds the pending seal to its record. An id already bound is an alarm and is never rebound."""
        ...

    async def drop(self, sealed: SealedChange) -> None:
        """Forgets a pending binding whose change certainly did not happen; one that is bound stays."""
        ...

    async def located(self, upstream: str, resource: str, reference: str) -> ResourceRef | None:
        """Gives the record that an entry's keyed reference stands for, None when no binding has it."""
        ...


class Repeats(Protocol):
    """Beside step 6: which change a caller's key stands for, among all replicas. What became of it is the log's to say."""

    def claim(self, call: Call, what: Addressed) -> Claim | None:
        """Gives what a change's key stands for, None where it names none. Raises Refused(HEADER_MALFORMED)."""
        ...

    async def first(self, claim: Claim) -> Standing | None:
        """Gives what this key stands for, None where it is free.

        Raises Refused: IDEMPOTENCY_KEY_REUSED (it stands for another request), TOO_MANY (the principal has as many as he may).
        """
        ...

    async def take(self, claim: Claim, intent: int, instead: int | None) -> bool:
        """Lets the key stand for the change of this intent; False where another has it. Durable when it returns.

        instead: the intent that it stood for until now, where the log says that nothing of that was sent.
        """
        ...


class Evidence(Protocol):
    """How things are named in entries: record ids are values unless the catalogue says otherwise."""

    def reference(self, ref: ResourceRef, public: bool) -> str:
        """Gives the record's reference for an entry: its id when public, else a keyed token."""
        ...

    def bytes_digest(self, label: str, data: bytes) -> str:
        """Gives a keyed digest (hex) of bytes that must not be guessed from the entry."""
        ...


class Seals(Protocol):
    """Small texts that leave and come back: a list's cursor. Opaque, authenticated, bound to who asked what."""

    def seal(self, label: str, plain: bytes, bound: bytes) -> str:
        """Gives a URL-safe text that only `open` with the same label and `bound` opens."""
        ...

    def open(self, label: str, text: str, bound: bytes) -> bytes | None:
        """Gives the plain bytes back, None for anything that was not sealed just so."""
        ...


class Alarms(Protocol):
    """Where alarms go besides the entry: a counter and one log line, without values."""

    def raise_(self, alarms: Sequence[Alarm]) -> None:
        """Counts and logs each; never blocks, never raises."""
        ...


class Traps(Protocol):
    """What is done about somebody who touched a decoy, once he has his answer: an alarm, and a freeze of what he came with."""

    def sprung(self, principal: Principal, request: str, ref: ResourceRef) -> None:
        """Begins it; never blocks, never raises: nothing of the answer may tell that it was begun."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """Step 10: what leaves. body holds clear values of exactly one View; repr shows nothing of it.

    tick_seconds: how long it took may tell what it does not show; it leaves at a multiple of this, 0 where it leaves at once.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    tick_seconds: float = 0.0


__all__ = [
    "Addresser",
    "Alarms",
    "Answer",
    "Decider",
    "Evidence",
    "FactSource",
    "Identifier",
    "Lens",
    "Prepared",
    "Repeats",
    "Reply",
    "Seals",
    "Traps",
    "Upstream",
]
