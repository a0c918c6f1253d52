"""What a caller calls his request is recorded and found again, and is neither adopted, shown, nor passed on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.asking import ask as over_the_socket
from tests.campaign.secrecy.client import Client
from tests.campaign.secrecy.folders import everything, folder
from tests.campaign.secrecy.house import Opened, entries, serving, settings
from tests.campaign.secrecy.shelf import Shelf, shelf

ID = "order-7f3a/13912345678"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[tuple[Opened, Shelf]]:
    async with shelf(tmp_path / "upstream.sqlite") as upstream:
        rules = everything(
            "role:manager", "echo/customer", "service", "public", "internal", "identity", "contact"
        )
        policies = folder(tmp_path / "policies", catalogues={"echo": upstream.catalogue("echo")}, rules=rules)
        chosen = settings(tmp_path / "home", policies=policies, upstream_hosts=upstream.host)
        async with serving(chosen) as opened:
            yield opened, upstream


async def found(opened: Opened, callers_id: str) -> list[dict[str, Any]]:
    answer = await over_the_socket(opened.house.settings.home, "audit.tail", limit=500, callers_id=callers_id)
    return [line["entry"] for line in answer["entries"]]


async def test_it_finds_the_requests_entries_and_no_others(place: tuple[Opened, Shelf]) -> None:
    opened, upstream = place
    customer = {"name": "张伟", "phone": "13812340000", "unit": "branch:shanghai", "contacts": []}
    async with Client(opened.base) as client:
        key, named = opened.keys["all"], {"x-request-id": ID}
        made = await client.ask("POST", "/echo/customers", key, customer, named)
        own = f"/echo/customers/{made.json['id']}"
        read = await client.ask("GET", own, key, headers=named)
        denied = await client.ask("GET", own, opened.keys["auditor"], headers=named)
        await client.ask("GET", own, key)
        await client.ask("GET", own, key, headers={"x-request-id": ID + "x"})
    assert (made.status, read.status, denied.status) == (201, 200, 403)
    ours = [said.headers["gatehouse-request"] for said in (made, read, denied)]
    assert [(e["kind"], e["request"]) for e in await found(opened, ID)] == list(
        zip(("intent", "served", "denied"), ours, strict=True)
    )
    assert len(await found(opened, ID + "x")) == 1
    assert await found(opened, "another") == []
    # Recorded as a keyed token: nobody reads it in the log, nor in what the upstream received.
    for file in ("audit.sqlite", "audit.sqlite-wal"):
        path = opened.house.settings.home / file
        assert not path.exists() or ID.encode() not in path.read_bytes()
    assert ID not in json.dumps(entries(opened.house.settings.home))
    assert ID.encode() not in b"".join(upstream.heard.requests)
    assert ID.encode() not in made.head + made.body + read.head + read.body + denied.head + denied.body


async def test_it_is_never_ours(place: tuple[Opened, Shelf]) -> None:
    opened, _ = place
    forged = "req_01k9zzzzzzzzzzzzzzzzzzzzzz"
    async with Client(opened.base) as client:
        said = await client.ask(
            "GET", "/crm/customers?limit=1", opened.keys["all"], headers={"x-request-id": forged}
        )
    assert said.headers["gatehouse-request"] != forged
    assert "x-request-id" not in said.headers
    assert forged not in {e["request"] for e in entries(opened.house.settings.home)}
