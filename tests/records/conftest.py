"""The embedded upstream on both engines, with a clock that moves one second at every look."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.records import create_records
from gateway.store import Location, Store, Tree, migrate, open_store
from tests.conftest import PostgresServer
from tests.records.client import Client


async def _migrate(location: Location) -> None:
    store = await open_store(location)
    await migrate(store, Tree.of("records"))
    await store.close()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store, copied for each test."""
    path = tmp_path_factory.mktemp("records") / "migrated.db"
    asyncio.run(_migrate(Location.parse(f"sqlite:///{path}")))
    return path


@pytest.fixture(scope="session")
def migrated_schema(postgres_server: PostgresServer) -> Iterator[Location]:
    """A migrated PostgreSQL store, emptied before each test."""
    name = postgres_server.new_database()
    location = Location.parse(postgres_server.dsn(name), schema="records")
    asyncio.run(_migrate(location))
    yield location
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "postgresql":
        return request.getfixturevalue("migrated_schema")
    shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "records.db")
    return Location.parse(f"sqlite:///{tmp_path}/records.db")


@pytest.fixture
async def store(location: Location) -> AsyncIterator[Store]:
    store = await open_store(location)
    if location.dialect == "postgresql":
        await store.write(lambda c: c.execute(text("TRUNCATE customers, threads, messages, creation_keys")))
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def client(store: Store) -> Client:
    ticks = itertools.count()
    begin = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
    return Client(create_records(store, clock=lambda: begin + timedelta(seconds=next(ticks))))
