"""Ground: what needs SQLAlchemy's asynchronous half: PostgreSQL, and a transaction on SQLite that awaits inside.

Imported by name, only where it is needed: that half imports the whole ORM, which nothing here uses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import event, exc, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from gateway.store.location import Dialect, Location
from gateway.store.sqlite import listen
from gateway.store.store import Work, translated

T = TypeVar("T")


def sqlite_engine(path: Path) -> AsyncEngine:
    """Gives an engine of one connection on the file, with our pragmas."""
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        connect_args={"isolation_level": None},
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
    )
    listen(engine.sync_engine)
    return engine


_LEAVE_SECONDS = 2.0
_TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")


class PostgresStore:
    """Store in one schema of a PostgreSQL database, shared by any number of processes."""

    def __init__(self, location: Location, connect: Callable[..., Awaitable[Any]], pool_size: int) -> None:
        self.location = location
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            hide_parameters=True,
        )
        event.listen(self._engine.sync_engine, "handle_error", _silent_is_gone)
        self._single: AsyncEngine = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._snapshot: AsyncEngine = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    @property
    def dialect(self) -> Dialect:
        """Names the engine."""
        return "postgresql"

    async def read(self, work: Work[T]) -> T:
        """One round trip a statement, no transaction."""
        with translated():
            async with self._single.connect() as connection:
                return await connection.run_sync(work)

    async def scan(self, work: Work[T]) -> T:
        """REPEATABLE READ, READ ONLY."""
        with translated():
            async with self._snapshot.connect() as connection:
                return await connection.run_sync(work)

    async def write(self, work: Work[T]) -> T:
        """READ COMMITTED."""
        with translated():
            async with self._engine.begin() as connection:
                return await connection.run_sync(work)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """READ COMMITTED."""
        with translated():
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[bool]:
        """An advisory lock of the session: the server lets go of it when the connection ends."""
        with translated():
            async with self._single.connect() as connection:
                key = {"name": f"{self.location.schema}:{name}"}
                mine = bool((await connection.execute(_TRY_LOCK, key)).scalar_one())
                try:
                    yield mine
                finally:
                    if mine:
                        # Where it cannot be given back the connection is gone, and the lock with it: what was done stands.
                        with suppress(exc.DBAPIError, TimeoutError):
                            await connection.execute(_UNLOCK, key)

    async def close(self) -> None:
        """Closes the pool. Sessions whose server does not take leave of them end with the process."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self._engine.dispose()


def _silent_is_gone(what: ExceptionContext) -> None:
    """Has all of the pool's sessions thrown away with one that did not answer in time: what cut it off has cut off others, and each would
    take its caller as long to find out. SQLAlchemy throws away that one alone."""
    if isinstance(what.original_exception, TimeoutError):
        what.is_disconnect = what.invalidate_pool_on_disconnect = True
