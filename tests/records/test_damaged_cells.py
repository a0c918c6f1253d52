"""Somebody damages one cell of the embedded store: what holds it cannot be said, and is no silence, no outage and no defect."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.observe import configure
from gateway.records import create_records
from gateway.store import Location, Store
from gateway.upstream.asgi import AsgiTransport
from gateway.upstream.transport import Exchange
from gateway.words.errors import BadAnswer
from tests.records.client import Client

CUSTOMER = {"name": "gh1:x", "unit": "north", "tags": ["a"], "level": "gold"}


def asking(target: str) -> Exchange:
    return Exchange(
        "GET", target.encode(), (), None, connect_seconds=1, answer_seconds=5, max_answer_bytes=1 << 20
    )


@pytest.fixture
def location(tmp_path: Path, migrated_file: Path) -> Location:
    """SQLite alone: PostgreSQL takes no value of another type than its column's."""
    (tmp_path / "records.db").write_bytes(migrated_file.read_bytes())
    return Location.parse(f"sqlite:///{tmp_path}/records.db")


@pytest.mark.parametrize(
    "change",
    [
        "tags = '{bad'",
        "tags = 'a{bad'",
        "tags = 'a{}'",
        "tags = 'a[1]'",
        "tags = ''",
        "tags = x'ff00'",
        "level = x'ff00'",
        "name = x'ff00'",
        "name = CAST(x'ff00' AS TEXT)",
        "version = 'abc'",
        "version = 1.5",
        "updated_at = x'ff00'",
    ],
)
async def test_a_damaged_cell_makes_an_answer_that_cannot_be_read(
    store: Store, client: Client, change: str
) -> None:
    one, other = [(await client.post("/customers", CUSTOMER)).json["id"] for _ in range(2)]
    await store.write(lambda c: c.execute(text(f"UPDATE customers SET {change} WHERE id = :id"), {"id": one}))
    transport = AsgiTransport(create_records(store))
    stream = io.StringIO()
    restore = configure(stream=stream)
    try:
        for target in (f"/customers/{one}", "/customers", "/customers?sort=-updated_at&limit=1"):
            if "limit=1" in target and not change.startswith("updated_at"):
                continue
            with pytest.raises(BadAnswer) as caught:
                await transport.send(asking(target))
            assert caught.value.status == 200, "of this record, not of the upstream: it is asked for others"
        assert (await transport.send(asking(f"/customers/{other}"))).status == 200
    finally:
        restore()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {(line["event"], line.get("resource")) for line in lines} == {("record-damaged", "customer")}
    await transport.close()


async def test_a_store_that_is_not_there_is_no_damaged_cell(store: Store) -> None:
    await store.write(lambda c: c.execute(text("ALTER TABLE customers RENAME TO elsewhere")))
    transport = AsgiTransport(create_records(store))
    assert (await transport.send(asking("/customers"))).status == 503
    await transport.close()
