"""The contract of `Store`, on both engines."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, StatementError

from gateway.store import Conflict, Exact, Instant, Location, Store, conflict_of, open_store
from gateway.words.errors import Unavailable

DATA = MetaData()
THINGS = Table(
    "things", DATA, Column("id", Exact, primary_key=True), Column("at", Instant), Column("count", Integer)
)
PARTS = Table(
    "parts", DATA, Column("id", Text, primary_key=True), Column("of", Exact, ForeignKey("things.id"))
)


@pytest.fixture
async def made(store: Store) -> Store:
    def make(connection: Connection) -> None:
        if store.location.schema:
            connection.execute(text(f"CREATE SCHEMA {store.location.schema}"))
        DATA.create_all(connection)

    await store.write(make)
    return store


def add(*ids: str):
    return lambda connection: connection.execute(insert(THINGS), [{"id": one} for one in ids]).rowcount


def ids(connection: Connection) -> list[str]:
    return list(connection.execute(select(THINGS.c.id).order_by(THINGS.c.id)).scalars())


async def test_what_was_written_is_seen_by_every_way_of_reading(made: Store) -> None:
    await made.write(add("one"))
    async with made.transaction() as connection:
        await connection.execute(insert(THINGS), {"id": "two"})
    assert await made.read(ids) == await made.scan(ids) == ["one", "two"]
    async with made.transaction() as connection:
        assert await connection.run_sync(ids) == ["one", "two"]


async def test_a_raise_inside_leaves_nothing(made: Store) -> None:
    def half(connection: Connection) -> None:
        add("one")(connection)
        raise KeyError("midway")

    with pytest.raises(KeyError, match="midway"):
        await made.write(half)
    with pytest.raises(KeyError, match="midway"):
        async with made.transaction() as connection:
            await connection.run_sync(half)
    assert await made.read(ids) == []


async def test_a_store_survives_tasks_that_are_cancelled_in_the_middle(made: Store) -> None:
    async def slow() -> None:
        async with made.transaction() as connection:
            await connection.execute(insert(THINGS), {"id": "never"})
            await asyncio.sleep(60)

    for turn in range(20):
        task = asyncio.create_task(slow())
        await asyncio.sleep(turn / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await made.write(add("after"))
    assert await made.read(ids) == ["after"]


async def test_two_writers_wait_for_each_other_and_neither_change_is_lost(made: Store) -> None:
    await made.write(lambda c: c.execute(insert(THINGS), {"id": "n", "count": 0}))
    step = update(THINGS).values(count=THINGS.c["count"] + 1)

    async def through_transaction() -> None:
        async with made.transaction() as connection:
            await connection.execute(step)

    directly = [made.write(lambda c: c.execute(step).rowcount) for _ in range(15)]
    await asyncio.gather(*directly, *(through_transaction() for _ in range(15)))
    assert await made.read(lambda c: c.execute(select(THINGS.c["count"])).scalar_one()) == 30


async def test_a_scan_sees_one_moment(made: Store) -> None:
    await made.write(add("one"))
    seen: list[int] = []
    begun, go = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def twice(connection: Connection) -> None:
        count = select(func.count()).select_from(THINGS)
        seen.append(connection.execute(count).scalar_one())
        loop.call_soon_threadsafe(begun.set)
        if made.dialect == "sqlite":  # another thread: may wait
            asyncio.run_coroutine_threadsafe(go.wait(), loop).result(10)
        else:  # a greenlet on the loop: the server waits instead, long enough for the write
            connection.execute(text("SELECT pg_sleep(0.5)"))
        seen.append(connection.execute(count).scalar_one())

    scan = asyncio.create_task(made.scan(twice))
    await begun.wait()
    await made.write(add("two"))
    go.set()
    await scan
    assert seen == [1, 1]


async def test_neither_read_nor_scan_can_write(made: Store) -> None:
    with pytest.raises(Unavailable):
        await made.scan(add("one"))
    if made.dialect == "sqlite":
        with pytest.raises(Unavailable):
            await made.read(add("one"))
    assert await made.read(ids) == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(THINGS, {"id": "a"}), (THINGS, {"id": "a"})], Conflict.UNIQUE),
        ([(PARTS, {"id": "p", "of": "nothing"})], Conflict.FOREIGN),
        ([(THINGS, {"id": None})], Conflict.OTHER),
    ],
)
async def test_a_broken_constraint_says_which_kind(made: Store, rows, expected: Conflict) -> None:
    def work(connection: Connection) -> None:
        for table, row in rows:
            connection.execute(table.insert(), row)

    with pytest.raises(IntegrityError) as caught:
        await made.write(work)
    assert conflict_of(caught.value) is expected


@pytest.mark.postgres
async def test_a_mistake_of_ours_is_not_called_an_outage(postgres: str) -> None:
    store = await open_store(Location.parse(postgres), pool_size=1)
    with pytest.raises(ProgrammingError):
        await store.read(lambda c: c.execute(text("SELECT * FROM nowhere")))
    await store.close()


async def test_a_database_that_fails_is_an_outage_whichever_way_it_is_asked(made: Store) -> None:
    def fails(connection: Connection) -> None:
        raise OperationalError("full", {}, Exception())

    for way in (made.read, made.scan, made.write):
        with pytest.raises(Unavailable):
            await way(fails)
    with pytest.raises(Unavailable):
        async with made.transaction() as connection:
            await connection.run_sync(fails)


async def test_no_parameter_stands_in_an_error(made: Store) -> None:
    await made.write(add("13812345678"))
    with pytest.raises(IntegrityError) as caught:
        await made.write(add("13812345678"))
    assert "13812345678" not in str(caught.value).split("[SQL")[1]


async def test_text_sorts_and_compares_by_code_point(made: Store) -> None:
    words = ["Z", "a", "z", "ä", "Ω", "中", "文", "\uffee", "😀"]
    await made.write(add(*reversed(words)))
    assert await made.read(ids) == sorted(words) == words
    above = select(THINGS.c.id).where(THINGS.c.id > "Ω").order_by(THINGS.c.id)
    assert list(await made.read(lambda c: c.execute(above).scalars().all())) == ["中", "文", "\uffee", "😀"]


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 21, 18, 30, 0, 123456, UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(2026, 3, 1, 8, 0, tzinfo=timezone(timedelta(hours=8))),
    ],
)
async def test_a_moment_comes_back_to_the_microsecond_in_utc(made: Store, moment: datetime) -> None:
    await made.write(lambda c: c.execute(insert(THINGS), {"id": "m", "at": moment}))
    back = await made.read(lambda c: c.execute(select(THINGS.c.at)).scalar_one())
    assert back == moment
    assert back.utcoffset() == timedelta(0)


async def test_a_moment_without_a_zone_is_not_kept(made: Store) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        await made.write(lambda c: c.execute(insert(THINGS), {"id": "m", "at": datetime(2026, 11, 21)}))


KILLED = """
import asyncio, sys
from sqlalchemy import text
from gateway.store import Location, open_store
async def main():
    store = await open_store(Location.parse(sys.argv[1], schema=sys.argv[2] or None))
    number = 0
    while True:
        number += 1
        await store.write(lambda c: c.execute(text("INSERT INTO things (id) VALUES (:n)"), {"n": f"{sys.argv[3]}-{number:06}"}))
        print(number, flush=True)
asyncio.run(main())
"""


async def test_nothing_acknowledged_is_lost_when_the_process_is_killed(
    made: Store, location: Location
) -> None:
    address = f"sqlite:///{location.path}" if location.path else str(location.dsn)
    for turn in range(2):
        process = subprocess.Popen(  # noqa: ASYNC220  # the other process is the point; waiting for it blocks nobody
            [sys.executable, "-c", KILLED, address, location.schema or "", str(turn)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        acknowledged = [process.stdout.readline() for _ in range(20 + 13 * turn)]
        process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.readlines()
        process.stdout.close()
        process.wait()
        there = set(await made.read(ids))
        assert {f"{turn}-{int(line):06}" for line in acknowledged} <= there


@pytest.mark.postgres
async def test_a_server_that_goes_away_is_an_outage_and_its_return_is_noticed(postgres: str) -> None:
    store = await open_store(Location.parse(postgres), pool_size=2)
    try:
        other = await open_store(Location.parse(postgres), pool_size=1)
        killing = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        await other.write(lambda c: c.execute(text(killing)).scalar_one())
        await other.close()
        with pytest.raises(Unavailable):
            await store.write(lambda c: c.execute(text("SELECT 1")))
        assert await store.write(lambda c: c.execute(text("SELECT 1")).scalar_one()) == 1
    finally:
        await store.close()


async def test_a_database_that_is_not_there_is_an_outage() -> None:
    with pytest.raises(Unavailable):
        await open_store(Location.parse("postgresql://nobody@127.0.0.1:1/none"))


async def test_closing_twice_does_nothing(made: Store) -> None:
    await made.close()
    await made.close()
