"""The campaigns' verdict is held to what it claims: a reconciler that says what did not happen turns it red, whatever it says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.campaign.counts import count, dice
from tests.campaign.faults import verdict
from tests.campaign.faults.caller import Connection, Load
from tests.campaign.faults.estate import GUARDED, Estate, prepare
from tests.campaign.faults.ledger import Ledger, serving

LIES = (("done", True), ("not-done", False), ("unknowable", False), ("honest", False))
EXPECTED = {
    "done": ["to be done, and the record stands", "to be done, and the upstream did no such update"],
    "not-done": ["not to be done, and the upstream did it", "to be ['not-done'], and the upstream did it"],
    "unknowable": [
        "to be ['unknowable'], and the upstream did it",
        "to be unknowable, and nobody else changed its record",
    ],
    "honest": [],
}
LIE = "from tests.campaign.faults.lying import main; main('{}')"


async def left_open(estate: Estate, ledger: Ledger, program: str, *, deaf: bool) -> list[str]:
    """Leaves an update and a delete without an outcome until the reconciler gives one; gives the verdict's faults."""
    load = Load(estate.keys, dice("lies"))
    gateway = await asyncio.to_thread(estate.launcher(program, GATEHOUSE_SETTLE_GRACE_SECONDS="0.1").start)
    clerk, connection = estate.keys["clerk"], Connection(gateway.base)
    for method, document in (("PATCH", {"remark": "called"}), ("DELETE", None)):
        created = await connection.ask(clerk, "POST", "/ledger/accounts", load.account())
        assert created is not None
        ledger.deaf, ledger.mute = deaf, not deaf
        lost = await connection.ask(clerk, method, f"/ledger/accounts/{created[2]['id']}", document)
        ledger.deaf = ledger.mute = False
        assert lost is not None
        assert lost[0] == 502
    connection.close()
    await verdict.settled(estate)
    assert await asyncio.to_thread(gateway.stop) == 0
    found = await asyncio.to_thread(verdict.judge, estate, load, ledger)
    return found.faults


@pytest.mark.campaign
@pytest.mark.timeout(0)
async def test_a_reconciler_that_lies_about_updates_and_deletes_turns_the_verdict_red(
    fresh_dir: Path,
) -> None:
    said: dict[str, list[str]] = {}
    for lie, deaf in LIES[: count(2, len(LIES))]:
        folder = fresh_dir / lie
        folder.mkdir()
        async with serving() as ledger:
            estate = await prepare(folder / "home", ledger.address)
            program = GUARDED if lie == "honest" else LIE.format(lie)
            found = await left_open(estate, ledger, program, deaf=deaf)
        said[lie] = sorted(fault.split(" is said ")[1] for fault in found)
    breaches = ", ".join(f"{lie} {len(faults)}" for lie, faults in said.items())
    print(f"proof: breaches found where a reconciler says one thing of an update and a delete: {breaches}")
    assert said == {lie: EXPECTED[lie] for lie in said}
