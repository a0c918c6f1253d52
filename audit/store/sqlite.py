"""The log in one SQLite file, owned by one process. Durable at commit: WAL with synchronous=FULL, both verified."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TypeVar

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

APPLICATION_ID = 0x47484C47  # "GHLG" in the file's header
OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
_UNREADABLE = "the log's file cannot be opened: is it a log, is the disk full or read-only?"
_TABLES = ("entries", "parts", "details", "head", "counts", "members")
_TRIGGERS = frozenset(f"{table}_{verb}" for table in _TABLES for verb in ("insert", "update", "delete"))
# What must be in force on the writing connection, and how SQLite says that it is.
_PRAGMAS = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("fullfsync", "ON", 1),  # matters on macOS, where a plain fsync is not one
    ("checkpoint_fullfsync", "ON", 1),
    ("recursive_triggers", "ON", 1),
    ("trusted_schema", "OFF", 0),
)
# What ended at the log's own time or before it, the oldest first.
_SWEEP = (
    "DELETE FROM members WHERE (ends, counter, member) IN"
    " (SELECT ends, counter, member FROM members WHERE ends <= ? ORDER BY ends LIMIT ?)",
    "DELETE FROM counts WHERE (ends, counter) IN"
    " (SELECT ends, counter FROM counts WHERE ends <= ? ORDER BY ends LIMIT ?)",
)


class SqliteStore:
    """A log in the file at `path`. The folder must exist: a missing mount is not an empty log."""

    def __init__(self, path: Path | str, *, busy_seconds: float = 5.0) -> None:
        self._path = Path(path)
        self._busy_seconds = busy_seconds

    def writer(self) -> SqliteWriter:
        return SqliteWriter(self._path, self._busy_seconds)

    def reader(self) -> SqliteReader:
        return SqliteReader(self._path, self._busy_seconds)

    def inspect(self) -> Head | None:
        if not self._path.exists() or self._path.stat().st_size == 0:
            return None
        try:
            version = _identified(self._path, None)
            uri = self._path.resolve().as_uri() + "?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=self._busy_seconds)) as connection:
                if version == SCHEMA_VERSION:  # an older one may lack what its migration will bring
                    _check_guards(connection)
                return _checked_head(connection)
        except sqlite3.Error as error:
            raise LogRefused(_UNREADABLE) from error


class SqliteWriter:
    """The writer of base.Writer on SQLite. Owns the file through `<file>.lock` from `open` to `close`."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._lock: int | None = None

    def open(self, log: str | None) -> Head:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise LogRefused("this SQLite is older than 3.37: install a newer one")
        if not self._path.parent.is_dir():
            raise LogRefused("the log's folder does not exist: mount or make it")
        if log is None and not self._path.exists():
            raise LogRefused(
                "there is no log at this place: restore it, or make a new one on purpose (create)"
            )
        self._lock = _own(self._path)
        try:
            if log is not None:
                _make_file(self._path)
            version = _identified(self._path, log)
            connection = self._connect()
            _migrate(connection, version, log)
            _check_guards(connection)
            return _checked_head(connection)
        except sqlite3.Error as error:
            raise LogRefused(_UNREADABLE) from error

    def extend(self, link: Callable[[Head], Batch | None], counting: Counting | None = None) -> None:
        try:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            head = _head(connection)
            if counting is not None:
                counting.know(*_counted(connection, counting.ask(head)))
            batch = link(head)
            if batch is None:
                connection.execute("ROLLBACK")
                return
            _write(connection, batch)
            if batch.counts is not None:
                _count(connection, batch.counts)
            if _identity(self._path) != self._identity:
                self._drop()
                raise NotWritten("the log's file was moved or removed")
        except (sqlite3.Error, OSError) as error:
            self._drop()
            raise NotWritten("the log's file could not be written") from error
        except BaseException:
            self._drop()
            raise
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._drop()
            raise CommitUnknown("the log's file did not confirm a commit") from error

    def is_written(self, last: Entry) -> bool:
        try:
            connection = self._connected()
            row = connection.execute("SELECT hash FROM entries WHERE seq = ?", (last.seq,)).fetchone()
            if row is None or row[0] != last.hash:
                return False
            # A commit whose fsync failed can come back from the WAL's pages in memory. It counts only once it lies in
            # the database file itself: all frames moved there, and that file synced.
            _, frames, moved = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            if frames != moved:
                raise StoreDown("the log's file could not be checkpointed")
        except (sqlite3.Error, OSError) as error:
            self._drop()
            raise StoreDown("the log's file cannot be read") from error
        return True

    def save_cursor(self, name: str, seq: int, state: bytes) -> None:
        try:
            self._connected().execute(
                "INSERT INTO cursors VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET seq = excluded.seq, state = excluded.state WHERE excluded.seq >= cursors.seq",
                (name, seq, state),
            )
        except (sqlite3.Error, OSError) as error:
            self._drop()
            raise NotWritten("the log's file could not be written") from error

    def sweep(self, limit: int) -> bool:
        try:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            now = _head(connection).time
            gone = [connection.execute(sql, (now, limit)).rowcount for sql in _SWEEP]
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._drop()
            raise NotWritten("the log's file could not be written") from error
        return max(gone) == limit

    def close(self) -> None:
        self._drop()
        if self._lock is not None:
            os.close(self._lock)  # the lock goes with it; the file stays, so that nobody locks a removed one
            self._lock = None

    def _connected(self) -> sqlite3.Connection:
        return self._connection or self._connect()

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: a file that vanished while we ran is not quietly replaced by an empty one.
        uri = self._path.resolve().as_uri() + "?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=self._busy_seconds)
        self._connection = connection
        # An open file that was removed takes commits as gladly as any; so each batch asks whether the name still is ours.
        self._identity = _identity(self._path)
        for name, wanted, shown in _PRAGMAS:
            connection.execute(f"PRAGMA {name} = {wanted}")
            if connection.execute(f"PRAGMA {name}").fetchone()[0] != shown:
                raise LogRefused(
                    f"SQLite does not keep {name} = {wanted} on this file system: use a local disk"
                )
        return connection

    def _drop(self) -> None:
        """Throws the connection away, whatever state it is in; an open transaction is rolled back by that."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                return  # closing may try to checkpoint onto the same full disk; the next connection recovers


class SqliteReader:
    """The reader of base.Reader on SQLite: a read-only connection beside the writer."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._connection: sqlite3.Connection | None = None

    def head(self) -> Head:
        return self._ask(_head)

    def entries(self, after: int, limit: int) -> list[StoredEntry]:
        return self._ask(lambda connection: _entries(connection, after, limit))

    def bodies(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        query = "SELECT seq, body FROM entries WHERE seq > ? ORDER BY seq LIMIT ?"
        return self._ask(lambda connection: connection.execute(query, (after, limit)).fetchall())

    def cursor(self, name: str) -> tuple[int, bytes] | None:
        query = "SELECT seq, state FROM cursors WHERE name = ?"
        row: tuple[int, bytes] | None = self._ask(
            lambda connection: connection.execute(query, (name,)).fetchone()
        )
        return row

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                uri = self._path.resolve().as_uri() + "?mode=ro"
                self._connection = sqlite3.connect(
                    uri, uri=True, isolation_level=None, timeout=self._busy_seconds
                )
            return question(self._connection)
        except sqlite3.Error as error:
            self.close()
            raise StoreDown("the log's file cannot be read") from error


def _identity(path: Path) -> tuple[int, int]:
    """Which file stands at `path`. Raises: OSError where there is none."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _own(path: Path) -> int:
    """Locks `<path>.lock` for this process. A second owner would wait for seconds at every commit of the first."""
    try:
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LogRefused(
            "the log's lock file cannot be made: check the folder's owner and free space"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise LogRefused(
            f"the log is already open in another process (pid {owner}): stop it first"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _make_file(path: Path) -> None:
    """Makes an empty file for the owner alone, and its name durable. An existing one is left as it is."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise LogRefused("the log's file cannot be made: check the folder's owner and free space") from error
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _identified(path: Path, log: str | None) -> int:
    """The schema version of the file, found read-only: a file of somebody else's is not even switched to WAL."""
    connection = sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True)
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        mark = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        connection.close()
    if mark != APPLICATION_ID and (version or tables):
        raise LogRefused("this SQLite file is not a log of Gatehouse: name another")
    if version > SCHEMA_VERSION:
        raise LogRefused(
            f"the log's schema {version} is newer than this program knows ({SCHEMA_VERSION}): upgrade it"
        )
    if version == 0 and log is None:
        raise LogRefused("the log's file is empty: restore it, or make a new one on purpose (create)")
    return version


def _migrate(connection: sqlite3.Connection, version: int, log: str | None) -> None:
    for number, script in migrations("sqlite", version):
        # executescript commits what is pending and runs on; so the transaction is opened inside it and closed below.
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};")
        if number == 1:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("INSERT INTO head VALUES (1, ?, 0, ?, 0, '')", (log, bytes.fromhex(GENESIS)))
        connection.execute("COMMIT")


def _check_guards(connection: sqlite3.Connection) -> None:
    """Refuses a log whose triggers are gone, or do something else under their names."""
    there, meant = _triggers(connection), _meant()
    for name in sorted(_TRIGGERS):
        if there.get(name) != meant[name]:
            how = "another" if name in there else "gone"
            raise LogRefused(
                f"the log's guard {name} is {how}: somebody changed the store; verify it before you go on"
            )


def _triggers(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())


@cache
def _meant() -> dict[str, str]:
    """The guards as the migrations make them, in SQLite's own record of them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for _, script in migrations("sqlite", 0):
            connection.executescript(script)
        return _triggers(connection)


def _checked_head(connection: sqlite3.Connection) -> Head:
    """The head, after a look at whether it agrees with the last entry: a broken end is not extended."""
    head = _head(connection)
    row = connection.execute("SELECT seq, body, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
    last = (0, GENESIS, GENESIS) if row is None else (row[0], leaf(row[1]).hex(), row[2].hex())
    if last != (head.seq, head.hash, head.hash):
        raise LogRefused("the log's head and its last entry disagree: run `python -m audit.verify` on it")
    return head


def _head(connection: sqlite3.Connection) -> Head:
    row = connection.execute("SELECT seq, hash, fence, time, log FROM head WHERE one = 1").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("no head")
    seq, digest, fence, time, log = row
    return Head(seq, digest.hex(), fence, time, log)


def _write(connection: sqlite3.Connection, batch: Batch) -> None:
    entries, head = batch.entries, batch.head
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?)", [(e.seq, e.body, e.hash) for e in entries])
    if parts := [(e.seq, n, part.salt, part.body) for e in entries for n, part in enumerate(e.parts)]:
        connection.executemany("INSERT INTO parts VALUES (?, ?, ?, ?)", parts)
    if details := [(e.seq, e.details) for e in entries if e.details is not None]:
        connection.executemany("INSERT INTO details VALUES (?, ?)", details)
    moved = connection.execute(
        "UPDATE head SET seq = ?, hash = ?, fence = ?, time = ? WHERE one = 1 AND log = ?",
        (head.seq, bytes.fromhex(head.hash), head.fence, head.time, head.log),
    )
    if moved.rowcount != 1:
        raise sqlite3.DatabaseError("no head")


def _counted(connection: sqlite3.Connection, asked: Asked) -> tuple[dict[Window, int], list[Member]]:
    """What the store holds of what a batch asks for."""
    used: dict[Window, int] = {}
    for counter, ends in asked.windows:
        query = "SELECT used FROM counts WHERE ends = ? AND counter = ?"
        if (row := connection.execute(query, (ends, counter)).fetchone()) is not None:
            used[counter, ends] = row[0]
    query = "SELECT 1 FROM members WHERE ends = ? AND counter = ? AND member = ?"
    return used, [
        (counter, ends, member)
        for counter, ends, member in asked.members
        if connection.execute(query, (ends, counter, member)).fetchone() is not None
    ]


def _count(connection: sqlite3.Connection, counts: Counts) -> None:
    opened = [(ends, counter, used) for (counter, ends), used in counts.opened]
    connection.executemany("INSERT INTO counts VALUES (?, ?, ?)", opened)
    raised = [(used, ends, counter) for (counter, ends), used in counts.raised]
    connection.executemany("UPDATE counts SET used = ? WHERE ends = ? AND counter = ?", raised)
    members = [(ends, counter, member) for counter, ends, member in counts.members]
    connection.executemany("INSERT INTO members VALUES (?, ?, ?)", members)


def _entries(connection: sqlite3.Connection, after: int, limit: int) -> list[StoredEntry]:
    rows = connection.execute(
        "SELECT seq, body, hash FROM entries WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
    ).fetchall()
    if not rows:
        return []
    span = (after, rows[-1][0])
    parts = connection.execute(
        "SELECT seq, salt, body FROM parts WHERE seq > ? AND seq <= ? ORDER BY seq, n", span
    )
    by_entry = {
        seq: tuple(StoredPart(salt, body) for _, salt, body in group)
        for seq, group in groupby(parts, key=lambda row: row[0])
    }
    details = dict(
        connection.execute("SELECT seq, body FROM details WHERE seq > ? AND seq <= ?", span).fetchall()
    )
    return [
        StoredEntry(seq, body, digest.hex(), by_entry.get(seq, ()), details.get(seq))
        for seq, body, digest in rows
    ]
