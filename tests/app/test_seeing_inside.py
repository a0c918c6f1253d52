"""What a house counts while it works: decisions, fields, entries, upstream errors, open intents. Real rooms, a real log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from audit import AuditEvent, Kind
from gateway import demo
from gateway.app import House, measure, open_house
from gateway.observe import render
from gateway.records import sample
from gateway.settings import read
from gateway.words.errors import GatehouseError
from tests.app.asking import ask


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    chosen = read({"GATEHOUSE_HOME": str(tmp_path / "home"), "GATEHOUSE_PORT": "0"})
    demo.prepare(chosen)
    async with open_house(chosen) as opened:
        yield opened


async def loaded(house: House) -> tuple[dict[str, str], str]:
    """Three customers; gives the demo's keys and the path of one."""
    keys = await demo.credentials(house)
    people = sample(customers=3, threads=1, messages=1)
    await demo.load_sample(house, lambda done, total: None, people)
    ids = orjson.loads((house.settings.home / "demo" / "sample.json").read_bytes())["ids"]
    return dict(keys), f"/crm/customers/{ids[people.customers[0]['id']]}"


def said(house: House) -> dict[str, float]:
    lines = render(house.metrics.collect()).decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


async def counted(house: House) -> dict[str, float]:
    """As `said`, once the writer has counted its last batch: it wakes those who wait for it first."""
    head = await house.log.head()
    while sum(house.log.figures().entries.values()) < head.seq:  # noqa: ASYNC110 - another thread counts
        await asyncio.sleep(0.002)
    return said(house)


async def test_decisions_entries_and_fields_are_counted_as_the_log_has_them(house: House) -> None:
    keys, path = await loaded(house)
    before = await counted(house)
    await ask(house, "GET", path, keys["supervisor"])
    for _ in range(2):
        with pytest.raises(GatehouseError):
            await ask(house, "DELETE", path, keys["auditor"])
    after = await counted(house)
    rise = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert rise['gatehouse_decisions_total{reason="rule-allowed"}'] == 1
    assert sum(n for name, n in rise.items() if name.startswith("gatehouse_decisions_total")) == 3
    assert rise['gatehouse_log_entries_total{kind="served"}'] == 1
    assert rise['gatehouse_log_entries_total{kind="denied"}'] == 2
    assert rise["gatehouse_log_batch_count"] == 3
    assert rise["gatehouse_log_batch_sum"] == 3
    ((body,),) = [e.parts for e in await house.log.entries(0, 5000) if b'"kind":"served"' in e.bytes][-1:]
    shown = orjson.loads(body.body)["fields"]
    assert {f'gatehouse_fields_total{{shown="{word}"}}': len(names) for word, names in shown.items()} == {
        name: n for name, n in rise.items() if name.startswith("gatehouse_fields_total")
    }
    assert rise["gatehouse_upstream_duration_seconds_count"] >= 1


async def test_every_decided_entry_is_counted_and_an_outcome_is_not_counted_again(house: House) -> None:
    await loaded(house)
    entries = [orjson.loads(e.bytes) for e in await house.log.entries(0, 5000)]
    decided = [e for e in entries if e["kind"] in ("intent", "served", "denied") and e["decision"]]
    assert any(e["kind"] == "outcome" for e in entries)
    totals = await counted(house)
    found = sum(n for name, n in totals.items() if name.startswith("gatehouse_decisions_total"))
    assert found == len(decided) > 0


async def test_open_intents_and_the_age_of_the_oldest_are_seen(house: House) -> None:
    await measure(house)
    assert said(house)["gatehouse_intents_open"] == 0
    principal = {"application": "app:x", "person": None, "roles": [], "proven": []}
    await house.log.append(AuditEvent(Kind.INTENT, "req_x", principal, "customer:create"))
    await measure(house)
    assert said(house)["gatehouse_intents_open"] == 1
    first = said(house)["gatehouse_intents_oldest_seconds"]
    assert 0 <= first < 60
    await measure(house)
    assert said(house)["gatehouse_intents_oldest_seconds"] > first
