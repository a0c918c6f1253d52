"""Steps 6 and 9 of the request path: the append-only, hash-chained log. Stands alone and never imports gateway.

Checking a log is `audit.verify` (one file, shares no code with what is here) and `audit.verify_postgres`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from audit.claims import Claim, Over
from audit.errors import AuditError, EventRefused, LogBusy, LogRefused, LogUnavailable, OverBudget, Stale
from audit.event import AuditEvent, Head, Kind, OpenIntent, Receipt, RecordPart, StoredEntry, StoredPart
from audit.figures import BATCH_BOUNDS, Figures, OnOutage
from audit.log import Limits, Log
from audit.store.base import Store, StoreDown
from audit.store.sqlite import SqliteStore

__all__ = [
    "BATCH_BOUNDS",
    "AuditError",
    "AuditEvent",
    "Claim",
    "EventRefused",
    "Figures",
    "Head",
    "Kind",
    "Limits",
    "Log",
    "LogBusy",
    "LogRefused",
    "LogUnavailable",
    "OnOutage",
    "OpenIntent",
    "Over",
    "OverBudget",
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
    try:
        # By name, when it is asked for: a log in SQLite neither needs asyncpg nor waits for it.
        module = import_module("audit.store.postgres")
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise LogRefused(
            "a log in PostgreSQL needs the extra `postgres`: install gatehouse[postgres]"
        ) from error
    store: Store = module.PostgresStore(dsn, schema)
    return store


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
