"""Ground: what every SQLite connection of ours is told, and what it must then answer."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from gateway.words.errors import Misconfigured

BUSY_TIMEOUT_MS = 5_000

# What is set, and what reading it back must give (sqlite.org/pragma.html). synchronous 2 is FULL: in WAL mode a commit
# is synced before it is acknowledged. secure_delete overwrites what is deleted: a destroyed key must not stay in a free page.
_PRAGMAS: tuple[tuple[str, str, str], ...] = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", "2"),
    ("foreign_keys", "ON", "1"),
    ("busy_timeout", str(BUSY_TIMEOUT_MS), str(BUSY_TIMEOUT_MS)),
    ("secure_delete", "ON", "1"),
    ("trusted_schema", "OFF", "0"),
)
_OLDEST = (3, 35, 0)  # RETURNING and DROP COLUMN


def prepare_file(path: Path) -> None:
    """Makes the file, readable by its owner only, before SQLite would make it by the umask (-wal and -shm copy its mode)."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise Misconfigured("SQLite is older than 3.35: use a newer Python or PostgreSQL")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Misconfigured(f"the store's file cannot be opened: {os.strerror(error.errno or 0)}") from error


def configure(cursor: Any, *, query_only: bool = False) -> None:
    """Sets the pragmas on a fresh connection's cursor and reads each back. Raises Misconfigured where one does not hold."""
    pragmas = (*_PRAGMAS, ("query_only", "ON", "1")) if query_only else _PRAGMAS
    wrong = []
    for name, value, expected in pragmas:
        cursor.execute(f"PRAGMA {name}={value}")
        cursor.fetchall()
        if _read(cursor, name) != expected:
            wrong.append(
                f"SQLite did not accept PRAGMA {name}={value}: the file's system or its build cannot keep our promises"
            )
    if _read(cursor, "encoding") != "UTF-8":
        wrong.append("the SQLite file is not in UTF-8: strings would not compare by code point")
    if wrong:
        raise Misconfigured(*wrong)


def _read(cursor: Any, name: str) -> str:
    cursor.execute(f"PRAGMA {name}")
    (value,) = cursor.fetchone()
    cursor.fetchall()
    return str(value)


def listen(engine: Engine, *, query_only: bool = False, begin: str | None = "BEGIN IMMEDIATE") -> None:
    """Configures each new connection, and begins each transaction with `begin` (None: every statement stands alone).

    Needs `isolation_level=None` in the connect arguments. Python's own driver would begin late, only before the first
    change, so that two readers who both want to write would fail instead of waiting for each other.
    """

    def on_connect(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        try:
            configure(cursor, query_only=query_only)
        finally:
            cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin or "")

    event.listen(engine, "connect", on_connect)
    if begin is not None:
        event.listen(engine, "begin", on_begin)
