"""SIGTERM under load: what was begun is finished, recorded and answered, then the process ends with 0."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.campaign.counts import count, dice
from tests.campaign.faults import verdict
from tests.campaign.faults.caller import Load
from tests.campaign.faults.estate import prepare
from tests.campaign.faults.ledger import serving


@pytest.mark.campaign
@pytest.mark.timeout(0)
async def test_a_gateway_that_is_asked_to_stop_under_load_finishes_what_it_began(fresh_dir: Path) -> None:
    stops = count(1, 50)
    async with serving() as ledger:
        estate = await prepare(fresh_dir / "home", ledger.address)
        load = Load(estate.keys, dice("stops"))
        for _ in range(stops):
            gateway = await asyncio.to_thread(estate.launcher().start)
            load.base, load.ended = gateway.base, False
            calling = asyncio.ensure_future(load.until_ended(8))
            wanted = len(load.answers) + 20
            while len(load.answers) < wanted:  # noqa: ASYNC110 - under load, not before it
                await asyncio.sleep(0.01)
            await asyncio.sleep(load.dice.uniform(0, 0.3))
            assert await asyncio.to_thread(gateway.stop) == 0
            load.ended = True
            await calling
            found = await asyncio.to_thread(verdict.judge, estate, load, ledger)
            assert found.faults == []
            assert not [entry for o in found.entries.outcomes.values() for entry in o if _later(entry)]
    made = [change for change in ledger.forwarded if change.status < 300]
    told = load.good("create", "update", "delete")
    print(
        f"proof: stopped under load: {stops} SIGTERMs, {len(load.answers)} answers, {load.unanswered} requests never begun, "
        f"{len(made)} changes made and {len(told)} told, 0 intents left open"
    )
    assert len(told) == len(made)


def _later(entry: dict[str, object]) -> bool:
    """True for an outcome that the reconciler had to add."""
    upstream = entry["upstream"]
    return isinstance(upstream, dict) and upstream.get("by") == "reconciler"
