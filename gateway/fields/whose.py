"""Steps 4 and 6: whose a record is, by our own bindings. What an upstream or a caller says of it only chooses among those."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.fields.envelope import holds_envelope
from gateway.fields.fetch import Fetcher, Found, broken, key_of, keys_of, named_by, subject_of
from gateway.fields.shape import at
from gateway.words.binding import Binding
from gateway.words.errors import Code, Refused
from gateway.words.json import Json
from gateway.words.record import AlarmKind, ClosedRecord
from gateway.words.resource import ResourceSpec
from gateway.words.work import Addressed


class Whose:
    """Finds data subjects."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def each(self, resource: ResourceSpec, records: Sequence[ClosedRecord]) -> Sequence[str | None]:
        """Gives our id of each record's data subject, None where it has none or is unbound."""
        if resource.subject is None:
            return [None] * len(records)
        found = Found()
        await self._fetcher.load_bindings(found, keys_of(resource, records))
        return [subject_of(resource, found, record) for record in records]

    async def draft(self, what: Addressed, sent: Json) -> str:
        """Gives the data subject of a record about to be created: whom the draft names, whom its parent belongs to; both alike.

        Raises Refused VALUE_REFUSED: also for what stands in a name's place and names nobody, whatever the parent says.
        """
        pointer = what.resource.subject.pointer if what.resource.subject is not None else None
        unread = (
            pointer is not None and named_by(what.resource, sent) is None and at(sent, pointer) is not None
        )
        subjects = await self._owners(what, sent, Code.VALUE_REFUSED)
        if unread or len(subjects) != 1 or (subject := subjects.pop()) is None:
            raise Refused(Code.VALUE_REFUSED, field=pointer or "/")
        return subject

    async def adopted(self, what: Addressed, before: ClosedRecord) -> str | None:
        """Gives whose a record is that is about to be adopted; None for one that is the data subject itself.

        Raises Refused: RECORD_WITHHELD for what holds a ciphertext already (it was moved here, or its own create is on its way) and
        for what two customers own, SUBJECT_UNBOUND where that of whom it is must be adopted first.
        """
        rule = what.resource.subject
        if rule is None or holds_envelope(before.fields):
            raise Refused(Code.RECORD_WITHHELD)
        if rule.pointer is None:
            return None
        subjects = await self._owners(what, before.fields, Code.RECORD_WITHHELD)
        if not subjects or None in subjects:
            raise Refused(Code.SUBJECT_UNBOUND)
        if len(subjects) > 1:
            raise Refused(Code.RECORD_WITHHELD)
        return subjects.pop()

    async def keeps(self, resource: ResourceSpec, sent: Json, subject: str | None) -> bool:
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

    async def _owners(self, what: Addressed, document: Json, code: Code) -> set[str | None]:
        """Gives whose the record is that a document names, and whose the parent is: one where both agree, None for one not bound.

        Raises Refused with that code and an alarm where a binding among them does not hold.
        """
        named = named_by(what.resource, document)
        parent = key_of(what.ref.parent) if what.ref.parent is not None else None
        keys = [key for key in (named, parent) if key is not None]
        found = Found()
        await self._fetcher.load_bindings(found, keys)
        bindings = [found.bindings.get(key) for key in keys]
        if any(isinstance(binding, AlarmKind) for binding in bindings):
            pointer = what.resource.subject.pointer if what.resource.subject is not None else None
            raise broken(what.resource, code, field=pointer or "/")
        return {binding.subject if isinstance(binding, Binding) else None for binding in bindings}
