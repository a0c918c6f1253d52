"""The store itself refuses to change what was written, and the log refuses a store on which a commit might not last."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import audit
from audit import Log, LogRefused
from audit.store.postgres import PostgresStore
from audit.store.sqlite import SqliteStore, SqliteWriter
from tests.audit.builders import Place, PostgresPlace, SqlitePlace, event, part
from tests.conftest import PostgresServer

CHANGES = [
    "UPDATE entries SET body = body",
    "UPDATE parts SET salt = salt",
    "UPDATE details SET body = body",
    "DELETE FROM entries",
    "DELETE FROM parts WHERE n = 0",
    "DELETE FROM details",
    "DELETE FROM head",
    "INSERT INTO head SELECT * FROM head",
    "INSERT INTO entries SELECT * FROM entries",
    "INSERT INTO parts SELECT * FROM parts",
    "INSERT INTO details SELECT * FROM details",
    "UPDATE head SET seq = seq - 1",
    "UPDATE head SET fence = fence",
    "UPDATE head SET seq = seq + 1, fence = fence - 1",
    "UPDATE head SET seq = seq + 1, time = '2000-01-01T00:00:00.000000Z'",
    "UPDATE head SET seq = seq + 1, log = 'other'",
]
SQLITE_CHANGES = [
    "INSERT OR REPLACE INTO entries SELECT * FROM entries",
    "INSERT OR REPLACE INTO parts SELECT * FROM parts",
    "INSERT OR REPLACE INTO details SELECT * FROM details",
    "INSERT OR REPLACE INTO head SELECT * FROM head",
    "INSERT INTO entries SELECT * FROM entries WHERE 1 ON CONFLICT (seq) DO UPDATE SET body = x'00'",
    "INSERT INTO entries VALUES (99, x'00', x'00')",
]
POSTGRES_CHANGES = [
    "TRUNCATE entries",
    "TRUNCATE parts",
    "TRUNCATE details",
    "TRUNCATE head",
    "INSERT INTO entries SELECT * FROM entries ON CONFLICT (seq) DO UPDATE SET body = 'x'",
    "SET session_replication_role = replica; DELETE FROM entries",
    "INSERT INTO entries VALUES (99, 'x', 'x')",
]


async def one_of_each(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    await log.append(event(records=(part("r"),), details=b"sealed"), raises_fence=True)
    await log.close()


async def test_a_file_refuses_to_change_what_was_written(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path / "audit.db")
    await one_of_each(place)
    assert [change for change in CHANGES + SQLITE_CHANGES if place.attempt(change) is None] == []
    assert place.verify().intact


@pytest.mark.postgres
async def test_a_database_refuses_it_even_its_superuser_while_the_guards_stand(postgres: str) -> None:
    place = PostgresPlace(postgres)
    await one_of_each(place)
    assert [change for change in CHANGES + POSTGRES_CHANGES if place.attempt(change) is None] == []
    assert place.verify().intact


@pytest.mark.postgres
async def test_the_services_role_could_not_change_the_log_were_the_triggers_gone(postgres: str) -> None:
    place = PostgresPlace(postgres)
    await one_of_each(place)
    place.tamper()  # leaves the triggers disabled
    allowed = "UPDATE head SET fence = fence"  # the one row that appending must move
    tried = [c for c in CHANGES + POSTGRES_CHANGES if not c.startswith("UPDATE head SET seq")]
    went_through = [change for change in tried if place.attempt(change, role="audit_writer") is None]
    assert went_through == [allowed]
    for change in (
        "ALTER TABLE entries DISABLE TRIGGER ALL",
        "DROP TABLE entries",
        "DROP FUNCTION refuse_change CASCADE",
        "UPDATE head SET log = 'other'",
        "CREATE TABLE x (y int)",
    ):
        refused = place.attempt(change, role="audit_writer")
        assert refused is not None
        assert "must be owner" in refused or "permission denied" in refused


@pytest.mark.postgres
async def test_a_role_that_may_do_more_than_append_is_refused(postgres: str) -> None:
    place = PostgresPlace(postgres)
    await one_of_each(place)
    place.ask("GRANT DELETE ON entries TO audit_writer")
    with pytest.raises(LogRefused, match="only append"):
        await Log.open(place.store())
    place.ask("REVOKE DELETE ON entries FROM audit_writer")
    await (await Log.open(place.store())).close()


@pytest.mark.postgres
async def test_a_login_that_only_may_append_runs_a_log_that_its_owner_made(
    postgres: str, postgres_server: PostgresServer
) -> None:
    place = PostgresPlace(postgres)
    await one_of_each(place)
    name = f"service_{urlsplit(postgres).path[1:]}"
    postgres_server.sql(f"CREATE ROLE {name} LOGIN IN ROLE audit_writer")
    dsn = postgres.replace("postgres:@", f"{name}:@")
    log = await Log.open(audit.postgres(dsn))
    assert (await log.append(event())).seq == 2
    await log.close()
    with pytest.raises(LogRefused, match="owner"):
        await Log.open(PostgresStore(dsn, schema="other"), create=True)


async def test_a_newer_schema_than_the_program_knows_is_refused(place: Place) -> None:
    await one_of_each(place)
    if isinstance(place, PostgresPlace):
        place.ask("UPDATE schema_version SET version = 9")
    else:
        place.ask("PRAGMA user_version = 9")
    with pytest.raises(LogRefused, match="newer"):
        await Log.open(place.store())


async def test_writing_in_a_file_waits_for_the_disk_and_reading_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    writer = SqliteStore(path).writer()
    writer.open("ab" * 16)
    assert pragmas(writer) == {
        "journal_mode": "wal",
        "synchronous": 2,
        "recursive_triggers": 1,
        "trusted_schema": 0,
    }
    writer.close()
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("audit.db", "audit.db.lock")] == [
        0o600,
        0o600,
    ]


def pragmas(writer: SqliteWriter) -> dict[str, object]:
    """What is in force on the writer's own connection."""
    connection = writer._connected()  # the settings are the connection's, so only it can be asked
    names = ("journal_mode", "synchronous", "recursive_triggers", "trusted_schema")
    return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}


def test_a_pragma_that_is_not_in_force_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.store.sqlite._PRAGMAS", (("journal_mode", "DELETE", "wal"),))
    with pytest.raises(LogRefused, match="journal_mode"):
        asyncio.run(one_of_each(SqlitePlace(tmp_path / "audit.db")))


async def test_a_file_that_is_no_log_is_refused_and_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE head (x)")
    connection.commit()
    connection.close()
    text = tmp_path / "text.db"
    text.write_bytes(b"no database" * 100)
    empty = tmp_path / "empty.db"
    empty.touch()
    for path in (other, text):
        before = path.read_bytes()
        with pytest.raises(LogRefused):
            await Log.open(audit.sqlite(path), create=True)
        assert path.read_bytes() == before
    with pytest.raises(LogRefused, match="empty"):
        await Log.open(audit.sqlite(empty))
    with pytest.raises(LogRefused, match="folder"):
        await Log.open(audit.sqlite(tmp_path / "none" / "audit.db"), create=True)


async def test_a_log_cannot_be_opened_twice_in_one_process(tmp_path: Path) -> None:
    store = audit.sqlite(tmp_path / "audit.db")
    log = await Log.open(store, create=True)
    with pytest.raises(LogRefused, match="already open"):
        await Log.open(store)
    await log.close()
    await (await Log.open(store)).close()


@pytest.mark.postgres
async def test_a_database_that_is_not_there_is_refused(postgres: str, fresh_dir: Path) -> None:
    with pytest.raises(LogRefused, match="reached"):
        await Log.open(audit.postgres(f"postgresql://nobody:secret@/x?host={fresh_dir}"))
    assert "secret" not in repr(audit.postgres("postgresql://nobody:secret@/x"))
    with pytest.raises(LogRefused, match="named"):
        audit.postgres(postgres, schema='a"; DROP')


def test_the_log_stands_without_asyncpg() -> None:
    # Found in the environment of `make run`, which installs no extra.
    import_log = (
        "import sys; sys.modules['asyncpg'] = None; import audit; audit.sqlite('x'); audit.postgres('y')"
    )
    done = asyncio.run(run_python(import_log))
    assert "gatehouse[postgres]" in done


async def run_python(code: str) -> str:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stderr=asyncio.subprocess.PIPE)
    return (await process.communicate())[1].decode()
