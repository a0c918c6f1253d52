"""Step 8 of the request path, and the sealing of drafts before step 6. Fits `rooms.Lens` and the reconciler's `Places`.

The one maker of `View` and, but for the catalogue's facts, the one that looks into a `Draft` (tests/rules/test_clear_values.py).
What opens a record is fetched for all records at once; then everything is pure.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gateway.fields.bindings import new_seal
from gateway.fields.change import Change, Sealing, Silence
from gateway.fields.envelope import about_record, holds_envelope
from gateway.fields.fetch import (
    Fetcher,
    Found,
    bound_of,
    broken,
    classes_of,
    current_key,
    named_by,
    nobodys,
    place_of,
    subject_of,
)
from gateway.fields.joining import Joining, adopting, sealed_of
from gateway.fields.look import Look, Place
from gateway.fields.shape import at, placed, shape_of
from gateway.fields.show import Show
from gateway.fields.subjects import SubjectKeys
from gateway.fields.tokens import token
from gateway.fields.whose import Whose
from gateway.keys import Keyring
from gateway.store import Conflict, Store, conflict_of
from gateway.words.access import ResourceRef
from gateway.words.binding import Pending
from gateway.words.decision import Decision, FieldView
from gateway.words.draft import Draft
from gateway.words.errors import Code, Refused
from gateway.words.json import Json, JsonObject, Pattern
from gateway.words.principal import Principal
from gateway.words.record import Alarm, AlarmKind, ClosedRecord, SealedChange, View
from gateway.words.resource import FieldClass, Idempotency, ResourceSpec, UpdateMode
from gateway.words.work import Addressed, Update

UNKNOWN_LIMIT = 1_000
"""How many different unknown fields one process reports; an upstream must not fill our memory with names."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What is the same for every record of one question: the resource, the day, how a token is made for this application."""

    resource: ResourceSpec
    today: date
    token: Callable[[Pattern, Json], Json]

    def look(self, place: Place, decision: Decision, links: Mapping[str, str]) -> Look:
        """Gives the eye for one record."""
        return Look(self.resource, place, decision.read, self.today, self.token, links)


class _Unchanged(Exception):
    """No error: what ends the transaction of an adoption by a change that would change nothing."""

    def __init__(self, made: SealedChange) -> None:
        super().__init__()
        self.made = made


class FieldLens:
    """The lens on one state store. `adopted` is told how many values of an answer came in clear where they should be sealed, while
    `clear_until` runs: what is left of an adoption. `alarm` is told of a broken row that no answer speaks of."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        dice: Callable[[int], bytes] = os.urandom,
        adopted: Callable[[int], None] = lambda _: None,
        alarm: Callable[[Alarm], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._dice = dice
        self._fetcher = Fetcher(store, keyring, clock, alarm)
        self._whose = Whose(self._fetcher)
        self._reported: set[Alarm] = set()
        self._adopted = adopted

    def forget(self) -> None:
        """Empties what must be read anew after a fence: unwrapped keys and pseudonyms. Bindings never change."""
        self._fetcher.data_keys.forget()

    # ── showing ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def views(
        self, resource: ResourceSpec, seen: Sequence[tuple[ClosedRecord, Decision]], principal: Principal
    ) -> Sequence[View]:
        """Opens and shows each record as its decision says. A field that cannot be opened in its place is withheld and an alarm."""
        asking = self._asking(resource, principal)
        found = await self._fetcher.fetch(resource, [record for record, _ in seen])
        views: list[View] = []
        again: list[int] = []
        adopted = 0
        for number, (record, decision) in enumerate(seen):
            view, look = self._view(asking, found, record, decision)
            views.append(view)
            adopted += look.adopted
            if look.reload:
                again.append(number)
        if again:  # once: an envelope names a key that another process may have made since ours were read
            bound = (bound_of(resource, found, seen[number][0]) for number in again)
            await self._fetcher.load_keys(found, sorted({b.subject for b in bound if b}), fresh=True)
            for number in again:
                views[number], _ = self._view(asking, found, *seen[number])
        for view in views:
            self._note(view)
        if adopted:
            self._adopted(adopted)
        return views

    def _asking(self, resource: ResourceSpec, principal: Principal) -> Asking:
        make = partial(token, self._keyring, principal.application.id, resource)
        return Asking(resource, self._clock().astimezone(UTC).date(), make)

    def _view(
        self, asking: Asking, found: Found, record: ClosedRecord, decision: Decision
    ) -> tuple[View, Look]:
        resource = asking.resource
        place = place_of(resource, found, record)
        if place.shut is AlarmKind.RECORD_UNBOUND and holds_envelope(record.fields):
            # It holds a ciphertext, and nobody knows whose: a copy, or a create that is not settled yet. One in clear may be adopted.
            decision = replace(decision, read=_public(resource, decision.read))
        look = asking.look(place, decision, record.links)
        show = Show(look)
        document = show.record(shape_of(resource), record.fields)
        subject = subject_of(resource, found, record)
        keys = found.keys.get(subject) if subject is not None else None
        view = View(
            ref=record.ref,
            decision=decision,
            document=document,
            shown=show.shown,
            subject=keys.pseudonym if keys is not None else None,
            alarms=look.alarms,
        )
        return view, look

    def _note(self, view: View) -> None:
        """Takes from a view's alarms the unknown fields that were reported before: once a process is enough."""
        if not any(alarm.kind is AlarmKind.FIELD_UNKNOWN for alarm in view.alarms):
            return
        kept = []
        for alarm in view.alarms:
            if alarm.kind is AlarmKind.FIELD_UNKNOWN:
                if alarm in self._reported or len(self._reported) >= UNKNOWN_LIMIT:
                    continue
                self._reported.add(alarm)
            kept.append(alarm)
        view.alarms = tuple(kept)

    # ── whose ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def subjects_of(
        self, resource: ResourceSpec, records: Sequence[ClosedRecord]
    ) -> Sequence[str | None]:
        """Gives our id of each record's data subject, None where it has none or is unbound."""
        return await self._whose.each(resource, records)

    async def pseudonym_of(
        self, what: Addressed, sealed: SealedChange | None, before: ClosedRecord | None
    ) -> str | None:
        """Gives the pseudonym under which an intent's entry names the data subject; None where there is none.

        Raises Refused RECORD_WITHHELD where there is one and a row that says who does not hold: the entry would speak of nobody.
        """
        resource, found = what.resource, Found()
        subject = sealed.subject if sealed is not None else None
        if subject is not None:
            await self._fetcher.load_keys(found, [subject])
        elif before is not None:
            found = await self._fetcher.fetch(resource, [before])
            if nobodys(resource, found, before):
                raise broken(resource)
            subject = subject_of(resource, found, before)
        if subject is None:
            return None
        keys = found.keys.get(subject)
        if keys is None or keys.broken:
            raise broken(resource)
        return keys.pseudonym

    def named(self, resource: ResourceSpec, draft: Draft) -> ResourceRef | None:
        """Gives the record that a draft says it belongs to, None where it names none."""
        key = named_by(resource, draft.inside())
        return None if key is None else ResourceRef(*key)

    # ── sealing ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def seal_create(
        self, what: Addressed, draft: Draft, decision: Decision, principal: Principal
    ) -> SealedChange:
        """Mints key and seal id, stores them as pending, and seals.

        Raises Refused: FIELD_UNKNOWN, FIELD_NOT_WRITABLE, MASK_SUBMITTED, VALUE_REFUSED, RECORD_WITHHELD (its subject was erased).
        Promises: what is refused leaves nothing behind; the pending binding is durable when this returns.
        """
        resource, sent = what.resource, draft.inside()
        asking = self._asking(resource, principal)
        if resource.subject is None:
            sealing = Sealing(partial(current_key, None), b"", self._dice)
            return self._created(asking, sent, decision, sealing, None)
        founds = resource.subject.pointer is None
        subject = None if founds else await self._whose.draft(what, sent)
        generation = self._fetcher.data_keys.generation

        def begin(connection: Connection) -> tuple[SealedChange, SubjectKeys]:
            owner = subject or self._fetcher.data_keys.create_subject(connection, self._clock())
            keys = self._fetcher.minted(connection, owner, classes_of(resource))
            if keys.broken:
                raise broken(
                    resource, Code.VALUE_REFUSED, field=(resource.subject and resource.subject.pointer) or "/"
                )
            seal = new_seal()
            about = about_record(resource.upstream, resource.name, seal)
            sealing = Sealing(partial(current_key, keys), about, self._dice)
            made = self._created(asking, sent, decision, sealing, owner)
            parent = what.ref.parent
            pending = Pending(
                seal, resource.upstream, resource.name, owner, founds, made.marker, parent, self._clock()
            )
            self._fetcher.bindings.begin(connection, pending)
            return replace(made, pending=seal), keys

        made, keys = await self._store.write(begin)  # a refusal inside rolls all of it back
        self._fetcher.data_keys.remember([keys], generation)
        return made

    def _created(
        self, asking: Asking, sent: Json, decision: Decision, sealing: Sealing, subject: str | None
    ) -> SealedChange:
        change = Change(asking.look(Place(), decision, {}), decision.write, sealing, subject=None)
        document = change.record(shape_of(asking.resource), {}, sent, Silence.REMOVES_SEEN)
        marker = _marker(asking.resource, document, self._dice)
        if asking.resource.idempotency is Idempotency.FIELD and marker is not None:
            document = placed(document, asking.resource.lookup_field or "", marker)
        return SealedChange(document, tuple(change.set), sealing.digests, False, subject, marker)

    async def seal_update(
        self, what: Addressed, draft: Draft, before: ClosedRecord, decision: Decision, principal: Principal
    ) -> SealedChange:
        """Seals what changes; what he cannot see keeps its stored ciphertext; what he was shown and sends back changes nothing.

        While the resource is adopted, stored clear values of sealed fields are sealed with it, and a record that nobody bound gets
        keys and a seal id, pending as a create's: `bind` it before anything of the change is sent.
        Raises Refused: MASK_SUBMITTED, FIELD_NOT_WRITABLE, FIELD_UNKNOWN, SUBJECT_CHANGED, VALUE_REFUSED, RECORD_WITHHELD,
        SUBJECT_UNBOUND (the record that says whose this one is must be adopted first).
        """
        resource, sent = what.resource, draft.inside()
        if not isinstance(what.work, Update):
            raise AssertionError("asked to seal an update that is none")
        asking = self._asking(resource, principal)
        found = await self._fetcher.fetch(resource, [before])
        place = place_of(resource, found, before)
        running = adopting(resource, asking.today)
        unbound = place.shut is AlarmKind.RECORD_UNBOUND and bool(running)
        if place.shut is not None and not unbound:
            raise _shut(resource, place.shut)
        subject = await self._whose.adopted(what, before) if unbound else subject_of(resource, found, before)
        replaces = what.work.mode is UpdateMode.REPLACE
        joining = Joining(
            resource=resource,
            look=lambda place: asking.look(place, decision, before.links),
            write=decision.write,
            before=before,
            sent=sent,
            replaces=replaces,
            own=await self._whose.keeps(resource, sent, subject),
            # All of a record that is replaced goes upstream, and all of one that comes under seal. Of another one only what is expected
            # in clear: a value that somebody planted there stays withheld, and alarmed.
            sweeps=sealed_of(resource) if replaces or unbound else running,
            dice=self._dice,
        )
        if unbound:
            return await self._adopt(what, joining, subject)
        if resource.seals and subject is not None:
            place = replace(place, keys=await self._fetcher.ensure(found, subject, classes_of(resource)))
        if subject is not None and self._view(asking, found, before, decision)[1].reload:
            await self._fetcher.load_keys(found, [subject], fresh=True)  # as in views
            place = replace(place, keys=found.keys[subject])
        return joining.sealed(place, subject)

    async def _adopt(self, what: Addressed, joining: Joining, owner: str | None) -> SealedChange:
        """Mints what a record that was there before needs, and seals under it. Nothing is left behind where nothing changes."""
        resource = what.resource
        generation = self._fetcher.data_keys.generation

        def begin(connection: Connection) -> tuple[SealedChange, SubjectKeys]:
            now = self._clock()
            subject = owner or self._fetcher.data_keys.create_subject(connection, now)
            keys = self._fetcher.minted(connection, subject, classes_of(resource))
            if keys.broken:
                raise broken(resource)
            seal = new_seal()
            place = Place(keys, about_record(resource.upstream, resource.name, seal))
            made = joining.sealed(place, subject)
            if made.same:
                raise _Unchanged(replace(made, subject=owner))
            founds, parent = owner is None, what.ref.parent
            pending = Pending(
                seal, resource.upstream, resource.name, subject, founds, None, parent, now, what.ref
            )
            self._fetcher.bindings.begin(connection, pending)
            return replace(made, pending=seal), keys

        try:
            made, keys = await self._store.write(begin)
        except _Unchanged as unchanged:  # raised, so that all of it is rolled back
            return unchanged.made
        self._fetcher.data_keys.remember([keys], generation)
        return made

    # ── pending and bound ────────────────────────────────────────────────────────────────────────────────────────

    async def bind(self, sealed: SealedChange, ref: ResourceRef) -> Alarm | None:
        """Binds the pending seal to the id that the upstream gave. An id already bound is an alarm and is never rebound."""
        return None if sealed.pending is None else await self.bind_pending(sealed.pending, ref)

    async def drop(self, sealed: SealedChange) -> None:
        """Forgets a pending binding whose change certainly did not happen; one that is bound stays."""
        if sealed.pending is not None:
            await self.drop_pending(sealed.pending)

    async def bind_pending(self, seal: str, ref: ResourceRef) -> Alarm | None:
        """Binds a pending seal to its record; None also when it is bound to just that one already."""
        try:
            return await self._store.write(lambda c: self._fetcher.bindings.bind(c, seal, ref))
        except IntegrityError as error:
            if conflict_of(error) is not Conflict.UNIQUE:
                raise
            return Alarm(AlarmKind.ALREADY_BOUND, ref.upstream, ref.resource)

    async def drop_pending(self, seal: str) -> bool:
        """Forgets a pending seal; one that is bound stays, and gives False."""
        return await self._store.write(lambda c: self._fetcher.bindings.drop(c, seal))

    async def kept(self, before: datetime, after: Pending | None) -> Sequence[Pending]:
        """Gives the next creates begun before that instant whose record was never seen, the oldest first; empty at the end."""
        return await self._store.read(lambda c: self._fetcher.bindings.kept(c, before, after))

    async def located(self, upstream: str, resource: str, reference: str) -> ResourceRef | None:
        """Gives the record that a keyed reference stands for, None when no binding has it."""
        return await self._store.read(
            lambda c: self._fetcher.bindings.located(c, upstream, resource, reference)
        )


def _shut(resource: ResourceSpec, kind: AlarmKind) -> Refused:
    """Gives the refusal of a change of a record of which nothing opens. One that nobody bound may still be in clear: no alarm."""
    error = Refused(Code.RECORD_WITHHELD)
    if kind is not AlarmKind.RECORD_UNBOUND:
        error.alarms = (Alarm(kind, resource.upstream, resource.name),)
    return error


def _marker(resource: ResourceSpec, document: JsonObject, dice: Callable[[int], bytes]) -> str | None:
    """Gives what finds a create again: a key that nobody can guess, or an envelope's text, which no two records share."""
    match resource.idempotency:
        case Idempotency.HEADER | Idempotency.FIELD:
            return "gh-" + base64.urlsafe_b64encode(dice(24)).decode("ascii")
        case Idempotency.SEARCH:
            text = at(document, resource.lookup_field or "")
            spec = resource.spec(resource.lookup_field or "")
            if spec is None or not spec.sealed or not isinstance(text, str):
                raise Refused(Code.VALUE_REFUSED, field=resource.lookup_field or "/")
            return text
        case Idempotency.NONE:
            return None


def _public(resource: ResourceSpec, view: FieldView) -> FieldView:
    """What of a view is about nobody: the fields of class `public`, a record's id among them."""
    public = {field.pattern for field in resource.fields if field.cls is FieldClass.PUBLIC}
    return FieldView({pattern: how for pattern, how in view.by_pattern.items() if pattern in public})
