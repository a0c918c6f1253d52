"""Real causes: a full disk, a write that fails, a killed process, a stopped or restarted database, a lost answer to COMMIT."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psutil
import pytest

import audit
from audit import Kind, Limits, Log, LogUnavailable
from audit.chain import Entry, leaf, link, prepare
from audit.event import Head
from audit.store.base import Batch, NotWritten
from audit.store.postgres import Deadlines, PostgresStore, PostgresWriter
from tests.audit.builders import Place, PostgresPlace, SqlitePlace, event
from tests.conftest import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
KILLS = 200 if os.environ.get("GATEHOUSE_PROOF") else 3
LIMITS = Limits(settle_seconds=1.0)
QUICK = Deadlines(connect=1.0, lock=0.5, batch=1.0, idle=2.0)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 1 MiB of its own."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs; the test with a file-size limit runs instead")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def acknowledged(log: Log, count: int) -> list[str]:
    """Receipts of `count` events appended at once; failures other than LogUnavailable fail the test."""
    results = await asyncio.gather(*(log.append(event()) for _ in range(count)), return_exceptions=True)
    assert all(isinstance(result, audit.Receipt | LogUnavailable) for result in results), results
    return [result.ref for result in results if isinstance(result, audit.Receipt)]


async def test_a_full_disk_refuses_and_room_on_it_is_enough_to_go_on(fresh_dir: Path) -> None:
    with small_disk(fresh_dir) as disk:
        place = SqlitePlace(disk / "audit.db")
        log = await Log.open(place.store(), create=True)
        receipts = await acknowledged(log, 5)
        (disk / "filler").write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - 8192))
        refused = 0
        for _ in range(20):
            given = await acknowledged(log, 20)
            receipts += given
            refused += not given
        assert refused
        assert (await log.head()).seq >= len(receipts)
        (disk / "filler").unlink()
        recovered = await acknowledged(log, 5)
        assert len(recovered) == 5
        await log.close()
        assert place.verify(*receipts, *recovered).intact


async def test_a_write_that_the_system_refuses_is_not_acknowledged(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path / "audit.db")
    log = await Log.open(place.store(), create=True, limits=LIMITS)
    receipts = await acknowledged(log, 50)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))  # less than one page of SQLite's
    try:
        lost = await acknowledged(log, 50)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    again = await acknowledged(log, 50)
    await log.close()
    assert (len(receipts), len(lost), len(again)) == (50, 0, 50)
    report = place.verify(*receipts, *again)
    assert report.intact
    assert report.entries == 100


async def test_a_log_whose_file_is_taken_away_refuses_and_makes_no_new_one(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path / "audit.db")
    log = await Log.open(place.store(), create=True)
    receipts = await acknowledged(log, 1)
    place.path.rename(tmp_path / "away.db")
    for _ in range(2):
        assert await acknowledged(log, 2) == []
    assert not place.path.exists()
    (tmp_path / "away.db").rename(place.path)
    receipts += await acknowledged(log, 2)
    await log.close()
    assert len(receipts) == 3
    assert place.verify(*receipts).entries == 3


@pytest.mark.campaign
def test_a_killed_process_loses_nothing_that_it_acknowledged(place: Place) -> None:
    asyncio.run(_create(place))
    seeded = random.Random(7)
    receipts: list[str] = []
    for kill in range(KILLS):
        process = start_writer(place, 10_000, 16)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seeded.uniform(0.02, 0.3))
        process.kill()
        lines = process.stdout.read().split(b"\n")
        process.wait()
        process.stdout.close()
        receipts += [line.decode() for line in lines[:-1]]
        if kill % 20 == 2:  # a break stays where it is: looking at the whole log each time finds no more
            report = place.verify(*receipts)
            assert report.intact, report.found
    report = place.verify(*receipts)
    assert report.intact, report.found
    assert len(receipts) > KILLS * 5
    opened = asyncio.run(_open_intents(place))
    assert len(opened) <= KILLS * 16 * 2
    assert place.verify().entries - len(receipts) <= KILLS * 16 * 2


async def _create(place: Place) -> None:
    await (await Log.open(place.store(), create=True)).close()


async def _open_intents(place: Place) -> list[int]:
    """Settles every open intent, as the reconciler does."""
    log = await Log.open(place.store())
    found = [intent.seq for intent in await log.open_intents()]
    for seq in found:
        await log.append(event(Kind.OUTCOME, of=seq))
    assert await log.open_intents() == []
    await log.close()
    return found


def start_writer(place: Place, count: int, waiters: int) -> subprocess.Popen[bytes]:
    where = place.dsn if isinstance(place, PostgresPlace) else str(place.path)  # type: ignore[attr-defined]  # SqlitePlace
    command = [sys.executable, "-m", "tests.audit.writer_process", where, str(count), str(waiters)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)


@pytest.mark.postgres
def test_four_processes_make_one_chain_without_a_gap(postgres: str) -> None:
    place = PostgresPlace(postgres)
    asyncio.run(_create(place))
    processes = [start_writer(place, 10, 8) for _ in range(4)]
    receipts = [line.decode() for p in processes for line in p.communicate()[0].split(b"\n")[1:-1]]
    assert [p.returncode for p in processes] == [0] * 4
    report = place.verify(*receipts)
    assert report.intact
    assert report.entries == len(receipts) == len(set(receipts)) == 4 * 10 * 8 * 2


def test_a_second_process_cannot_own_a_log_in_a_file(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path / "audit.db")
    asyncio.run(_create(place))
    process = start_writer(place, 10_000, 1)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    with pytest.raises(audit.LogRefused, match=f"pid {process.pid}"):
        asyncio.run(_create(place))
    process.kill()
    process.communicate()
    asyncio.run(_create(place))


# PostgreSQL


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    """Every process of the server stands still, as on a machine that hangs."""
    everyone = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    for process in everyone:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in everyone:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


def quick(dsn: str) -> audit.Store:
    return PostgresStore(dsn, deadlines=QUICK)


@pytest.mark.postgres
async def test_a_database_that_stands_still_is_refused_in_time_and_used_again(
    postgres: str, postgres_server: PostgresServer
) -> None:
    log = await Log.open(quick(postgres), create=True, limits=LIMITS)
    receipts = await acknowledged(log, 3)
    with stopped(postgres_server):
        started = time.monotonic()
        assert await acknowledged(log, 3) == []
        with pytest.raises(LogUnavailable):
            await log.head()
        assert time.monotonic() - started < 8
    receipts += await acknowledged(log, 3)
    assert len(receipts) == 6
    assert (await log.head()).seq >= 6
    await log.close()
    assert PostgresPlace(postgres).verify(*receipts).intact


@pytest.mark.postgres
async def test_a_connection_that_the_server_ended_costs_no_request(
    postgres: str, postgres_server: PostgresServer
) -> None:
    log = await Log.open(quick(postgres), create=True)
    await acknowledged(log, 1)
    postgres_server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gatehouse-audit'"
    )
    assert len(await acknowledged(log, 3)) == 3
    await log.close()


@pytest.mark.postgres
async def test_a_head_row_that_somebody_holds_is_waited_for_only_so_long(postgres: str) -> None:
    log = await Log.open(PostgresStore(postgres, deadlines=Deadlines(lock=0.3, batch=30.0)), create=True)
    holder = await asyncpg.connect(postgres)
    started = time.monotonic()
    async with holder.transaction():
        await holder.execute("SELECT 1 FROM audit.head FOR UPDATE")
        with pytest.raises(LogUnavailable):
            await log.append(event())
    assert time.monotonic() - started < 15
    receipt = await log.append(event())
    await holder.close()
    await log.close()
    assert receipt.seq == 1


@pytest.mark.postgres
async def test_a_server_that_may_lose_a_commit_is_refused_at_the_start_and_while_running(
    postgres: str, postgres_server: PostgresServer
) -> None:
    log = await Log.open(quick(postgres), create=True)
    try:
        for setting in ("fsync", "full_page_writes"):
            change_setting(postgres_server, f"ALTER SYSTEM SET {setting} = off")
            with pytest.raises(LogUnavailable, match=setting):
                await log.append(event())
            with pytest.raises(audit.LogRefused, match=setting):
                await Log.open(quick(postgres))
            change_setting(postgres_server, f"ALTER SYSTEM RESET {setting}")
            await log.append(event())
    finally:
        change_setting(postgres_server, "ALTER SYSTEM RESET ALL")
        await log.close()


def change_setting(server: PostgresServer, statement: str) -> None:
    server.sql(statement)
    server.sql("SELECT pg_reload_conf()")
    time.sleep(0.1)  # backends take a reload at their next question, the postmaster by signal


@pytest.mark.postgres
async def test_commits_wait_for_the_disk_even_where_the_database_says_otherwise(
    postgres: str, postgres_server: PostgresServer
) -> None:
    name = urlsplit(postgres).path[1:]
    postgres_server.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    log = await Log.open(quick(postgres), create=True)
    assert (await log.append(event())).seq == 1
    await log.close()


@pytest.mark.postgres
async def test_a_commit_that_the_server_answers_with_a_rollback_is_no_commit(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = PostgresWriter._write

    async def fails_unseen(self: PostgresWriter, connection: Any, batch: Batch) -> None:
        await write(self, connection, batch)
        with contextlib.suppress(asyncpg.PostgresError):
            await connection.execute("SELECT 1 / 0")

    log = await Log.open(quick(postgres), create=True, limits=LIMITS)
    with monkeypatch.context() as broken:
        broken.setattr(PostgresWriter, "_write", fails_unseen)
        assert await acknowledged(log, 1) == []
    assert (await log.append(event())).seq == 1
    await log.close()


class CommitProxy:
    """Stands between the log and PostgreSQL and loses the answer to one COMMIT: `forward` says whether it arrives."""

    def __init__(self, dsn: str, folder: Path) -> None:
        query = parse_qs(urlsplit(dsn).query)
        self._target = f"{query['host'][0]}/.s.PGSQL.5432"
        self._socket = folder / ".s.PGSQL.5432"
        self.dsn = dsn.split("?")[0] + f"?host={folder}"
        self.forward: bool | None = None  # None: nothing is lost
        self.lost = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._serve, str(self._socket))
        async with server:
            yield

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = await asyncio.open_unix_connection(self._target)
        back = asyncio.create_task(self._back(up, writer))
        try:
            while data := await reader.read(65536):
                if self.forward is not None and b"COMMIT" in data:
                    self.lost += 1
                    back.cancel()
                    if self.forward:
                        down.write(data)
                        await down.drain()
                    self.forward = None
                    break
                down.write(data)
        except ConnectionError:
            pass
        finally:
            back.cancel()
            down.close()
            writer.close()

    async def _back(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await up.read(65536):
                writer.write(data)
            writer.close()


@pytest.mark.postgres
@pytest.mark.parametrize("forward", [True, False])
async def test_a_lost_answer_to_commit_is_settled_before_anything_else(
    postgres: str, fresh_dir: Path, forward: bool
) -> None:
    proxy = CommitProxy(postgres, fresh_dir)
    async with proxy.running():
        log = await Log.open(quick(proxy.dsn), create=True)
        receipts = await acknowledged(log, 2)
        proxy.forward = forward
        during = await acknowledged(log, 3)
        after = await acknowledged(log, 2)
        await log.close()
    assert proxy.lost == 1
    assert len(during) == (3 if forward else 0)
    report = PostgresPlace(postgres).verify(*receipts, *during, *after)
    assert report.intact
    assert report.entries == 4 + len(during)


def test_a_writer_knows_whether_a_batch_is_there(place: Place) -> None:
    writer = place.store().writer()
    writer.open("ab" * 16)
    made: list[Entry] = []

    def one(head: Head) -> Batch:
        entry, after = link(head, prepare(event(), os.urandom), "2026-09-21T14:13:20.000000Z", 0)
        made.append(entry)
        return Batch([entry], after)

    writer.extend(one)
    other = Entry(1, b"other", leaf(b"other"), (), None)
    absent = Entry(2, made[0].body, made[0].hash, (), None)
    answers = [writer.is_written(entry) for entry in (made[0], other, absent)]
    writer.close()
    writer.close()
    assert answers == [True, False, False]


def test_a_link_that_fails_writes_nothing_and_lets_the_head_go(place: Place) -> None:
    writer = place.store().writer()
    writer.open("ab" * 16)

    def fails(head: Head) -> Batch:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        writer.extend(fails)
    with pytest.raises((NotWritten, audit.LogRefused)):
        writer.extend(lambda head: Batch([Entry(1, b"x", b"short", (), None)], head))
    writer.close()
    asyncio.run(_create(place))
    assert place.verify().entries == 0


# The fence


async def test_in_log_order_nobody_is_served_by_a_decision_from_before_a_revocation(place: Place) -> None:
    logs = [await Log.open(place.store(), create=True)]
    if isinstance(place, PostgresPlace):
        logs.append(await Log.open(place.store()))
    stale = 0

    async def serve(log: Log, turns: int) -> None:
        nonlocal stale
        for _ in range(turns):
            made_at = log.fence
            await asyncio.sleep(0)
            try:
                await log.append(event(request=f"made_at_{made_at}"), fence=made_at)
            except audit.Stale:
                stale += 1

    async def revoke(log: Log, turns: int) -> None:
        for _ in range(turns):
            await log.append(event(Kind.CHANGE, request="revoked"), raises_fence=True)
            await asyncio.sleep(0.002)

    await asyncio.gather(
        *(serve(log, 40) for log in logs for _ in range(8)), revoke(logs[0], 20), revoke(logs[-1], 20)
    )
    bodies = [bytes(row[0]) for row in place.ask("SELECT body FROM entries ORDER BY seq")]
    for log in logs:
        await log.close()
    entries = [json.loads(body) for body in bodies]
    wrong = [e["seq"] for e in entries if e["kind"] == "served" and e["request"] != f"made_at_{e['fence']}"]
    assert wrong == []
    assert stale > 0
    assert place.verify().intact
