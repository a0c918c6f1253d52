"""Both engines for every contract test of the ground."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text

from gateway.store import Location, Store, open_store

THINGS = Table(
    "things", MetaData(), Column("id", Text, primary_key=True), Column("count", Integer, nullable=False)
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "sqlite":
        return Location.parse(f"sqlite:///{tmp_path}/home/store.db")
    return Location.parse(request.getfixturevalue("postgres"), schema="things_of_ours")


@pytest.fixture
async def store(location: Location) -> AsyncIterator[Store]:
    store = await open_store(location)
    try:
        yield store
    finally:
        await store.close()
