"""One process at a time for a name, whatever becomes of the one that has it."""

import asyncio
import sys
from pathlib import Path

import pytest

from gateway.store import Location, open_store


@pytest.mark.postgres
async def test_on_postgresql_one_has_the_name_and_the_next_gets_it_after_him(postgres: str) -> None:
    one = await open_store(Location.parse(postgres, schema="state"))
    other = await open_store(Location.parse(postgres, schema="state"))
    async with one.alone("settle") as mine, other.alone("settle") as too, other.alone("another") as elsewhere:
        assert (mine, too, elsewhere) == (True, False, True)
    async with other.alone("settle") as mine, one.alone("settle") as too:
        assert (mine, too) == (True, False)
    await one.close()
    await other.close()


@pytest.mark.postgres
async def test_a_name_is_of_one_schema(postgres: str) -> None:
    one = await open_store(Location.parse(postgres, schema="state"))
    other = await open_store(Location.parse(postgres, schema="records"))
    async with one.alone("settle") as mine, other.alone("settle") as too:
        assert (mine, too) == (True, True)
    await one.close()
    await other.close()


@pytest.mark.postgres
async def test_a_raise_inside_gives_it_back(postgres: str) -> None:
    store = await open_store(Location.parse(postgres, schema="state"))
    with pytest.raises(RuntimeError):
        async with store.alone("settle"):
            raise RuntimeError
    async with store.alone("settle") as mine:
        assert mine
    await store.close()


HOLDER = """
import asyncio, sys
from gateway.store import Location, open_store

async def hold():
    store = await open_store(Location.parse(sys.argv[1], schema="state"))
    async with store.alone("settle") as mine:
        print(mine, flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


@pytest.mark.postgres
async def test_a_process_that_is_killed_gives_it_back(postgres: str) -> None:
    other = await open_store(Location.parse(postgres, schema="state"))
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, postgres, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"True\n"
    async with other.alone("settle") as mine:
        assert not mine
    holder.kill()
    await holder.wait()
    async with asyncio.timeout(20):
        while not mine:
            async with other.alone("settle") as mine:
                pass
            await asyncio.sleep(0.02)
    await other.close()


async def test_on_sqlite_the_owner_is_always_alone(tmp_path: Path) -> None:
    store = await open_store(Location.parse(f"sqlite:///{tmp_path / 's.sqlite'}"))
    async with store.alone("settle") as mine:
        assert mine
    await store.close()
