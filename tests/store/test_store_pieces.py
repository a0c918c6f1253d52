"""What a store demands of its engine, and of whoever starts it."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store import Location, OwnerLock, open_store
from gateway.store.postgres import judge
from gateway.store.sqlite import configure
from gateway.store.store import SqliteStore
from gateway.words.errors import Misconfigured, Unavailable


@pytest.mark.parametrize(
    "address",
    [
        "",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=memory",
        "mysql://h/d",
        "postgresql:/x",
    ],
)
def test_only_a_file_or_a_postgresql_address_is_a_store(address: str) -> None:
    with pytest.raises(Misconfigured):
        Location.parse(address)


@pytest.mark.parametrize("schema", ["", "Records", "a-b", "a b", '"', "a;drop", "1a", "x" * 64, "a\n"])
def test_a_schema_name_that_would_need_quoting_is_refused(schema: str) -> None:
    with pytest.raises(Misconfigured):
        Location.parse("postgresql://h/d", schema=schema)


def test_a_password_does_not_stand_in_the_repr() -> None:
    assert "s3cret" not in repr(Location.parse("postgresql://u:s3cret@h/d"))


async def test_every_connection_to_a_file_has_our_pragmas(tmp_path: Path) -> None:
    store = await open_store(Location.parse(f"sqlite:///{tmp_path}/s.db"))
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "secure_delete": 1,
        "trusted_schema": 0,
    }

    def pragmas(connection) -> dict[str, object]:
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in expected}

    async with store.transaction() as connection:
        assert await connection.run_sync(pragmas) == expected
    assert await store.read(pragmas) == await store.scan(pragmas) == await store.write(pragmas) == expected
    await store.close()


def test_a_pragma_that_does_not_hold_refuses_the_start() -> None:
    memory = sqlite3.connect(":memory:")  # a memory database has no write-ahead log
    with pytest.raises(Misconfigured, match="journal_mode=WAL"):
        configure(memory.cursor())
    memory.close()


async def test_a_file_in_another_encoding_refuses_the_start(tmp_path: Path) -> None:
    made = sqlite3.connect(tmp_path / "s.db")
    made.executescript("PRAGMA encoding='UTF-16le'; CREATE TABLE t (x)")
    made.close()
    with pytest.raises(Misconfigured, match="not in UTF-8"):
        await open_store(Location.parse(f"sqlite:///{tmp_path}/s.db"))


async def test_a_store_that_is_refused_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    close = SqliteStore.close

    async def noted(self: SqliteStore) -> None:
        closed.append(self.location.path)
        await close(self)

    monkeypatch.setattr(SqliteStore, "close", noted)
    path = tmp_path / "s.db"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(Unavailable):
        await open_store(Location.parse(f"sqlite:///{path}"))
    assert closed == [path]


async def test_the_file_and_its_folder_are_the_owners_alone(tmp_path: Path) -> None:
    store = await open_store(Location.parse(f"sqlite:///{tmp_path}/home/s.db"))
    await store.write(lambda c: c.exec_driver_sql("CREATE TABLE t (x)"))
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "home").iterdir()}
    assert modes == {"s.db": 0o600, "s.db-wal": 0o600, "s.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    await store.close()


async def test_a_path_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="cannot be opened"):
        await open_store(Location.parse(f"sqlite:///{tmp_path}/file/s.db"))


KEPT = (180000, "on", "on", "on", "UTF8", False)


def test_a_server_that_keeps_every_promise_is_accepted() -> None:
    assert judge(*KEPT) == ()


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (0, 130099, "older than 14: upgrade"),
        (1, "off", "fsync off, so that what it acknowledges may be lost: set `fsync = on`"),
        (
            2,
            "off",
            "full_page_writes off, so that torn pages would not be repaired: set `full_page_writes = on`",
        ),
        (3, "off", "synchronous_commit off, so that what it acknowledges may be lost: set it to `on`"),
        (4, "SQL_ASCII", "not in UTF8, so that strings would not compare by code point: make it"),
        (5, True, "standby, which takes no writes: name the primary"),
    ],
)
def test_each_broken_promise_of_a_server_is_named(place: int, value: object, said: str) -> None:
    answer = [*KEPT[:place], value, *KEPT[place + 1 :]]
    (line,) = judge(*answer)
    assert said in line


@pytest.mark.postgres
async def test_a_server_that_commits_asynchronously_is_refused(postgres: str) -> None:
    joint = "&" if "?" in postgres else "?"
    with pytest.raises(Misconfigured, match="synchronous_commit off"):
        await open_store(Location.parse(f"{postgres}{joint}options=-c%20synchronous_commit%3Doff"))


def test_one_process_owns_the_stores(tmp_path: Path) -> None:
    path = tmp_path / "home" / "owner.lock"
    with OwnerLock(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(Misconfigured, match=f"pid {os.getpid()}"):
            OwnerLock(path)
        other = subprocess.run(
            [
                sys.executable,
                "-c",
                f"from pathlib import Path; from gateway.store import OwnerLock; OwnerLock(Path({str(path)!r}))",
            ],
            capture_output=True,
            text=True,
        )
        assert "stores belong to a running process" in other.stderr
    OwnerLock(path).release()


def test_the_lock_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    path = tmp_path / "owner.lock"
    program = f"import os; from pathlib import Path; from gateway.store import OwnerLock; l = OwnerLock(Path({str(path)!r})); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 9
    OwnerLock(path).release()
