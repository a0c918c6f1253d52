"""A lock whose connection ends is given back by that; what was done under it stands."""

import pytest
from sqlalchemy import text

from gateway.store import Location, open_store


@pytest.mark.postgres
async def test_a_connection_that_ends_under_a_lock_spoils_nothing(postgres: str) -> None:
    one = await open_store(Location.parse(postgres, schema="state"))
    other = await open_store(Location.parse(postgres, schema="state"))
    killed = text(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    async with one.alone("settle") as mine:
        assert mine
        await other.write(lambda connection: connection.execute(killed).all())
    async with other.alone("settle") as mine:
        assert mine
    await one.close()
    await other.close()
