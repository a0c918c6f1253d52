"""Embedded upstream: what is done in the database, as plain functions of a connection (see `gateway.store.Store`).

A change is one statement that names the version it expects: of two that race, the database lets one through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Table,
    TextClause,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from gateway.records.document import Document
from gateway.records.filter import render
from gateway.records.kinds import CUSTOMER, FROM_CUSTOMER, FROM_THREAD, KINDS, MESSAGE, THREAD, Kind
from gateway.records.problem import Problem
from gateway.records.query import Listing, Place, beyond, ordering, place_of
from gateway.records.tables import creation_keys
from gateway.store import Conflict, Damaged, conflict_of
from gateway.words.filter import both

Record = Mapping[str, Any]
"""A whole record, the store's own fields included, in the order of the kind's fields."""


_SOUND = frozenset({str, int, list, type(None)})


def _whole(kind: Kind) -> Select[tuple[Any, ...]]:
    return select(*(kind.table.c[name] for name in kind.fields))


def _record(kind: Kind, row: Row[Any]) -> dict[str, Any]:
    """Gives the row as a record. Raises Damaged where a cell holds what this store never put there: no JSON says it, or another one."""
    record = dict(zip(kind.fields, row, strict=True))
    if not _SOUND.issuperset(map(type, row)) or type(record["version"]) is not int:
        raise Damaged
    return record


# Made once: to build the statement anew would cost more than to run it.
_FIND = {kind.name: _whole(kind).where(kind.table.c.id == bindparam("record")) for kind in KINDS.values()}


def _if_new(table: Table, column: str) -> TextClause:
    """Gives an INSERT that leaves a row that is there. As text that both engines read: their constructs are slow to import."""
    names = [c.name for c in table.columns]
    values = ", ".join(f":{name}" for name in names)
    # Names of our own tables only; every value is a parameter.
    sql = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({values}) ON CONFLICT ({column}) DO NOTHING"  # noqa: S608
    return text(sql).bindparams(*(bindparam(c.name, type_=c.type) for c in table.columns))


_NEW_KEY = _if_new(creation_keys, "key")


def find(connection: Connection, kind: Kind, record: str, parent: str | None = None) -> Record | None:
    """Gives the record, None where it is not there or stands under another parent."""
    row = connection.execute(_FIND[kind.name], {"record": record}).first()
    found = None if row is None else _record(kind, row)
    return None if found is None or (parent is not None and found["thread_id"] != parent) else found


def implied(connection: Connection, kind: Kind, customer: object, parent: str | None) -> dict[str, Any]:
    """Gives the fields that a new record takes from another: a thread's from its customer, a message's from its thread.

    Raises Problem: not-found (no such thread), reference (no such customer).
    """
    if kind is MESSAGE:
        thread = find(connection, THREAD, parent or "")
        if thread is None:
            raise Problem("not-found")
        return {
            "thread_id": thread["id"],
            "customer_id": thread["customer_id"],
            **{n: thread[n] for n in FROM_THREAD},
        }
    if kind is THREAD and isinstance(customer, str) and _storable(customer):
        person = find(connection, CUSTOMER, customer)
        if person is None:
            raise Problem("reference", field="customer_id")
        return {n: person[n] for n in FROM_CUSTOMER}
    return {}


def _storable(value: str) -> bool:
    return "\0" not in value and value.isprintable()


def create(connection: Connection, kind: Kind, record: Record, key: str | None) -> tuple[Record, bool]:
    """Inserts the record and its key together; with a key that was used already, gives the record that it created, and False.

    Raises Problem: key-used (for another kind), gone (its record was deleted), reference (what it refers to went away meanwhile).
    """
    if key is not None:
        row = {"key": key, "kind": kind.name, "record_id": record["id"]}
        if connection.execute(_NEW_KEY, row).rowcount == 0:
            return _earlier(connection, kind, record, key), False
    (record,) = _told(connection, kind, [record])
    try:
        connection.execute(insert(kind.table), dict(record))
    except IntegrityError as error:
        if conflict_of(error) is Conflict.FOREIGN:
            raise Problem("reference", field="customer_id" if kind is THREAD else "thread_id") from error
        raise
    return record, True


def _earlier(connection: Connection, kind: Kind, record: Record, key: str) -> Record:
    used = connection.execute(select(creation_keys).where(creation_keys.c.key == key)).one()
    if used.kind != kind.name:
        raise Problem("key-used")
    earlier = find(connection, kind, used.record_id)
    if earlier is None:
        raise Problem("gone")
    if earlier.get("thread_id") != record.get("thread_id"):
        raise Problem("key-used")
    return earlier


def by_key(connection: Connection, key: str) -> tuple[str, Record]:
    """Gives the kind's name and the record that a key created. Raises Problem: not-found (never arrived), gone (deleted since)."""
    used = connection.execute(select(creation_keys).where(creation_keys.c.key == key)).first()
    if used is None:
        raise Problem("not-found")
    record = find(connection, KINDS[used.kind], used.record_id)
    if record is None:
        raise Problem("gone")
    return used.kind, record


def change(connection: Connection, kind: Kind, record: str, version: int, values: Document) -> bool:
    """Writes the values, the new version among them, if the record still is at `version`; tells whether it was."""
    table = kind.table
    statement = update(table).where(table.c.id == record, table.c.version == version).values(values)
    if connection.execute(statement).rowcount == 0:
        return False
    if kind is CUSTOMER:
        _tell(connection, THREAD, "customer_id", record, FROM_CUSTOMER, values)
        _tell(connection, MESSAGE, "customer_id", record, FROM_CUSTOMER, values)
    if kind is THREAD:
        _tell(connection, MESSAGE, "thread_id", record, FROM_THREAD, values)
    return True


def _tell(
    connection: Connection, kind: Kind, by: str, above: str, names: Iterable[str], values: Document
) -> None:
    """Brings what records below repeat of this one to them. It is a change of theirs: whoever holds the old version reads again."""
    table = kind.table
    followed = {name: values[name] for name in names}
    differs = or_(*(table.c[name].is_distinct_from(value) for name, value in followed.items()))
    changed = {**followed, "version": table.c.version + 1, "updated_at": values["updated_at"]}
    connection.execute(update(table).where(table.c[by] == above, differs).values(changed))


def _told(connection: Connection, kind: Kind, records: Iterable[Record]) -> list[Record]:
    """Gives the records with what they repeat of the ones above, and keeps that from changing until the transaction ends."""
    rows = list(records)
    if kind is CUSTOMER:
        return rows
    above, by, names = (
        (THREAD, "thread_id", FROM_THREAD) if kind is MESSAGE else (CUSTOMER, "customer_id", FROM_CUSTOMER)
    )
    table = above.table
    wanted = {row[by] for row in rows}
    columns = [table.c[name] for name in names]
    statement = select(table.c.id, *columns).where(table.c.id.in_(wanted)).with_for_update(read=True)
    known = {row.id: {name: row._mapping[name] for name in names} for row in connection.execute(statement)}
    return [{**row, **known.get(row[by], {})} for row in rows]


def remove(connection: Connection, kind: Kind, record: str, version: int) -> bool:
    """Deletes the record if it still is at `version`; tells whether it was. Raises Problem(dependents)."""
    table = kind.table
    try:
        return (
            connection.execute(delete(table).where(table.c.id == record, table.c.version == version)).rowcount
            == 1
        )
    except IntegrityError as error:
        if conflict_of(error) is Conflict.FOREIGN:
            raise Problem("dependents") from error
        raise


def page(
    connection: Connection, kind: Kind, listing: Listing, parent: str | None
) -> tuple[Sequence[Record], Place | None, int | None]:
    """Gives a page's records, the place after it (None at the end), and the total where it was asked for.

    Raises Problem(not-found) where the parent is not there.
    """
    if parent is not None and find(connection, THREAD, parent) is None:
        raise Problem("not-found")
    where = render(both((listing.filter, listing.within)), kind)
    if parent is not None:
        where = (kind.table.c.thread_id == parent) & where
    statement = _whole(kind).where(where).order_by(*ordering(listing.sorts, kind)).limit(listing.limit + 1)
    if listing.after is not None:
        statement = statement.where(beyond(listing.sorts, listing.after, kind))
    rows = [_record(kind, row) for row in connection.execute(statement)]
    total = None
    if listing.count:
        total = connection.execute(select(func.count()).select_from(kind.table).where(where)).scalar_one()
    if len(rows) <= listing.limit:
        return rows, None, total
    rows.pop()
    return rows, place_of(rows[-1], listing.sorts), total


def insert_all(connection: Connection, kind: Kind, records: Iterable[Record]) -> int:
    """Inserts whole records, leaving those whose id is there already; gives how many were new."""
    before = connection.execute(select(func.count()).select_from(kind.table)).scalar_one()
    rows = [dict(record) for record in _told(connection, kind, records)]
    if rows:
        connection.execute(_if_new(kind.table, "id"), rows)
    return int(connection.execute(select(func.count()).select_from(kind.table)).scalar_one()) - int(before)
