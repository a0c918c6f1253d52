"""Step 8's word on places: which subject's key and which seal id open a record. The gateway's own, never the upstream's.

A binding is pending from before its create is forwarded until the upstream's id is known, then bound and fixed: unique both ways (a seal
id is the row's key, a record's token is unique), authenticated by a MAC over every column, so that it can be cached for good. A record
that is adopted has an id already: its pending row says so in its sealed place, and is bound before anything of it is sent.
Functions of a SQLAlchemy `Connection` run inside `store.read` or `store.write`.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, and_, literal, select

from gateway.fields.rows import BindingRow, Told, read, typed
from gateway.fields.subjects import CHUNK
from gateway.fields.tables import BINDING, DATA_KEY, SUBJECT
from gateway.keys import KeyedEvidence, Keyring, Label, Unopened, parted
from gateway.store import each, raw
from gateway.words.access import ResourceRef
from gateway.words.binding import Binding, Pending
from gateway.words.ids import new_id
from gateway.words.record import Alarm, AlarmKind

Key = tuple[str, str, str]
"""Upstream, resource, record id: what a record is known by. Its parent is no part of it."""


class Bindings:
    """Makes, binds, finds. `limit`: bindings kept in memory. alarm: is told of a broken row that no answer speaks of."""

    def __init__(
        self, keyring: Keyring, *, limit: int = 100_000, alarm: Callable[[Alarm], None] = lambda _: None
    ) -> None:
        self._told = Told(alarm)
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
            rows, unread = each(partial(read, connection, BINDING.c.ref), asked[start : start + CHUNK])
            found |= {tokens[token]: AlarmKind.BINDING_BROKEN for token in unread}
            for row in rows:
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
        rows, unread = each(partial(read, connection, BINDING.c.ref), [reference])
        binding = self._read(rows[0]) if rows else None
        if binding is None and (rows or unread):
            self._told.broken(reference, upstream, resource)
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

        One whose row is not sound is passed over, and opens nothing either: it is told of. An empty list is the end.
        """
        born, seal = BINDING.c.created, BINDING.c.seal
        query = select(*raw(BINDING, "seal", "created")).where(BINDING.c.state == "pending", born < before)
        query = query.order_by(born, seal).limit(CHUNK)
        last = (
            None if after is None else and_(born == after.created, seal > after.seal) | (born > after.created)
        )
        while True:
            page = connection.execute(query if last is None else query.where(last)).all()
            asked = [row.seal for row in page]
            rows, unread = each(partial(read, connection, seal), asked)
            by_seal = {row.seal: row for row in rows}
            for one in unread:
                self._told.broken(one)
            found = [p for one in asked if one in by_seal and (p := self._pending(by_seal[one])) is not None]
            if found or not page:
                return found
            at = literal(page[-1].created, BigInteger)
            last = and_(born == at, seal > page[-1].seal) | (born > at)

    def _pending(self, row: Row[tuple[Any, ...]]) -> Pending | None:
        line = self._sound(row)
        place = self._placed(line) if line is not None else None
        if line is None or place is None:
            self._told.broken(str(row.seal), row.upstream, row.resource)
            return None
        record, parent = place
        adopts = None if record is None else ResourceRef(line.upstream, line.resource, record, parent)
        return Pending(
            line.seal,
            line.upstream,
            line.resource,
            line.subject,
            line.founds,
            line.marker,
            parent,
            line.created,
            adopts,
        )

    def bind(self, connection: Connection, seal: str, ref: ResourceRef) -> Alarm | None:
        """Binds a pending seal to its record. Repeating it does nothing; a record that has a binding keeps it: ALREADY_BOUND.

        Raises sqlalchemy's IntegrityError where another process bound that record in this very moment: that is ALREADY_BOUND too.
        """
        rows, unread = each(partial(read, connection, BINDING.c.seal, lock=True), [seal])
        if not rows and not unread:
            return _alarm(AlarmKind.RECORD_UNBOUND, ref)
        row = self._sound(rows[0]) if rows else None
        if row is None or (row.upstream, row.resource) != (ref.upstream, ref.resource):
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
        values["mac"] = self._mac({**row.values(), **values})
        connection.execute(BINDING.update().where(BINDING.c.seal == seal), values)
        return None

    def drop(self, connection: Connection, seal: str) -> bool:
        """Forgets a pending binding, and the subject and keys that were made for it alone. A bound one stays: False."""
        columns = (BINDING.c.state, BINDING.c.subject, BINDING.c.founds)
        row = connection.execute(
            select(*columns).where(BINDING.c.seal == seal).with_for_update()
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

    def _read(self, row: Row[tuple[Any, ...]]) -> Binding | None:
        line = self._sound(row)
        place = self._placed(line) if line is not None and line.state == "bound" else None
        if line is None or place is None or place[0] is None:
            return None
        ref = ResourceRef(line.upstream, line.resource, place[0], place[1])
        return Binding(ref, line.subject, line.seal, line.founds)

    def _sound(self, row: Row[tuple[Any, ...]]) -> BindingRow | None:
        """Gives the row where this gateway wrote it as it stands, else None."""
        line = typed(row)
        return line if line is not None and hmac.compare_digest(self._mac(line.values()), line.mac) else None

    def _mac(self, values: Mapping[str, Any]) -> bytes:
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

    def _placed(self, row: BindingRow) -> tuple[str | None, ResourceRef | None] | None:
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
