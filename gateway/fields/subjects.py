"""Step 8's keys: data subjects and their data keys, one a key class, wrapped; and the bounded cache of unwrapped ones.

Functions of a SQLAlchemy `Connection` run inside `store.read` or `store.write`.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.fields.envelope import FieldKey
from gateway.fields.tables import DATA_KEY, SUBJECT
from gateway.keys import DataKeyPlace, Keyring, Label, Unopened
from gateway.store import Rows, each, insert_unless_there, raw
from gateway.words.ids import new_id
from gateway.words.record import AlarmKind

KEY_ID_BYTES = 16
DATA_KEY_BYTES = 32  # AES-256
_MINT = insert_unless_there(DATA_KEY)
CHUNK = 400  # bound parameters a query: SQLite's oldest limit is 999


@dataclass(frozen=True, slots=True)
class SubjectKeys:
    """One data subject's keys as they are now.

    pseudonym: for entries; None once destroyed. broken: the subject's row does not hold, so that nobody can say who he is.
    open: header of an envelope → the key that opens it.
    current: key class → the key that seals. shut: (key class, key id) → why that key does not open.
    classes: every class that ever had a key here.
    """

    subject: str
    pseudonym: str | None
    open: Mapping[bytes, FieldKey] = field(repr=False)
    current: Mapping[str, FieldKey] = field(repr=False)
    shut: Mapping[tuple[str, bytes], AlarmKind] = field(repr=False)
    classes: frozenset[str]
    broken: bool = False


def nobody(subject: str) -> SubjectKeys:
    """Gives what there is of a data subject whose row cannot be read."""
    return SubjectKeys(subject, None, {}, {}, {}, frozenset(), broken=True)


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """A data subject's row as it stands: mac authenticates id and pseudonym, under a key that the root gives."""

    id: str
    pseudonym: str
    mac: bytes


def oldest_subjects(connection: Connection) -> Sequence[SubjectRow]:
    """Gives the first data subjects that this store had and still has, eight at most: ids sort by birth. Damaged rows are left out."""
    having = SUBJECT.c.pseudonym.is_not(None)
    ids = connection.execute(select(*raw(SUBJECT, "id")).where(having).order_by(SUBJECT.c.id).limit(8))
    columns = raw(SUBJECT, "id", "pseudonym", "mac")

    def read(asked: Sequence[str]) -> Rows:
        return list(connection.execute(select(*columns).where(SUBJECT.c.id.in_(asked))))

    rows, _ = each(read, [row.id for row in ids])
    return [
        SubjectRow(r.id, r.pseudonym, r.mac)
        for r in rows
        if type(r.pseudonym) is str and type(r.mac) is bytes
    ]


class DataKeys:
    """Mints, finds and caches. `limit`: subjects whose keys are kept unwrapped."""

    def __init__(self, keyring: Keyring, *, limit: int = 20_000) -> None:
        self._keyring = keyring
        self._limit = limit
        self._cache: OrderedDict[str, SubjectKeys] = OrderedDict()
        self._generation = 0

    def forget(self) -> None:
        """Empties the cache. Promises: what was destroyed before this returns opens nothing found after it, reads under way included."""
        self._generation += 1
        self._cache.clear()

    @property
    def generation(self) -> int:
        """What `remember` must be given as it was before the rows were read."""
        return self._generation

    def cached(self, subject: str) -> SubjectKeys | None:
        """Gives a subject's keys if they are here."""
        keys = self._cache.get(subject)
        if keys is not None:
            self._cache.move_to_end(subject)
        return keys

    def remember(self, found: Iterable[SubjectKeys], generation: int) -> None:
        """Keeps keys that were read; not if `forget` came between, since they may be older than what it was called for."""
        if generation != self._generation:
            return
        for keys in found:
            if not keys.broken:  # a row that is put right opens again without a fence
                self._cache[keys.subject] = keys
        while len(self._cache) > self._limit:
            self._cache.popitem(last=False)

    def create_subject(self, connection: Connection, now: datetime | None = None) -> str:
        """Makes a data subject with a random pseudonym of 128 bits; gives its id (`sub_…`)."""
        subject = new_id("sub")
        pseudonym = "psd_" + base64.urlsafe_b64encode(os.urandom(16)).decode("ascii").rstrip("=")
        mac = self._keyring.mac(Label.SUBJECT, subject, pseudonym)
        row = {"id": subject, "pseudonym": pseudonym, "created": now or datetime.now(UTC), "mac": mac}
        connection.execute(SUBJECT.insert(), row)
        return subject

    def mint(self, connection: Connection, subject: str, cls: str, now: datetime | None = None) -> None:
        """Makes the subject's first key of that class unless there ever was one: a destroyed class stays destroyed."""
        place = DataKeyPlace(subject, cls, os.urandom(KEY_ID_BYTES), 1)
        kek_version, wrapped = self._keyring.wrap(os.urandom(DATA_KEY_BYTES), place)
        row = {
            "key": place.key,
            "subject": subject,
            "cls": cls,
            "version": place.version,
            "kek_version": kek_version,
            "wrapped": wrapped,
            "created": now or datetime.now(UTC),
            "destroyed_at": None,
        }
        # Two processes may mint at once: the unique (subject, cls, version) lets one in, and both then read that one.
        connection.execute(_MINT, row)

    def get(self, connection: Connection, subjects: Sequence[str]) -> dict[str, SubjectKeys]:
        """Gives the keys of those subjects that exist, one query for each `CHUNK` of them, past the cache."""
        rows: dict[str, Rows] = {}
        unread: list[str] = []
        for start in range(0, len(subjects), CHUNK):
            found, damaged = each(partial(_rows, connection), subjects[start : start + CHUNK])
            unread += damaged
            for row in found:
                rows.setdefault(row.id, []).append(row)
        keys = {subject: self._keys(subject, found) for subject, found in rows.items()}
        return keys | {one: nobody(one) for one in unread}

    def _keys(self, subject: str, rows: Rows) -> SubjectKeys:
        opening: dict[bytes, FieldKey] = {}
        current: dict[str, FieldKey] = {}
        shut: dict[tuple[str, bytes], AlarmKind] = {}
        classes = set()
        for row in rows:
            if row.key is None:  # the outer join's empty side: a subject without keys
                continue
            classes.add(row.cls)
            current.pop(row.cls, None)  # a newer version that is shut does not let an older one seal
            ready = self._ready(row)
            if isinstance(ready, FieldKey):
                opening[ready.header] = current[row.cls] = ready
            else:
                shut[row.cls, row.key] = ready
        gone = bool(shut) and not opening and set(shut.values()) == {AlarmKind.KEY_MISSING}
        pseudonym = rows[0].pseudonym
        # An exchanged pseudonym would make the log speak of another customer, and one that was taken away of nobody.
        broken = not (gone if pseudonym is None else self._holds(subject, pseudonym, rows[0].mac))
        said = None if broken else pseudonym
        return SubjectKeys(subject, said, opening, current, shut, frozenset(classes), broken)

    def _holds(self, subject: str, pseudonym: object, mac: object) -> bool:
        if type(pseudonym) is not str or type(mac) is not bytes:
            return False
        return hmac.compare_digest(self._keyring.mac(Label.SUBJECT, subject, pseudonym), mac)

    def _ready(self, row: Row[tuple[Any, ...]]) -> FieldKey | AlarmKind:
        if row.destroyed or row.wrapped is None:
            return AlarmKind.KEY_MISSING
        kinds = (type(row.key), type(row.cls), type(row.version), type(row.kek_version), type(row.wrapped))
        if kinds != (bytes, str, int, int, bytes):
            return AlarmKind.KEY_BROKEN
        try:
            place = DataKeyPlace(row.subject, row.cls, row.key, row.version)
            return FieldKey(
                self._keyring.unwrap(row.kek_version, row.wrapped, place), row.key, row.version, row.cls
            )
        except (
            Unopened,
            OverflowError,
            UnicodeEncodeError,
        ):  # the latter two: numbers and names nobody here wrote
            return AlarmKind.KEY_BROKEN


_ROWS = (
    select(
        *raw(SUBJECT, "id", "pseudonym", "mac"),
        *raw(DATA_KEY, "key", "subject", "cls", "version", "kek_version", "wrapped"),
        DATA_KEY.c.destroyed_at.is_not(None).label("destroyed"),
    )
    .select_from(SUBJECT.outerjoin(DATA_KEY, DATA_KEY.c.subject == SUBJECT.c.id))
    .order_by(DATA_KEY.c.version)
)


def _rows(connection: Connection, subjects: Sequence[str]) -> Rows:
    return list(connection.execute(_ROWS.where(SUBJECT.c.id.in_(subjects))))
