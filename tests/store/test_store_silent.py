"""A PostgreSQL session that falls silent, as behind a network that lost it: nobody waits for it for ever, and the next one works."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import psutil
import pytest
from sqlalchemy import Connection, text

from gateway.store import Location, Store, open_store
from gateway.words.errors import Unavailable

pytestmark = pytest.mark.postgres


def backend(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The server's process of one session neither answers nor ends while inside; the server itself is there."""
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@asynccontextmanager
async def opened(dsn: str, pool_size: int = 1) -> AsyncIterator[Store]:
    store = await open_store(Location.parse(dsn, schema="state"), pool_size=pool_size)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.postgres.COMMAND_SECONDS", 0.5)


@pytest.mark.parametrize("way", ["read", "scan", "write"])
async def test_a_silent_session_is_given_up_and_the_next_caller_gets_another(postgres: str, way: str) -> None:
    async with opened(postgres) as store:
        pid = await store.read(backend)
        with stopped(pid):
            begun = time.monotonic()
            with pytest.raises(Unavailable):
                await getattr(store, way)(backend)
            assert await store.read(backend) != pid
            assert time.monotonic() - begun < 10


async def test_one_silent_session_is_taken_as_a_sign_for_the_others(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.postgres.COMMAND_SECONDS", 3)
    async with opened(postgres, pool_size=2) as store:
        async with store.alone("one"):
            other = await store.read(backend)
        pids = {other, *[await store.read(backend) for _ in range(2)]}
        async with store.alone("one"):
            pids.add(await store.read(backend))
        with ExitStack() as stack:
            for pid in pids:
                stack.enter_context(stopped(pid))
            with pytest.raises(Unavailable):
                await store.read(backend)
            assert await store.read(backend) not in pids
            async with store.alone("one"):
                assert await store.read(backend) not in pids
    assert len(pids) == 2


async def test_a_transaction_on_a_session_that_falls_silent_ends(postgres: str) -> None:
    async with opened(postgres) as store:
        begun = time.monotonic()
        pid = await store.read(backend)

        async def changes() -> None:
            async with store.transaction() as connection:
                assert await connection.run_sync(backend) == pid
                with stopped(pid):
                    await connection.run_sync(backend)

        with pytest.raises(Unavailable):
            await changes()
        assert time.monotonic() - begun < 10
        assert await store.read(backend) != pid


async def test_a_lock_whose_session_falls_silent_spoils_nothing(postgres: str) -> None:
    async with opened(postgres) as store:
        pid = await store.read(backend)
        begun = time.monotonic()
        process = psutil.Process(pid)
        async with store.alone("settle") as mine:
            assert mine
            process.suspend()
        process.resume()
        assert time.monotonic() - begun < 10
        assert await store.read(backend) != pid


async def test_a_silent_session_does_not_keep_the_store_from_closing(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.postgres.COMMAND_SECONDS", 60)
    store = await open_store(Location.parse(postgres, schema="state"), pool_size=1)
    with stopped(await store.read(backend)):
        begun = time.monotonic()
        await store.close()
        assert time.monotonic() - begun < 5
