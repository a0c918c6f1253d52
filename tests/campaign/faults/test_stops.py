"""SIGTERM under load: what was begun is finished, recorded and answered, also where its caller has left; then it ends with 0."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.campaign.counts import count, dice
from tests.campaign.faults import verdict
from tests.campaign.faults.caller import Connection, Load
from tests.campaign.faults.estate import GUARDED, prepare
from tests.campaign.faults.ledger import serving


@pytest.mark.campaign
@pytest.mark.timeout(0)
async def test_a_gateway_that_is_asked_to_stop_under_load_finishes_what_it_began(fresh_dir: Path) -> None:
    stops, gone = count(1, 50), 0
    async with serving() as ledger:
        estate = await prepare(fresh_dir / "home", ledger.address)
        ledger.slow_seconds = 0.2
        load = Load(estate.keys, dice("stops"))
        for _ in range(stops):
            gateway = await asyncio.to_thread(estate.launcher().start)
            load.base, load.ended = gateway.base, False
            leaving = [asyncio.ensure_future(impatient(load)) for _ in range(4)]
            calling = asyncio.ensure_future(load.until_ended(8))
            wanted = len(load.answers) + 20
            while len(load.answers) < wanted:  # noqa: ASYNC110 - under load, not before it
                await asyncio.sleep(0.01)
            await asyncio.sleep(load.dice.uniform(0, 0.3))
            assert await asyncio.to_thread(gateway.stop) == 0
            load.ended = True
            await calling
            gone += sum(await asyncio.gather(*leaving))
            found = await asyncio.to_thread(verdict.judge, estate, load, ledger)
            assert found.faults == []
            assert not [entry for o in found.entries.outcomes.values() for entry in o if _later(entry)]
    made = [change for change in ledger.forwarded if change.status < 300]
    creates = [change for change in made if change.method == "POST"]
    told, answered = load.good("create", "update", "delete"), load.good("create")
    print(
        f"proof: stopped under load: {stops} SIGTERMs, {len(load.answers)} answers, {gone} callers who left, {load.unanswered} "
        f"requests never begun, {len(made)} changes made and {len(told)} told, 0 intents left open"
    )
    assert len(told) - len(answered) == len(made) - len(creates)
    assert len(answered) < len(creates) <= len(answered) + gone


@pytest.mark.campaign
async def test_a_stop_that_does_not_wait_for_slow_answers_still_waits_for_their_entries(
    fresh_dir: Path,
) -> None:
    async with serving() as ledger:
        estate = await prepare(fresh_dir / "home", ledger.address)
        gateway = await asyncio.to_thread(estate.launcher(GATEHOUSE_STOP_SECONDS="1").start)
        load = Load(estate.keys, dice("slow"), gateway.base)
        ledger.slow_seconds = 4.0
        calling = asyncio.ensure_future(load.until_ended(6))
        async with asyncio.timeout(60):
            while len(changes(verdict.entries(estate))) < 6:  # noqa: ASYNC110 - all six are with the upstream
                await asyncio.sleep(0.05)
        stopping = asyncio.ensure_future(asyncio.to_thread(gateway.stop))
        load.ended = True
        await calling
        assert await stopping == 0
        found = await asyncio.to_thread(verdict.judge, estate, load, ledger)
    print(
        f"proof: stopped with less patience than the upstream needs: {len(ledger.forwarded)} changes, 0 open"
    )
    assert [(a.status, a.headers["content-type"]) for a in load.answers] == [
        (504, "application/problem+json")
    ] * 6
    assert len(ledger.forwarded) == len(changes(found.entries)) == 6
    assert found.faults == []


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("program", "second"),
    [(GUARDED, signal.SIGTERM), (f"import sys; sys.modules['uvloop'] = None; {GUARDED}", signal.SIGINT)],
    ids=["uvloop", "asyncio"],
)
async def test_a_second_signal_ends_it_at_once_and_the_next_start_settles_what_was_open(
    fresh_dir: Path, program: str, second: signal.Signals
) -> None:
    async with serving() as ledger:
        estate = await prepare(fresh_dir / "home", ledger.address)
        gateway = await asyncio.to_thread(estate.launcher(program).start)
        load = Load(estate.keys, dice("twice"), gateway.base)
        ledger.slow_seconds = 20.0
        calling = asyncio.ensure_future(load.until_ended(3))
        async with asyncio.timeout(60):
            while len(changes(verdict.entries(estate))) < 3:  # noqa: ASYNC110 - all three are with the upstream
                await asyncio.sleep(0.05)
        load.ended = True
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(1.0)
        assert gateway.process.poll() is None  # it waits for the upstream, as long as the setting says
        gateway.process.send_signal(second)
        assert await asyncio.to_thread(gateway.process.wait, 5) == 128 + second
        await calling
        ledger.slow_seconds = 0.0
        again = await asyncio.to_thread(estate.launcher().start)
        await verdict.settled(estate)
        assert await asyncio.to_thread(again.stop) == 0
        found = await asyncio.to_thread(verdict.judge, estate, load, ledger)
    assert load.unanswered == 3
    assert found.faults == []
    assert len(changes(found.entries)) == 3
    print(
        "proof: a second signal: 3 requests under way, ended at once, 0 intents left open after the next start"
    )


async def impatient(load: Load) -> int:
    """Asks for accounts and is gone each time before the answer; gives how often, until nobody takes the connection."""
    times = 0
    with suppress(OSError):  # taken, and ended before it could ask: the gateway stops
        while await Connection(load.base).leave(
            load.keys["clerk"], "POST", "/ledger/accounts", load.account()
        ):
            times += 1
    return times


def changes(found: verdict.Entries) -> list[int]:
    """Gives the intents about accounts; the log has those about the callers' keys as well."""
    return [seq for seq, intent in found.intents.items() if intent["action"].startswith("account:")]


def _later(entry: dict[str, object]) -> bool:
    """True for an outcome that the reconciler had to add."""
    upstream = entry["upstream"]
    return isinstance(upstream, dict) and upstream.get("by") == "reconciler"
