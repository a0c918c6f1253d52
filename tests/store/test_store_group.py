"""Group commit on SQLite: shared commits, separate fates."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, exc, text

from gateway.store import Location, Store, open_store
from gateway.store import group as grouping


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(Location.parse(f"sqlite:///{tmp_path / 'store.sqlite'}"))
    await opened.write(lambda c: c.execute(text("CREATE TABLE kept (n INTEGER PRIMARY KEY)")).close())
    yield opened
    await opened.close()


def insert(number: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO kept VALUES (:n)"), {"n": number})
        return number

    return work


async def kept(store: Store) -> list[int]:
    return await store.read(lambda c: [n for (n,) in c.execute(text("SELECT n FROM kept ORDER BY n"))])


async def test_what_waits_together_is_committed_together(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = grouping.commit
    monkeypatch.setattr(
        grouping, "commit", lambda engine, works: sizes.append(len(works)) or real(engine, works)
    )
    assert await asyncio.gather(*(store.write(insert(n)) for n in range(100))) == list(range(100))
    assert await kept(store) == list(range(100))
    assert sum(sizes) == 100
    assert len(sizes) < 10


async def test_work_that_raises_is_undone_alone(store: Store) -> None:
    await store.write(insert(5))

    def half(connection: Connection) -> int:
        insert(90)(connection)
        raise RuntimeError("after half of it")

    results = await asyncio.gather(
        store.write(insert(1)),
        store.write(insert(5)),
        store.write(half),
        store.write(insert(2)),
        return_exceptions=True,
    )
    assert results[0] == 1
    assert isinstance(results[1], exc.IntegrityError)
    assert isinstance(results[2], RuntimeError)
    assert results[3] == 2
    assert await kept(store) == [1, 2, 5]


async def test_a_broken_constraint_undoes_what_came_before_it_in_its_work(store: Store) -> None:
    await store.write(insert(5))

    def half(connection: Connection) -> int:
        insert(90)(connection)
        return insert(5)(connection)

    results = await asyncio.gather(store.write(half), store.write(insert(1)), return_exceptions=True)
    assert isinstance(results[0], exc.IntegrityError)
    assert await kept(store) == [1, 5]


async def test_work_under_which_the_database_failed_is_tried_again_alone(store: Store) -> None:
    tried = []

    def fails_once(connection: Connection) -> int:
        tried.append(1)
        if len(tried) == 1:
            raise exc.OperationalError("busy", {}, Exception())
        return insert(1)(connection)

    assert await asyncio.gather(store.write(fails_once), store.write(insert(2))) == [1, 2]
    assert await kept(store) == [1, 2]


async def test_a_failing_database_takes_nobody_down_with_another(store: Store) -> None:
    def broken(connection: Connection) -> int:
        connection.execute(
            text("ROLLBACK")
        )  # as SQLite itself does when a disk is full in the middle of a statement
        raise exc.OperationalError("full", {}, Exception())

    results = await asyncio.gather(
        store.write(insert(1)), store.write(broken), store.write(insert(2)), return_exceptions=True
    )
    assert results[0] == 1
    assert isinstance(results[1], Exception)
    assert results[2] == 2
    assert await kept(store) == [1, 2]


async def test_who_is_cancelled_before_his_turn_never_asked(store: Store) -> None:
    first = asyncio.ensure_future(store.write(insert(1)))
    await asyncio.sleep(0)
    late = asyncio.ensure_future(store.write(insert(2)))
    await asyncio.sleep(0)
    late.cancel()
    await first
    with pytest.raises(asyncio.CancelledError):
        await late
    await store.write(insert(3))
    assert await kept(store) == [1, 3]


async def test_who_is_cancelled_while_it_commits_keeps_nobody_waiting(store: Store) -> None:
    begun, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(connection: Connection) -> int:
        loop.call_soon_threadsafe(begun.set)
        go.wait(10)
        return insert(1)(connection)

    first, second = (asyncio.ensure_future(store.write(work)) for work in (slow, insert(2)))
    await begun.wait()
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    go.set()
    async with asyncio.timeout(5):
        assert await second == 2


async def test_a_transaction_and_a_group_take_turns(store: Store) -> None:
    async def slowly() -> None:
        async with store.transaction() as connection:
            await connection.execute(text("INSERT INTO kept VALUES (1000)"))
            await asyncio.sleep(0.01)

    await asyncio.gather(slowly(), *(store.write(insert(n)) for n in range(20)), slowly_again(store))
    assert len(await kept(store)) == 22


async def slowly_again(store: Store) -> None:
    async with store.transaction() as connection:
        await connection.execute(text("INSERT INTO kept VALUES (2000)"))


async def test_a_closed_store_answers_instead_of_hanging(tmp_path: Path) -> None:
    opened = await open_store(Location.parse(f"sqlite:///{tmp_path / 'closed.sqlite'}"))
    await opened.close()
    for _ in range(2):
        with pytest.raises(Exception, match="shutdown"):
            async with asyncio.timeout(5):
                await opened.write(lambda c: c.execute(text("SELECT 1")).close())
