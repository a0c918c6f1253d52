"""Two processes on one PostgreSQL: what one of them grants, the other knows without being called."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.app import open_house
from gateway.settings import read
from tests.campaign.faults.caller import Connection
from tests.campaign.faults.estate import issued, prepare
from tests.campaign.faults.ledger import serving
from tests.conftest import PostgresServer


@pytest.mark.postgres
async def test_a_key_that_one_process_issued_is_taken_by_another_that_nobody_called(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    database = postgres_server.new_database()
    async with serving() as ledger:
        estate = await prepare(fresh_dir / "home", ledger.address, postgres_server.dsn(database))
        gateway = await asyncio.to_thread(estate.launcher(GATEHOUSE_WATCH_SECONDS="0.2").start)
        connection = Connection(gateway.base)
        async with open_house(read({**estate.settings, "GATEHOUSE_HOME": str(estate.home)})) as other:
            key = (await issued(other, "late", "role:clerk")).text
        statuses: list[int] = []
        async with asyncio.timeout(20):
            while not statuses or statuses[-1] == 401:
                await asyncio.sleep(0.1)
                found = await connection.ask(key, "GET", "/ledger/accounts?limit=1")
                assert found is not None
                statuses.append(found[0])
        assert statuses[-1] == 200
        connection.close()
        assert await asyncio.to_thread(gateway.stop) == 0
    postgres_server.drop_database(database)
