"""Ground: how a PostgreSQL session of ours is opened, and what its server must promise. Imported only where there is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.words.errors import Misconfigured, Unavailable

try:
    import asyncpg
except ImportError:  # the extra `postgres` is not installed: SQLite alone is a complete installation
    asyncpg = None  # type: ignore[assignment]  # mypy has no optional modules

CONNECT_TIMEOUT_SECONDS = 5.0
_OLDEST = 140_000

COMMAND_SECONDS = 20.0
"""A session that says nothing for so long is gone: a network that lost it, a server that was moved away. Longer than the server's own
limits below, so that a server that is there is the one to say what went wrong."""

# Nobody waits for ever: a lock, a statement and an idle transaction each end by themselves at a server that is there (milliseconds).
_SETTINGS = {
    "application_name": "gatehouse",
    "jit": "off",
    "lock_timeout": "5000",
    "statement_timeout": "15000",
    "idle_in_transaction_session_timeout": "15000",
}

_VERIFY = """
SELECT current_setting('server_version_num')::int, current_setting('fsync'), current_setting('full_page_writes'),
       current_setting('synchronous_commit'), current_setting('server_encoding'), pg_is_in_recovery()
"""


def connector(dsn: str, schema: str | None) -> Callable[..., Awaitable[Any]]:
    """Gives what SQLAlchemy calls for each new session: connects, then verifies. Raises Misconfigured, Unavailable.

    The DSN goes to the driver as it stands (sockets, sslmode and several hosts included) rather than through a URL class.
    """
    if asyncpg is None:
        raise Misconfigured("PostgreSQL needs the driver asyncpg: install gatehouse[postgres]")
    settings = dict(_SETTINGS)
    if schema is not None:
        settings["search_path"] = schema

    async def connect(*_args: object, **_kwargs: object) -> Any:
        try:
            session = await asyncpg.connect(
                dsn,
                server_settings=settings,
                timeout=CONNECT_TIMEOUT_SECONDS,
                command_timeout=COMMAND_SECONDS,
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise Unavailable from error  # SQLAlchemy would pass the driver's own errors on as they are
        try:
            (answer,) = await session.fetch(_VERIFY)
            problems = judge(*answer)
        except BaseException:
            session.terminate()
            raise
        if problems:
            await session.close()
            raise Misconfigured(*problems)
        return session

    return connect


def judge(
    version: int, fsync: str, full_pages: str, commit: str, encoding: str, standby: bool
) -> tuple[str, ...]:
    """Gives a line for each promise that the server does not keep; empty when all are kept. Pure."""
    problems = []
    if version < _OLDEST:
        problems.append("PostgreSQL is older than 14: upgrade the server")
    if fsync != "on":
        problems.append(
            "PostgreSQL runs with fsync off, so that what it acknowledges may be lost: set `fsync = on` in its configuration then reload it"
        )
    if full_pages != "on":
        problems.append(
            "PostgreSQL runs with full_page_writes off, so that torn pages would not be repaired: set `full_page_writes = on`; reload it"
        )
    if commit == "off":
        problems.append(
            "PostgreSQL runs with synchronous_commit off, so that what it acknowledges may be lost: set it to `on` for the server, this "
            "database and this login"
        )
    if encoding != "UTF8":
        problems.append(
            "the PostgreSQL database is not in UTF8, so that strings would not compare by code point: make it with `ENCODING 'UTF8'`"
        )
    if standby:
        problems.append(
            "PostgreSQL is a standby, which takes no writes: name the primary in GATEHOUSE_DATABASE_URL"
        )
    return tuple(problems)
