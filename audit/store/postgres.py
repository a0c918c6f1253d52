"""The log in one PostgreSQL schema, shared by any number of processes that take turns on the head row.

Everything runs in the calling thread's own event loop. A connection is used for one purpose and thrown away after any failure.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias, TypeVar

import asyncpg

from audit.chain import Entry, leaf
from audit.claims import Asked, Counts, Member, Window
from audit.errors import LogRefused
from audit.event import GENESIS, Head, StoredEntry, StoredPart
from audit.store.base import (
    SCHEMA_VERSION,
    Batch,
    CommitUnknown,
    Counting,
    NotWritten,
    StoreDown,
    migrations,
)

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"  # generic in its stubs only

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,39}")
# Trigger → when it fires, as pg_trigger has it (1 each row, 2 before, 8 DELETE, 16 UPDATE, 32 TRUNCATE), and what it runs.
_GUARDS = {
    "entries_change": (2 | 8 | 16 | 32, "refuse_change"),
    "parts_change": (2 | 8 | 16 | 32, "refuse_change"),
    "details_change": (2 | 8 | 16 | 32, "refuse_change"),
    "head_change": (2 | 8 | 32, "refuse_change"),
    "head_forward": (1 | 2 | 16, "only_forward"),
    "counts_change": (2 | 32, "refuse_change"),
    "counts_up": (1 | 2 | 16, "only_up"),
    "counts_end": (1 | 2 | 8, "only_ended"),
    "members_change": (2 | 16 | 32, "refuse_change"),
    "members_end": (1 | 2 | 8, "only_ended"),
}
_FUNCTION = re.compile(
    r"CREATE FUNCTION (\w+)\(\) RETURNS trigger LANGUAGE plpgsql AS \$\$(.*?)\$\$;", re.DOTALL
)
# What the service's role may not do with each table. A column's own right does not count here: head moves by such, and counts rise.
_TOO_MUCH = {
    **dict.fromkeys(("entries", "parts", "details"), "UPDATE, DELETE, TRUNCATE"),
    "head": "DELETE, TRUNCATE",
    **dict.fromkeys(("counts", "members"), "UPDATE, TRUNCATE"),
}
_SWEEP = (
    "DELETE FROM members WHERE (ends, counter, member) IN"
    " (SELECT ends, counter, member FROM members WHERE ends <= (SELECT time FROM head) ORDER BY ends LIMIT $1)",
    "DELETE FROM counts WHERE (ends, counter) IN"
    " (SELECT ends, counter FROM counts WHERE ends <= (SELECT time FROM head) ORDER BY ends LIMIT $1)",
)
_NOT_OURS = "this login may not make or use the log's schema: let its owner open it once"
_UNREACHABLE = "the log's PostgreSQL cannot be reached or used: check address, login and server"
_NO_HEAD = "the log's head row is gone: run `gatehouse audit verify` on it"
_DISAGREE = "the log's head and its last entry disagree: run `gatehouse audit verify` on it"
# All that a failing server, network or time-out can raise here; InternalClientError is asyncpg's word for an answer out of turn.
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. connect: a new connection. lock: waiting for the head row. batch: one transaction up to COMMIT, and COMMIT
    again. idle: the server ends a transaction whose client fell silent, so that a stopped process frees the head row."""

    connect: float = 5.0
    lock: float = 5.0
    batch: float = 10.0
    idle: float = 10.0


@dataclass(frozen=True, slots=True, repr=False)
class PostgresStore:
    """A log in `schema` of the database that `dsn` names. `<schema>_writer` is the role it appends as."""

    dsn: str
    schema: str = "audit"
    deadlines: Deadlines = Deadlines()

    def __post_init__(self) -> None:
        if not _SCHEMA.fullmatch(self.schema):
            raise LogRefused("the log's schema is named with a-z, 0-9 and _, at most 40 of them")

    def __repr__(self) -> str:  # the dsn may hold a password
        return f"PostgresStore(schema={self.schema!r})"

    @property
    def role(self) -> str:
        return f"{self.schema}_writer"

    def writer(self) -> PostgresWriter:
        return PostgresWriter(self)

    def reader(self) -> PostgresReader:
        return PostgresReader(self)

    def inspect(self) -> Head | None:
        # Its own thread, so that it has an event loop of its own wherever it is called from.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _inspect(self)).result()

    async def connect(self) -> Connection:
        """A connection as the login role, with the deadlines in force. Raises: one of FAILURES."""
        limits = self.deadlines
        return await asyncpg.connect(
            self.dsn,
            timeout=limits.connect,
            command_timeout=2
            * limits.batch,  # a server that is there ends a statement sooner: this is for one that is silent
            server_settings={
                "application_name": "gatehouse-audit",
                "search_path": f"{self.schema}, pg_temp",  # pg_temp last: no temporary table stands in for one of the log's
                "lock_timeout": str(int(limits.lock * 1000)),
                "statement_timeout": str(int(limits.batch * 1000)),
                "idle_in_transaction_session_timeout": str(int(limits.idle * 1000)),
            },
        )

    async def session(self) -> Connection:
        """A connection as the role that may only append, with commits that wait for the disk. Raises: one of FAILURES."""
        connection = await self.connect()
        try:
            if await connection.fetchval("SELECT current_setting('synchronous_commit')") != "remote_apply":
                await connection.execute("SET synchronous_commit TO on")
            await connection.execute(f"SET ROLE {self.role}")
        except FAILURES:
            connection.terminate()
            raise
        return connection


class _Session:
    """One connection, its event loop, and what becomes of both."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(work)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._store.session()
        return self._connection

    def _drop(self) -> None:
        """Throws the connection away without a word to the server, which may be stopped."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def close(self) -> None:
        """Lets connection and loop go. Repeatable."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        self._drop()
        loop.run_until_complete(_leave())
        loop.close()


async def _leave() -> None:
    """Ends what a thrown-away connection left in this loop."""
    # asyncpg may still be trying to cancel a query on a server that does not answer.
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn


class PostgresWriter(_Session):
    """The writer of base.Writer on PostgreSQL."""

    def open(self, log: str | None) -> Head:
        try:
            return self._run(self._open(log))
        except asyncpg.InsufficientPrivilegeError as error:
            raise LogRefused(_NOT_OURS) from error
        except FAILURES as error:
            raise LogRefused(_UNREACHABLE) from error

    def extend(self, link: Callable[[Head], Batch | None], counting: Counting | None = None) -> None:
        reused = self._connection is not None
        try:
            self._run(self._extend(link, counting))
        except NotWritten:
            if not reused:
                raise
            # The server may have ended an idle connection long ago, and nothing was written: once more on a new one.
            self._run(self._extend(link, counting))

    def is_written(self, last: Entry) -> bool:
        try:
            return self._run(self._is_written(last))
        except FAILURES as error:
            self._drop()
            raise StoreDown("the log's PostgreSQL does not answer") from error

    def save_cursor(self, name: str, seq: int, state: bytes) -> None:
        try:
            self._run(self._save_cursor(name, seq, state))
        except FAILURES as error:
            self._drop()
            raise NotWritten("the log's PostgreSQL does not answer") from error

    def sweep(self, limit: int) -> bool:
        try:
            return self._run(self._sweep(limit))
        except FAILURES as error:
            self._drop()
            raise NotWritten("the log's PostgreSQL does not answer") from error

    async def _open(self, log: str | None) -> Head:
        await _migrate(self._store, log)
        connection = await self._connected()
        await _check_guards(connection, self._store)
        # The lock keeps other writers still while head and last entry are compared.
        async with connection.transaction():
            head = await self._locked_head(connection)
            last = await connection.fetchrow("SELECT seq, body, hash FROM entries ORDER BY seq DESC LIMIT 1")
        found = (0, GENESIS, GENESIS) if last is None else (last[0], leaf(last[1]).hex(), last[2].hex())
        if found != (head.seq, head.hash, head.hash):
            raise LogRefused(_DISAGREE)
        return head

    async def _extend(self, link: Callable[[Head], Batch | None], counting: Counting | None = None) -> None:
        try:
            async with asyncio.timeout(self._store.deadlines.batch):
                connection = await self._connected()
                await connection.execute("BEGIN")
                head = await self._locked_head(connection)
                if counting is not None:
                    # A statement of its own sees what whoever held the head before us counted.
                    counting.know(*await _counted(connection, counting.ask(head)))
                batch = link(head)
                if batch is None:
                    await connection.execute("ROLLBACK")
                    return
                await self._write(connection, batch)
                if batch.counts is not None:
                    await _count(connection, batch.counts)
        except FAILURES as error:
            self._drop()
            raise NotWritten("the log's PostgreSQL does not answer") from error
        except BaseException:
            self._drop()
            raise
        try:
            async with asyncio.timeout(self._store.deadlines.batch):
                ended = await connection.execute("COMMIT")
        except FAILURES as error:
            self._drop()
            raise CommitUnknown("the log's PostgreSQL did not confirm a commit") from error
        if (
            ended != "COMMIT"
        ):  # the server answers a failed transaction's COMMIT with ROLLBACK, and with no error
            self._drop()
            raise NotWritten("the log's PostgreSQL rolled a commit back")

    async def _locked_head(self, connection: Connection) -> Head:
        """The head row, locked until the transaction ends; and, in that same question, whether a commit will be durable."""
        row = await connection.fetchrow(
            "SELECT seq, hash, fence, time, log, current_setting('fsync') = 'on'"
            " AND current_setting('full_page_writes') = 'on'"
            " AND current_setting('synchronous_commit') IN ('on', 'remote_apply')"
            " FROM head WHERE one = 1 FOR UPDATE"
        )
        if row is None:
            raise LogRefused(_NO_HEAD)
        if not row[5]:
            raise LogRefused(
                "this PostgreSQL may lose a commit: set fsync, full_page_writes, synchronous_commit to on"
            )
        return Head(row[0], row[1].hex(), row[2], row[3], row[4])

    async def _write(self, connection: Connection, batch: Batch) -> None:
        entries, head = batch.entries, batch.head
        parts = [(e.seq, n, part.salt, part.body) for e in entries for n, part in enumerate(e.parts)]
        details = [(e.seq, e.details) for e in entries if e.details is not None]
        moved = await connection.execute(
            "WITH e AS (INSERT INTO entries SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])),"
            " p AS (INSERT INTO parts SELECT * FROM unnest($4::bigint[], $5::int[], $6::bytea[], $7::bytea[])),"
            " d AS (INSERT INTO details SELECT * FROM unnest($8::bigint[], $9::bytea[]))"
            " UPDATE head SET seq = $10, hash = $11, fence = $12, time = $13 WHERE one = 1 AND log = $14",
            *([e.seq for e in entries], [e.body for e in entries], [e.hash for e in entries]),
            *([part[place] for part in parts] for place in range(4)),
            *([detail[place] for detail in details] for place in range(2)),
            *(head.seq, bytes.fromhex(head.hash), head.fence, head.time, head.log),
        )
        if moved != "UPDATE 1":
            raise LogRefused(_NO_HEAD)

    async def _is_written(self, last: Entry) -> bool:
        async with asyncio.timeout(self._store.deadlines.batch):
            connection = await self._connected()
            async with connection.transaction():
                # The lock is the point: a COMMIT of ours that the server still works on holds it until it has ended.
                await self._locked_head(connection)
                query = "SELECT hash FROM entries WHERE seq = $1"
                return bool(await connection.fetchval(query, last.seq) == last.hash)

    async def _sweep(self, limit: int) -> bool:
        async with asyncio.timeout(self._store.deadlines.batch):
            connection = await self._connected()
            gone = [await connection.execute(sql, limit) for sql in _SWEEP]
        return f"DELETE {limit}" in gone

    async def _save_cursor(self, name: str, seq: int, state: bytes) -> None:
        async with asyncio.timeout(self._store.deadlines.batch):
            connection = await self._connected()
            await connection.execute(
                "INSERT INTO cursors AS c VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE"
                " SET seq = excluded.seq, state = excluded.state WHERE excluded.seq >= c.seq",
                *(name, seq, state),
            )


async def _counted(connection: Connection, asked: Asked) -> tuple[dict[Window, int], list[Member]]:
    """What the store holds of what a batch asks for, in one question."""
    rows = await connection.fetch(
        "SELECT counter, ends, NULL::bytea, used FROM counts"
        " JOIN unnest($1::bytea[], $2::text[]) AS a(counter, ends) USING (counter, ends)"
        " UNION ALL SELECT counter, ends, member, 0 FROM members"
        " JOIN unnest($3::bytea[], $4::text[], $5::bytea[]) AS b(counter, ends, member) USING (counter, ends, member)",
        *([window[place] for window in asked.windows] for place in range(2)),
        *([member[place] for member in asked.members] for place in range(3)),
    )
    used = {(row[0], row[1]): row[3] for row in rows if row[2] is None}
    return used, [(row[0], row[1], row[2]) for row in rows if row[2] is not None]


async def _count(connection: Connection, counts: Counts) -> None:
    taken = [*counts.opened, *counts.raised]
    await connection.execute(
        "WITH m AS (INSERT INTO members (counter, ends, member)"
        " SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[]))"
        " INSERT INTO counts (counter, ends, used) SELECT * FROM unnest($4::bytea[], $5::text[], $6::bigint[])"
        " ON CONFLICT (ends, counter) DO UPDATE SET used = excluded.used",
        *([member[place] for member in counts.members] for place in range(3)),
        *([window[place] for window, _ in taken] for place in range(2)),
        [used for _, used in taken],
    )


class PostgresReader(_Session):
    """The reader of base.Reader on PostgreSQL."""

    def head(self) -> Head:
        query = "SELECT seq, hash, fence, time, log FROM head WHERE one = 1"
        rows = self._ask(query)
        if not rows:
            raise StoreDown("the log's head row is gone")
        return Head(rows[0][0], rows[0][1].hex(), *rows[0][2:])

    def bodies(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        query = "SELECT seq, body FROM entries WHERE seq > $1 ORDER BY seq LIMIT $2"
        return [(row[0], row[1]) for row in self._ask(query, after, limit)]

    def entries(self, after: int, limit: int) -> list[StoredEntry]:
        query = "SELECT seq, body, hash FROM entries WHERE seq > $1 ORDER BY seq LIMIT $2"
        rows = self._ask(query, after, limit)
        if not rows:
            return []
        span = (after, rows[-1][0])
        query = "SELECT seq, salt, body FROM parts WHERE seq > $1 AND seq <= $2 ORDER BY seq, n"
        by_entry = {
            seq: tuple(StoredPart(row[1], row[2]) for row in group)
            for seq, group in groupby(self._ask(query, *span), key=lambda row: row[0])
        }
        query = "SELECT seq, body FROM details WHERE seq > $1 AND seq <= $2"
        details = {row[0]: row[1] for row in self._ask(query, *span)}
        return [
            StoredEntry(row[0], row[1], row[2].hex(), by_entry.get(row[0], ()), details.get(row[0]))
            for row in rows
        ]

    def cursor(self, name: str) -> tuple[int, bytes] | None:
        rows = self._ask("SELECT seq, state FROM cursors WHERE name = $1", name)
        return (rows[0][0], rows[0][1]) if rows else None

    def _ask(self, query: str, *values: object) -> list[asyncpg.Record]:
        try:
            return self._run(self._fetch(query, values))
        except FAILURES as error:
            self._drop()
            raise StoreDown("the log's PostgreSQL does not answer") from error

    async def _fetch(self, query: str, values: tuple[object, ...]) -> list[asyncpg.Record]:
        async with asyncio.timeout(self._store.deadlines.batch):
            connection = await self._connected()
            return await connection.fetch(query, *values)


async def _inspect(store: PostgresStore) -> Head | None:
    """What `Store.inspect` promises: as a writer's `_open`, without its locks and without a migration."""
    try:
        connection = await store.connect()
        try:
            version = await _version(connection, store)
            if version > SCHEMA_VERSION:
                raise LogRefused(_newer(version))
            if version == 0:
                return None
        finally:
            connection.terminate()
        connection = await store.session()
        try:
            if version == SCHEMA_VERSION:
                await _check_guards(connection, store)
            # One statement sees one moment: another process may append meanwhile.
            row = await connection.fetchrow(
                "SELECT h.seq, h.hash, h.fence, h.time, h.log, e.seq, e.body, e.hash FROM head h"
                " LEFT JOIN LATERAL (SELECT seq, body, hash FROM entries ORDER BY seq DESC LIMIT 1) e ON true WHERE h.one = 1"
            )
        finally:
            connection.terminate()
    except asyncpg.InsufficientPrivilegeError as error:
        raise LogRefused(_NOT_OURS) from error
    except FAILURES as error:
        raise LogRefused(_UNREACHABLE) from error
    if row is None:
        raise LogRefused(_NO_HEAD)
    head = Head(row[0], row[1].hex(), row[2], row[3], row[4])
    last = (0, GENESIS, GENESIS) if row[5] is None else (row[5], leaf(row[6]).hex(), row[7].hex())
    if last != (head.seq, head.hash, head.hash):
        raise LogRefused(_DISAGREE)
    return head


def _newer(version: int) -> str:
    return f"the log's schema {version} is newer than this program ({SCHEMA_VERSION}): upgrade it"


async def _migrate(store: PostgresStore, log: str | None) -> None:
    """Brings the schema to SCHEMA_VERSION, as the login role, alone among all processes that try."""
    connection = await store.connect()
    try:
        async with connection.transaction():
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"gatehouse:{store.schema}"
            )
            version = await _version(connection, store)
            if version > SCHEMA_VERSION:
                raise LogRefused(_newer(version))
            if version == 0 and log is None:
                raise LogRefused(
                    "there is no log in this database: restore it, or make a new one on purpose (create)"
                )
            if version < SCHEMA_VERSION:
                await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {store.schema}")
            for number, script in migrations("postgres", version):
                await connection.execute(
                    script.replace("{writer}", store.role).replace("{schema}", store.schema)
                )
                await connection.execute("UPDATE schema_version SET version = $1", number)
                if number == 1:
                    genesis = bytes.fromhex(GENESIS)
                    await connection.execute("INSERT INTO head VALUES (1, $1, 0, $2, 0, '')", log, genesis)
    finally:
        connection.terminate()


async def _version(connection: Connection, store: PostgresStore) -> int:
    if await connection.fetchval("SELECT to_regclass($1)", f"{store.schema}.schema_version") is None:
        return 0
    return int(await connection.fetchval("SELECT version FROM schema_version"))


async def _check_guards(connection: Connection, store: PostgresStore) -> None:
    """Refuses a role that may do more than append, and a log whose triggers are gone or do something else under their names."""
    rows = await connection.fetch(
        "SELECT t.tgname, t.tgtype, p.prosrc FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " JOIN pg_namespace s ON s.oid = c.relnamespace JOIN pg_proc p ON p.oid = t.tgfoid"
        " WHERE s.nspname = $1 AND t.tgenabled = 'A' AND t.tgqual IS NULL AND t.tgattr = ''"
        " AND c.relname = split_part(t.tgname, '_', 1)",
        store.schema,
    )
    there = {row[0]: (row[1], row[2]) for row in rows}
    scripts = [script.replace("{schema}", store.schema) for _, script in migrations("postgres", 0)]
    meant = dict(found for script in scripts for found in _FUNCTION.findall(script))
    for name, (when, runs) in sorted(_GUARDS.items()):
        if there.get(name) != (when, meant[runs]):
            how = "another" if name in there else "gone"
            raise LogRefused(
                f"the log's guard {name} is {how}: somebody changed the store; verify it before you go on"
            )
    for table, too_much in _TOO_MUCH.items():
        if await connection.fetchval("SELECT has_table_privilege($1, $2)", table, too_much):
            raise LogRefused(f"the role {store.role} may change {table}: it may own nothing and only append")
