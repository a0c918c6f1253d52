"""Ground: one store, SQLite or PostgreSQL behind one face. No room's table is known here.

Three ways in, for three needs:

- `read(work)`: a few indexed look-ups. On SQLite they run at once on the event loop (some 20 to 100 µs, less than one
  hop to a thread costs); on PostgreSQL without a transaction, one round trip a statement.
- `scan(work)`: whatever may take longer, or must see one moment: one snapshot, off the loop.
- `write(work)`: one transaction, durable when it returns. `transaction()` is the same for code that awaits inside it.

`work` is a plain function of a SQLAlchemy `Connection`; the same function serves both engines. It must return values, not an
open result.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, exc
from sqlalchemy.pool import StaticPool

from gateway.store.damage import Damaged, no_text
from gateway.store.group import GroupWriter
from gateway.store.location import Dialect, Location
from gateway.store.sqlite import listen, prepare_file
from gateway.words.errors import Unavailable

if TYPE_CHECKING:
    # Brings the ORM with it, a tenth of a start on SQLite, which needs neither: see asynchronous.py.
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")
Work = Callable[[Connection], T]

# A programming mistake stays what it is; a broken constraint is an answer that rooms read.
_OURS = (exc.IntegrityError, exc.ProgrammingError, exc.DataError, exc.NotSupportedError)
_NOT_THERE = (exc.DBAPIError, exc.TimeoutError, OSError, TimeoutError)


@contextmanager
def translated() -> Iterator[None]:
    """Turns whatever says that the database is not there, full, locked or broken into Unavailable, the cause kept.

    A text that is none is Damaged, without its cause: that one quotes it.
    """
    try:
        yield
    except _OURS:
        raise
    except _NOT_THERE as error:
        if no_text(error):
            raise Damaged from None
        raise Unavailable from error


class Store(Protocol):
    """What rooms are given. Contract, on every engine:

    Raises Unavailable when the database cannot serve now (down, full, locked too long), Damaged where only a cell is what it should
    not be; sqlalchemy's IntegrityError as it is.
    Promises: what `write` or a left `transaction` did is durable, all of it or nothing; a raise inside rolls back.
    A task that is cancelled while it commits does not know whether it did.
    """

    location: Location

    @property
    def dialect(self) -> Dialect:
        """Names the engine, for the few statements that differ."""

    async def read(self, work: Work[T]) -> T:
        """Runs a few indexed look-ups; each statement sees what is committed."""

    async def scan(self, work: Work[T]) -> T:
        """Runs reads of any length in one snapshot."""

    async def write(self, work: Work[T]) -> T:
        """Runs one transaction; durable when this returns."""

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Opens one transaction that may await inside; commits when left, rolls back when left by a raise."""

    def alone(self, name: str) -> AbstractAsyncContextManager[bool]:
        """Gives True to one process at a time for that name, False to the others, at once. Held until left, or until the process
        or its connection ends, however it ends."""

    async def close(self) -> None:
        """Ends every connection. Repeating it does nothing."""


class SqliteStore:
    """Store on one SQLite file, which one process owns (OwnerLock). One writer at a time, in the order of asking."""

    def __init__(self, location: Location, path: Path) -> None:
        self.location = location
        self._writing = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "store-write")
        self._scanner = ThreadPoolExecutor(1, "store-scan")
        self._near = _sqlite(path, query_only=True, begin=None)
        self._far = _sqlite(path, query_only=True, begin="BEGIN")
        self._writer = _sqlite(path, query_only=False, begin="BEGIN IMMEDIATE")
        self._group = GroupWriter(self._writer, self._thread, self._writing)
        self._path = path
        self._async: AsyncEngine | None = (
            None  # made when a transaction is first asked for: few processes ever do
        )

    @property
    def dialect(self) -> Dialect:
        """Names the engine."""
        return "sqlite"

    async def read(self, work: Work[T]) -> T:
        """Runs on the calling thread: see the module's head."""
        with translated(), self._near.connect() as connection:
            return work(connection)

    async def scan(self, work: Work[T]) -> T:
        """Runs on the scanning thread."""
        with translated():
            return await asyncio.get_running_loop().run_in_executor(self._scanner, _in, self._far, work)

    async def write(self, work: Work[T]) -> T:
        """Runs on the writing thread, committed together with whatever else waits."""
        with translated():
            result: T = await self._group.run(work)
            return result

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Takes its turn among the writers, then holds the file's write lock until left: keep it short."""
        with translated():
            async with self._writing, self._awaiting().begin() as connection:
                yield connection

    def _awaiting(self) -> AsyncEngine:
        if self._async is None:
            engine: AsyncEngine = import_module("gateway.store.asynchronous").sqlite_engine(self._path)
            self._async = engine
        return self._async

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[bool]:  # noqa: ARG002 - one process owns the file (OwnerLock)
        """Always True."""
        yield True

    async def close(self) -> None:
        """Waits for the work in hand."""
        loop = asyncio.get_running_loop()
        await self._group.settled()
        for pool, engine in ((self._thread, self._writer), (self._scanner, self._far)):
            await loop.run_in_executor(None, pool.shutdown)
            engine.dispose()
        self._near.dispose()
        if self._async is not None:
            await self._async.dispose()


async def open_store(location: Location, *, pool_size: int = 8) -> Store:
    """Gives a store whose first connections have been made and verified; `pool_size` counts on PostgreSQL only.

    Raises Misconfigured where the engine does not keep our promises (pragmas, fsync …), Unavailable where it is not there.
    Promises: no connection made later is used without the same verification.
    """
    store: Store
    if location.path is not None:
        prepare_file(location.path)
        store = SqliteStore(location, location.path)
    else:
        # By name and only here: a start on SQLite never pays for importing what only PostgreSQL needs.
        connector = import_module("gateway.store.postgres").connector
        made = import_module("gateway.store.asynchronous").PostgresStore
        store = made(location, connector(location.dsn, location.schema), pool_size)
    try:
        await store.read(touch)
        if store.dialect == "sqlite":
            await store.write(touch)
    except BaseException:
        await store.close()
        raise
    return store


def touch(connection: Connection) -> None:
    """Asks the store the least that there is to ask."""
    connection.exec_driver_sql("SELECT 1").scalar_one()


def _sqlite(path: Path, *, query_only: bool, begin: str | None) -> Engine:
    # One connection, used by one thread at a time: the loop's, the scanner's or the writer's.
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"isolation_level": None, "check_same_thread": False},
        poolclass=StaticPool,
        hide_parameters=True,
    )
    listen(engine, query_only=query_only, begin=begin)
    return engine


def _in(engine: Engine, work: Work[T]) -> T:
    with engine.begin() as connection:
        return work(connection)
