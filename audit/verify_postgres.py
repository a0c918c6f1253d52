"""Feeds a log in PostgreSQL to `audit.verify`: reads rows of one moment, judges nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg

from audit.errors import LogRefused
from audit.store.postgres import FAILURES, Connection, PostgresStore
from audit.verify import HeadRow, Report, Row, Stored, Unreadable, verify

_CHUNK = 2_000
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
    rows = fetch(
        "SELECT 'parts', seq FROM parts WHERE seq NOT IN (SELECT seq FROM entries)"
        " UNION ALL SELECT 'details', seq FROM details WHERE seq NOT IN (SELECT seq FROM entries) ORDER BY 2 LIMIT 1",
        (),
    )
    for row in rows:
        yield row[0], row[1]
