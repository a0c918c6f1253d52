"""Steps 6 and 9 of the request path: the append-only, hash-chained log. Stands alone and never imports gateway.

Checking a log is `audit.verify` (one file, shares no code with what is here) and `audit.verify_postgres`.
"""

from __future__ import annotations

from pathlib import Path

from audit.errors import AuditError, EventRefused, LogBusy, LogRefused, LogUnavailable, Stale
from audit.event import AuditEvent, Head, Kind, OpenIntent, Receipt, RecordPart, StoredEntry, StoredPart
from audit.log import Limits, Log
from audit.store.base import Store, StoreDown
from audit.store.sqlite import SqliteStore

try:
    from audit.store.postgres import PostgresStore
except ModuleNotFoundError as _error:
    if _error.name != "asyncpg":
        raise
    _NO_POSTGRES = True  # asyncpg comes with the extra `postgres`; a log in SQLite needs none of it
else:
    _NO_POSTGRES = False

__all__ = [
    "AuditError",
    "AuditEvent",
    "EventRefused",
    "Head",
    "Kind",
    "Limits",
    "Log",
    "LogBusy",
    "LogRefused",
    "LogUnavailable",
    "OpenIntent",
    "Receipt",
    "RecordPart",
    "Stale",
    "Store",
    "StoredEntry",
    "StoredPart",
    "postgres",
    "sqlite",
    "tail",
]


def sqlite(path: Path | str) -> Store:
    """A log in one SQLite file, which one process at a time may own."""
    return SqliteStore(path)


def postgres(dsn: str, schema: str = "audit") -> Store:
    """A log in one schema of a PostgreSQL database, which many processes may share. Raises: LogRefused without asyncpg."""
    if _NO_POSTGRES:
        raise LogRefused("a log in PostgreSQL needs the extra `postgres`: install gatehouse[postgres]")
    return PostgresStore(dsn, schema)


def tail(store: Store, count: int) -> list[StoredEntry]:
    """The last `count` entries in order, read beside whoever owns the log. Blocks: call it outside of an event loop.

    Raises: LogUnavailable.
    """
    reader = store.reader()
    try:
        return reader.entries(max(reader.head().seq - count, 0), count)
    except StoreDown as error:
        raise LogUnavailable("there is no log to read at this place") from error
    finally:
        reader.close()
