"""Step 8's errand: what opens some records, fetched for all of them at once. The only part of the lens that asks the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from gateway.fields.bindings import Bindings, Key
from gateway.fields.envelope import FieldKey, about_record
from gateway.fields.look import Place
from gateway.fields.shape import at, unescaped
from gateway.fields.subjects import DataKeys, SubjectKeys, nobody
from gateway.keys import Keyring
from gateway.store import Conflict, Store, conflict_of
from gateway.words.access import ResourceRef
from gateway.words.binding import Binding
from gateway.words.errors import Code, Refused
from gateway.words.json import Json, JsonObject
from gateway.words.record import Alarm, AlarmKind, ClosedRecord
from gateway.words.resource import ResourceSpec


@dataclass(slots=True)
class Found:
    """What was fetched for some records: bindings by record, keys by subject. What has none is not in it."""

    bindings: dict[Key, Binding | AlarmKind] = field(default_factory=dict)
    keys: dict[str, SubjectKeys] = field(default_factory=dict)


class Fetcher:
    """Bindings and keys of one state store, with their caches."""

    def __init__(
        self, store: Store, keyring: Keyring, clock: Callable[[], datetime], alarm: Callable[[Alarm], None]
    ) -> None:
        self.store = store
        self.bindings = Bindings(keyring, alarm=alarm)
        self.data_keys = DataKeys(keyring)
        self._clock = clock

    async def fetch(self, resource: ResourceSpec, records: Sequence[ClosedRecord]) -> Found:
        """Fetches what opens the records: at most one query for bindings and one for keys, none where all is cached."""
        found = Found()
        if resource.subject is None:
            return found
        await self.load_bindings(found, keys_of(resource, records))
        elsewhere = {
            key_of(record.ref.parent)
            for record in records
            if record.ref.parent is not None
            and isinstance(binding := found.bindings.get(key_of(record.ref)), Binding)
            and binding.ref.parent != record.ref.parent
        }
        if elsewhere:
            await self.load_bindings(found, sorted(elsewhere))
        subjects = {s for r in records if (s := subject_of(resource, found, r)) is not None}
        await self.load_keys(found, sorted(subjects))
        return found

    async def load_bindings(self, found: Found, keys: Sequence[Key]) -> None:
        missing = []
        for key in dict.fromkeys(keys):
            binding = self.bindings.cached(key)
            if binding is None:
                missing.append(key)
            else:
                found.bindings[key] = binding
        if missing:
            found.bindings |= await self.store.read(lambda connection: self.bindings.get(connection, missing))

    async def load_keys(self, found: Found, subjects: Sequence[str], *, fresh: bool = False) -> None:
        missing = []
        for subject in subjects:
            keys = None if fresh else self.data_keys.cached(subject)
            if keys is None:
                missing.append(subject)
            else:
                found.keys[subject] = keys
        if missing:
            generation = self.data_keys.generation
            loaded = await self.store.read(lambda connection: self.data_keys.get(connection, missing))
            self.data_keys.remember(loaded.values(), generation)
            found.keys |= loaded

    async def ensure(self, found: Found, subject: str, classes: Sequence[str]) -> SubjectKeys:
        """Gives the subject's keys with one for each class that never had one. A destroyed class stays as it is."""
        keys = found.keys.get(subject)
        if keys is not None and keys.classes.issuperset(classes):
            return keys
        generation = self.data_keys.generation
        keys = await self.store.write(lambda connection: self.minted(connection, subject, classes))
        self.data_keys.remember([keys], generation)
        found.keys[subject] = keys
        return keys

    def minted(self, connection: Connection, subject: str, classes: Sequence[str]) -> SubjectKeys:
        """Gives the subject's keys, those classes' among them. Broken where his row is gone: what names it stands, so it was taken away."""
        try:
            for cls in classes:
                self.data_keys.mint(connection, subject, cls, self._clock())
        except IntegrityError as error:
            if conflict_of(error) is not Conflict.FOREIGN:
                raise
            return nobody(subject)
        return self.data_keys.get(connection, [subject]).get(subject) or nobody(subject)


def place_of(resource: ResourceSpec, found: Found, record: ClosedRecord) -> Place:
    """Gives what opens a record, or why nothing of it opens."""
    if nobodys(resource, found, record):
        return Place(shut=AlarmKind.BINDING_BROKEN)
    if not resource.seals:
        return Place()
    binding = found.bindings.get(key_of(record.ref))
    if not isinstance(binding, Binding):
        return Place(shut=binding or AlarmKind.RECORD_UNBOUND)
    if not _agrees(resource, found, record, binding) or not _below_its_own(found, record, binding):
        return Place(shut=AlarmKind.SUBJECT_MISMATCH)
    keys = found.keys.get(binding.subject)
    return Place(keys, about_record(resource.upstream, resource.name, binding.seal))


def nobodys(resource: ResourceSpec, found: Found, record: ClosedRecord) -> bool:
    """True where a row that says whose the record is does not hold: its binding's, or the data subject's own."""
    if resource.subject is None:
        return False
    binding = found.bindings.get(key_of(record.ref))
    if binding is None and (named := named_by(resource, record.fields)) is not None:
        binding = found.bindings.get(named)
    if not isinstance(binding, Binding):
        return binding is not None
    keys = found.keys.get(binding.subject)
    return keys is None or keys.broken


def broken(resource: ResourceSpec, code: Code = Code.RECORD_WITHHELD, **params: str) -> Refused:
    """Gives the refusal of what must have an owner and whose owner nobody can tell, with its alarm."""
    error = Refused(code, **params)
    error.alarms = (Alarm(AlarmKind.BINDING_BROKEN, resource.upstream, resource.name),)
    return error


def _agrees(resource: ResourceSpec, found: Found, record: ClosedRecord, binding: Binding) -> bool:
    """True unless the upstream names another data subject than the binding does."""
    rule = resource.subject
    if rule is None:
        return False  # sealed fields have a subject: shape_of refuses such a catalogue
    if rule.pointer is None:
        return binding.founds
    if not _stands(record.fields, rule.pointer):
        return True
    named = named_by(resource, record.fields)
    other = found.bindings.get(named) if named is not None else None
    return isinstance(other, Binding) and other.subject == binding.subject


def _below_its_own(found: Found, record: ClosedRecord, binding: Binding) -> bool:
    """True unless the record was reached below one of another data subject: somebody moved it there in the upstream's database.

    Below the one that it was bound below is right; below another one of the same data subject too, since upstreams may merge threads.
    """
    parent, own = record.ref.parent, binding.ref.parent
    if parent is None or parent == own:
        return True
    above = found.bindings.get(key_of(parent))
    if above is None:
        return own is None  # bound without one, and nothing is known of this one
    return isinstance(above, Binding) and above.subject == binding.subject


def subject_of(resource: ResourceSpec, found: Found, record: ClosedRecord) -> str | None:
    """The binding's word first; where the record has none of its own, that of the record that its pointer names."""
    if (binding := bound_of(resource, found, record)) is not None:
        return binding.subject
    named = named_by(resource, record.fields)
    other = found.bindings.get(named) if named is not None else None
    return other.subject if isinstance(other, Binding) else None


def bound_of(resource: ResourceSpec, found: Found, record: ClosedRecord) -> Binding | None:
    binding = found.bindings.get(key_of(record.ref)) if resource.subject is not None else None
    return binding if isinstance(binding, Binding) else None


def current_key(keys: SubjectKeys | None, cls: str) -> FieldKey:
    """Gives the key that seals. Raises Refused RECORD_WITHHELD where it was destroyed or does not open: nothing new under it."""
    key = keys.current.get(cls) if keys is not None else None
    if key is None:
        raise Refused(Code.RECORD_WITHHELD)
    return key


def classes_of(resource: ResourceSpec) -> list[str]:
    return sorted({spec.key_class for spec in resource.fields if spec.sealed and spec.key_class is not None})


def key_of(ref: ResourceRef) -> Key:
    return ref.upstream, ref.resource, ref.record or ""


def keys_of(resource: ResourceSpec, records: Sequence[ClosedRecord]) -> list[Key]:
    named = (named_by(resource, record.fields) for record in records)
    return [*(key_of(record.ref) for record in records), *(key for key in named if key is not None)]


def named_by(resource: ResourceSpec, document: Json) -> Key | None:
    """Gives the record that the document's subject pointer names; None where it names none."""
    rule = resource.subject
    if rule is None or rule.pointer is None:
        return None
    value = at(document, rule.pointer)
    if type(value) not in (str, int) or value == "":
        return None
    return resource.upstream, rule.through or rule.resource, str(value)


def _stands(document: JsonObject, pointer: str) -> bool:
    """True when something stands at the pointer, null too."""
    parent, _, _ = pointer.rpartition("/")
    holder = at(document, parent) if parent else document
    if not isinstance(holder, dict):
        return holder is not None
    return unescaped(pointer.removeprefix(parent + "/")) in holder
