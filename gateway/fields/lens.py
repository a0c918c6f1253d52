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
from gateway.fields.change import Change, Sealing, Silence, difference
from gateway.fields.envelope import about_record
from gateway.fields.fetch import (
    Fetcher,
    Found,
    bound_of,
    classes_of,
    current_key,
    key_of,
    keys_of,
    named_by,
    place_of,
    subject_of,
)
from gateway.fields.look import Look, Place
from gateway.fields.shape import at, placed, shape_of
from gateway.fields.show import Show
from gateway.fields.subjects import SubjectKeys
from gateway.fields.tokens import token
from gateway.keys import Keyring
from gateway.store import Conflict, Store, conflict_of
from gateway.words.access import ResourceRef
from gateway.words.binding import Binding, Pending
from gateway.words.decision import Decision
from gateway.words.draft import Draft
from gateway.words.errors import Code, Refused
from gateway.words.json import Json, JsonObject, Pattern
from gateway.words.principal import Principal
from gateway.words.record import Alarm, AlarmKind, ClosedRecord, SealedChange, View
from gateway.words.resource import Idempotency, ResourceSpec, UpdateMode
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


class FieldLens:
    """The lens on one state store. `adopted` is told how many values of an answer came in clear where they should be sealed, while
    `clear_until` runs: what is left of an adoption."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        dice: Callable[[int], bytes] = os.urandom,
        adopted: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._dice = dice
        self._fetcher = Fetcher(store, keyring, clock)
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
        look = asking.look(place_of(resource, found, record), decision, record.links)
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
        if resource.subject is None:
            return [None] * len(records)
        found = Found()
        await self._fetcher.load_bindings(found, keys_of(resource, records))
        return [subject_of(resource, found, record) for record in records]

    async def pseudonym_of(
        self, what: Addressed, sealed: SealedChange | None, before: ClosedRecord | None
    ) -> str | None:
        """Gives the pseudonym under which an intent's entry names the data subject; None where there is none."""
        subject = sealed.subject if sealed is not None else None
        if subject is None and before is not None:
            (subject,) = await self.subjects_of(what.resource, [before])
        if subject is None:
            return None
        found = Found()
        await self._fetcher.load_keys(found, [subject])
        return found.keys[subject].pseudonym if subject in found.keys else None

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
        subject = None if founds else await self._subject_of_draft(what, sent)
        generation = self._fetcher.data_keys.generation

        def begin(connection: Connection) -> tuple[SealedChange, SubjectKeys]:
            owner = subject or self._fetcher.data_keys.create_subject(connection, self._clock())
            keys = self._fetcher.minted(connection, owner, classes_of(resource))
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

    async def _subject_of_draft(self, what: Addressed, sent: Json) -> str:
        """Gives the data subject of a record about to be created: whom the draft names, whom its parent belongs to; both alike."""
        resource = what.resource
        named = named_by(resource, sent)
        parent = key_of(what.ref.parent) if what.ref.parent is not None else None
        keys = [key for key in (named, parent) if key is not None]
        found = Found()
        await self._fetcher.load_bindings(found, keys)
        bindings = [found.bindings.get(key) for key in keys]
        subjects = {binding.subject if isinstance(binding, Binding) else None for binding in bindings}
        if len(subjects) != 1 or (subject := subjects.pop()) is None:
            pointer = resource.subject.pointer if resource.subject is not None else None
            raise Refused(Code.VALUE_REFUSED, field=pointer or "/")
        return subject

    async def seal_update(
        self, what: Addressed, draft: Draft, before: ClosedRecord, decision: Decision, principal: Principal
    ) -> SealedChange:
        """Seals what changes; what he cannot see keeps its stored ciphertext; what he was shown and sends back changes nothing.

        Raises Refused: MASK_SUBMITTED, FIELD_NOT_WRITABLE, FIELD_UNKNOWN, SUBJECT_CHANGED, VALUE_REFUSED, RECORD_WITHHELD.
        """
        resource, sent = what.resource, draft.inside()
        if not isinstance(what.work, Update):
            raise AssertionError("asked to seal an update that is none")
        replaces = what.work.mode is UpdateMode.REPLACE
        asking = self._asking(resource, principal)
        found = await self._fetcher.fetch(resource, [before])
        place = place_of(resource, found, before)
        if place.shut is not None:
            raise Refused(Code.RECORD_WITHHELD)
        subject = subject_of(resource, found, before)
        if resource.seals and subject is not None:
            place = replace(place, keys=await self._fetcher.ensure(found, subject, classes_of(resource)))
        silence = Silence.REMOVES_SEEN if replaces else Silence.KEEPS
        pointer = resource.subject.pointer if resource.subject is not None else None

        own = await self._names(resource, sent, subject)

        def walk(*, adopt: bool) -> tuple[JsonObject, Change, Sealing]:
            sealing = Sealing(partial(current_key, place.keys), place.about, self._dice)
            change = Change(
                asking.look(place, decision, before.links),
                decision.write,
                sealing,
                subject=pointer,
                own=own,
                adopt=adopt,
            )
            return change.record(shape_of(resource), before.fields, sent, silence), change, sealing

        if subject is not None and self._view(asking, found, before, decision)[1].reload:
            await self._fetcher.load_keys(found, [subject], fresh=True)  # as in views
            place = replace(place, keys=found.keys[subject])
        target, change, sealing = walk(adopt=False)
        if replaces and change.set and change.clear_kept:
            # The whole record goes upstream: what should be sealed there and is not yet is sealed on the way.
            target, change, sealing = walk(adopt=True)
        document = target if replaces else difference(before.fields, target)
        return SealedChange(document, tuple(change.set), sealing.digests, not change.set, subject)

    async def _names(self, resource: ResourceSpec, sent: Json, subject: str | None) -> bool:
        """True unless a document names another data subject than the record's own; a record without one has none to change."""
        named = named_by(resource, sent)
        if subject is None or resource.subject is None or resource.subject.pointer is None:
            return True
        if named is None:
            return at(sent, resource.subject.pointer) is None
        found = Found()
        await self._fetcher.load_bindings(found, [named])
        other = found.bindings.get(named)
        return isinstance(other, Binding) and other.subject == subject

    # ── pending and bound ────────────────────────────────────────────────────────────────────────────────────────

    async def bind(self, sealed: SealedChange, ref: ResourceRef) -> Alarm | None:
        """Binds the pending seal to the id that the upstream gave. An id already bound is an alarm and is never rebound."""
        return None if sealed.pending is None else await self.bind_pending(sealed.pending, ref)

    async def drop(self, sealed: SealedChange) -> None:
        """Forgets a pending binding whose create certainly did not happen."""
        if sealed.pending is not None:
            await self.drop_pending(sealed.pending)

    async def bind_pending(self, seal: str, ref: ResourceRef) -> Alarm | None:
        """Binds a pending seal to the record that its create made; None also when it is bound to just that one already."""
        try:
            return await self._store.write(lambda c: self._fetcher.bindings.bind(c, seal, ref))
        except IntegrityError as error:
            if conflict_of(error) is not Conflict.UNIQUE:
                raise
            return Alarm(AlarmKind.ALREADY_BOUND, ref.upstream, ref.resource)

    async def drop_pending(self, seal: str) -> None:
        """Forgets a pending seal; one that is bound stays."""
        await self._store.write(lambda c: self._fetcher.bindings.drop(c, seal))

    async def kept(self, before: datetime, after: Pending | None) -> Sequence[Pending]:
        """Gives the next creates begun before that instant whose record was never seen, the oldest first; empty at the end."""
        return await self._store.read(lambda c: self._fetcher.bindings.kept(c, before, after))

    async def located(self, upstream: str, resource: str, reference: str) -> ResourceRef | None:
        """Gives the record that a keyed reference stands for, None when no binding has it."""
        return await self._store.read(
            lambda c: self._fetcher.bindings.located(c, upstream, resource, reference)
        )


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
