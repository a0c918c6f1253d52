"""Feeds a log in PostgreSQL to `audit.verify`: reads rows of one moment, judges nothing."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import Any

import asyncpg

from audit.errors import LogRefused
from audit.store.postgres import FAILURES, Connection, PostgresStore
from audit.verify import HeadRow, Report, Row, Stored, Unreadable, verify

_CHUNK = 2_000
_FIRST, _LAST = -(2**63), 2**63 - 1  # of a bigint, whatever a row of no entry claims to be
Fetch = Callable[[str, Sequence[object]], list[asyncpg.Record]]


def verify_postgres(dsn: str, schema: str = "audit", receipts: Sequence[str] = ()) -> Report:
    """`audit.verify.verify` on a schema, also while others write. Blocks. Raises: Unreadable."""
    try:
        store = PostgresStore(dsn, schema)
    except LogRefused as error:
        raise Unreadable(str(error)) from error
    # Its own thread, so that it has an event loop of its own wherever it is called from.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_verify, store, receipts).result()


def _verify(store: PostgresStore, receipts: Sequence[str]) -> Report:
    try:
        with asyncio.Runner() as runner:
            connection = runner.run(store.connect())
            try:
                runner.run(_begin(connection))
                return verify(_stored(_fetcher(runner, connection)), receipts)
            finally:
                runner.run(_end(connection))
    except FAILURES as error:
        raise Unreadable("PostgreSQL does not answer, or holds no log in this schema") from error


async def _begin(connection: Connection) -> None:
    await connection.execute("SET statement_timeout TO 0")
    await connection.execute("SET idle_in_transaction_session_timeout TO 0")
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


async def _end(connection: Connection) -> None:
    connection.terminate()
    await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn


def _fetcher(runner: asyncio.Runner, connection: Connection) -> Fetch:
    async def ask(query: str, values: Sequence[object]) -> list[asyncpg.Record]:
        return await connection.fetch(query, *values)

    return lambda query, values: runner.run(ask(query, values))


def _stored(fetch: Fetch) -> Stored:
    found = fetch("SELECT log, seq, hash, fence, time FROM head", ())
    head = (
        HeadRow(found[0][0], found[0][1], found[0][2].hex(), found[0][3], found[0][4])
        if len(found) == 1
        else None
    )
    return Stored(head, lambda: _rows(fetch), lambda: _strays(fetch))


def _rows(fetch: Fetch) -> Iterator[Row]:
    after = 0
    query = (
        "SELECT e.seq, e.body, e.hash, d.body FROM entries e LEFT JOIN details d ON d.seq = e.seq"
        " WHERE e.seq > $1 ORDER BY e.seq LIMIT $2"
    )
    beside = "SELECT seq, n, salt, body FROM parts WHERE seq > $1 AND seq <= $2 ORDER BY seq, n"
    while rows := fetch(query, (after, _CHUNK)):
        parts: dict[int, list[Any]] = {}
        for seq, place, salt, body in fetch(beside, (after, rows[-1][0])):
            parts.setdefault(seq, []).append((place, salt, body))
        for seq, body, digest, details in rows:
            yield Row(seq, body, digest, tuple(parts.get(seq, ())), details)
        after = rows[-1][0]


def _strays(fetch: Fetch) -> Iterator[tuple[str, int]]:
    """Rows of no entry, the first number first. Page by page: one question about all rows takes longer than its deadline in a large log."""
    return heapq.merge(_of_no_entry(fetch, "parts"), _of_no_entry(fetch, "details"), key=itemgetter(1))


def _of_no_entry(fetch: Fetch, table: str) -> Iterator[tuple[str, int]]:
    start = _FIRST
    query = (
        "SELECT seq, EXISTS (SELECT 1 FROM entries e WHERE e.seq = beside.seq) FROM"  # noqa: S608 - one of two names of ours
        f" (SELECT DISTINCT seq FROM {table} WHERE seq >= $1 ORDER BY seq LIMIT $2) AS beside ORDER BY seq"
    )
    while rows := fetch(query, (start, _CHUNK)):
        yield from ((table, seq) for seq, there in rows if not there)
        if rows[-1][0] == _LAST:
            return
        start = rows[-1][0] + 1
