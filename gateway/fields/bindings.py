"""Step 8's word on places: which subject's key and which seal id open a record. The gateway's own, never the upstream's.

A binding is pending from before its create is forwarded until the upstream's id is known, then bound and fixed: unique both ways (a seal
id is the row's key, a record's token is unique), authenticated by a MAC over every column, so that it can be cached for good. A record
that is adopted has an id already: its pending row says so in its sealed place, and is bound before anything of it is sent.
Functions of a SQLAlchemy `Connection` run inside `store.read` or `store.write`.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, and_, or_, select

from gateway.fields.subjects import CHUNK
from gateway.fields.tables import BINDING, DATA_KEY, SUBJECT
from gateway.keys import KeyedEvidence, Keyring, Label, Unopened, parted
from gateway.words.access import ResourceRef
from gateway.words.binding import Binding, Pending
from gateway.words.ids import new_id
from gateway.words.record import Alarm, AlarmKind

Key = tuple[str, str, str]
"""Upstream, resource, record id: what a record is known by. Its parent is no part of it."""


class Bindings:
    """Makes, binds, finds. `limit`: bindings kept in memory."""

    def __init__(self, keyring: Keyring, *, limit: int = 100_000) -> None:
        self._keyring = keyring
        self._evidence = KeyedEvidence(keyring)
        self._limit = limit
        self._cache: OrderedDict[Key, Binding] = OrderedDict()

    def cached(self, key: Key) -> Binding | None:
        """Gives a bound record's binding if it is here."""
        return self._cache.get(key)

    def get(self, connection: Connection, keys: Sequence[Key]) -> dict[Key, Binding | AlarmKind]:
        """Gives each record's binding if it has one, BINDING_BROKEN where it does not hold. One query for each `CHUNK`, past the cache."""
        tokens = {self._evidence.token(*key): key for key in keys}
        asked = list(tokens)
        found: dict[Key, Binding | AlarmKind] = {}
        for start in range(0, len(asked), CHUNK):
            query = select(BINDING).where(BINDING.c.ref.in_(asked[start : start + CHUNK]))
            for row in connection.execute(query):
                key = tokens[row.ref]
                binding = self._read(row)
                sound = binding is not None and _key(binding.ref) == key
                found[key] = binding if binding is not None and sound else AlarmKind.BINDING_BROKEN
        self._remember(found)
        return found

    def located(
        self, connection: Connection, upstream: str, resource: str, reference: str
    ) -> ResourceRef | None:
        """Gives the record that an entry's keyed reference stands for; None where no sound binding has it."""
        row = connection.execute(select(BINDING).where(BINDING.c.ref == reference)).one_or_none()
        binding = None if row is None else self._read(row)
        if binding is None or (binding.ref.upstream, binding.ref.resource) != (upstream, resource):
            return None
        return binding.ref if self._evidence.reference(binding.ref, False) == reference else None

    def begin(self, connection: Connection, pending: Pending) -> None:
        """Stores a pending binding."""
        adopts = pending.adopts
        row = {
            "seal": pending.seal,
            "upstream": pending.upstream,
            "resource": pending.resource,
            "ref": None,
            "place": self._place(pending.seal, adopts.record if adopts else None, pending.parent),
            "subject": pending.subject,
            "founds": pending.founds,
            "state": "pending",
            "marker": pending.marker,
            "created": pending.created,
        }
        connection.execute(BINDING.insert(), {**row, "mac": self._mac(row)})

    def kept(self, connection: Connection, before: datetime, after: Pending | None) -> list[Pending]:
        """Gives the next creates begun before that instant whose record was never seen, the oldest first: at most `CHUNK`.

        One whose row is not sound is passed over, and opens nothing either. An empty list is the end.
        """
        query = select(BINDING).where(BINDING.c.state == "pending", BINDING.c.created < before)
        query = query.order_by(BINDING.c.created, BINDING.c.seal).limit(CHUNK)
        born, seal = BINDING.c.created, BINDING.c.seal
        last = after if after is None else (after.created, after.seal)
        while True:
            beyond = query
            if last is not None:
                beyond = query.where(or_(born > last[0], and_(born == last[0], seal > last[1])))
            rows = connection.execute(beyond).all()
            found = [pending for row in rows if (pending := self._pending(row)) is not None]
            if found or not rows:
                return found
            last = (rows[-1].created, rows[-1].seal)

    def _pending(self, row: Row[tuple[object, ...]]) -> Pending | None:
        place = self._placed(row) if self._sound(row) else None
        if place is None:
            return None
        record, parent = place
        adopts = None if record is None else ResourceRef(row.upstream, row.resource, record, parent)
        return Pending(
            row.seal,
            row.upstream,
            row.resource,
            row.subject,
            row.founds,
            row.marker,
            parent,
            row.created,
            adopts,
        )

    def bind(self, connection: Connection, seal: str, ref: ResourceRef) -> Alarm | None:
        """Binds a pending seal to its record. Repeating it does nothing; a record that has a binding keeps it: ALREADY_BOUND.

        Raises sqlalchemy's IntegrityError where another process bound that record in this very moment: that is ALREADY_BOUND too.
        """
        row = connection.execute(
            select(BINDING).where(BINDING.c.seal == seal).with_for_update()
        ).one_or_none()
        if row is None:
            return _alarm(AlarmKind.RECORD_UNBOUND, ref)
        if not self._sound(row) or (row.upstream, row.resource) != (ref.upstream, ref.resource):
            return _alarm(AlarmKind.BINDING_BROKEN, ref)
        token = self._evidence.reference(ref, False)
        if row.state == "bound":
            return None if row.ref == token else _alarm(AlarmKind.ALREADY_BOUND, ref)
        place = self._placed(row)
        if place is not None and place[0] not in (None, ref.record):  # it was minted for another record
            return _alarm(AlarmKind.BINDING_BROKEN, ref)
        if connection.execute(select(BINDING.c.seal).where(BINDING.c.ref == token)).first() is not None:
            return _alarm(AlarmKind.ALREADY_BOUND, ref)
        parent = place[1] if place is not None and ref.parent is None else ref.parent
        values = {"ref": token, "place": self._place(seal, ref.record, parent), "state": "bound"}
        values["mac"] = self._mac({**row._mapping, **values})
        connection.execute(BINDING.update().where(BINDING.c.seal == seal), values)
        return None

    def drop(self, connection: Connection, seal: str) -> bool:
        """Forgets a pending binding, and the subject and keys that were made for it alone. A bound one stays: False."""
        row = connection.execute(
            select(BINDING).where(BINDING.c.seal == seal).with_for_update()
        ).one_or_none()
        if row is None or row.state != "pending":
            return row is None
        connection.execute(BINDING.delete().where(BINDING.c.seal == seal))
        others = select(BINDING.c.seal).where(BINDING.c.subject == row.subject).limit(1)
        if row.founds and connection.execute(others).first() is None:
            connection.execute(DATA_KEY.delete().where(DATA_KEY.c.subject == row.subject))
            connection.execute(SUBJECT.delete().where(SUBJECT.c.id == row.subject))
        return True

    def _remember(self, found: dict[Key, Binding | AlarmKind]) -> None:
        for key, binding in found.items():
            if isinstance(binding, Binding):
                self._cache[key] = binding
        while len(self._cache) > self._limit:
            self._cache.popitem(last=False)

    def _read(self, row: Row[tuple[object, ...]]) -> Binding | None:
        if row.state != "bound" or not self._sound(row):
            return None
        place = self._placed(row)
        if place is None or place[0] is None:
            return None
        ref = ResourceRef(row.upstream, row.resource, place[0], place[1])
        return Binding(ref, row.subject, row.seal, row.founds)

    def _sound(self, row: Row[tuple[object, ...]]) -> bool:
        return hmac.compare_digest(self._mac(row._mapping), row.mac)

    def _mac(self, row: object) -> bytes:
        values = dict(row)  # type: ignore[call-overload]  # a row's mapping or the dict that becomes one
        parts: list[bytes | str] = []
        for column in BINDING.c:
            if column.name != "mac":
                value = values[column.name]
                if isinstance(value, datetime):
                    value = value.isoformat(timespec="microseconds")
                # What is absent and what is empty differ: a part that says which goes first.
                parts += (
                    ["none", ""]
                    if value is None
                    else ["bytes", value]
                    if isinstance(value, bytes)
                    else ["text", str(value)]
                )
        return self._keyring.mac(Label.BINDING, *parts)

    def _place(self, seal: str, record: str | None, parent: ResourceRef | None) -> bytes:
        has_parent = parent is not None and parent.record is not None
        parts = parted(
            "pending" if record is None else "bound",
            record or "",
            "parent" if has_parent else "root",
            parent.resource if parent and has_parent else "",
            (parent.record or "") if parent and has_parent else "",
        )
        return self._keyring.seal(Label.BINDING_PLACE, parts, seal.encode())

    def _placed(self, row: Row[tuple[object, ...]]) -> tuple[str | None, ResourceRef | None] | None:
        """Gives record id and parent, None where the sealed place does not open."""
        try:
            data = self._keyring.open(Label.BINDING_PLACE, row.place, row.seal.encode())
        except Unopened:
            return None
        state, record, has_parent, resource, parent_record = _parts(data)
        parent = ResourceRef(row.upstream, resource, parent_record) if has_parent == "parent" else None
        return (None if state == "pending" else record), parent


def new_seal() -> str:
    """Gives a seal id: random, one per record."""
    return new_id("seal")


def _parts(data: bytes) -> list[str]:
    """The reverse of `parted`, for bytes that were authenticated."""
    out, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        out.append(data[at + 4 : end].decode())
        at = end
    return out


def _key(ref: ResourceRef) -> Key:
    return ref.upstream, ref.resource, ref.record or ""


def _alarm(kind: AlarmKind, ref: ResourceRef) -> Alarm:
    return Alarm(kind, ref.upstream, ref.resource)
