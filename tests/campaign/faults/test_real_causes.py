"""Real causes come and go under load: whatever the caller is told, and whatever reaches the upstream, has its entry."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.campaign.counts import count, dice, proving
from tests.campaign.faults import verdict
from tests.campaign.faults.caller import Answer, Load
from tests.campaign.faults.causes import Cause, of_files, of_postgres, small_disk
from tests.campaign.faults.estate import GUARDED, UNGUARDED, Estate, prepare
from tests.campaign.faults.ledger import Ledger, serving
from tests.campaign.serving import Gateway
from tests.conftest import own_postgres

BATCH = 24
"""Answers between two changes of the weather."""
CALLERS = 12


async def campaign(load: Load, causes: Mapping[str, Cause], requests: int) -> Counter[str]:
    """Lets callers call without a pause: fair weather, a cause, fair weather, the next cause … until so many answers are there.

    A cause strikes in the middle of what is under way; while it is repaired nothing new is asked for, and the next one waits until
    callers have been served again. Gives how many were refused 503, by the cause that began last.
    """
    calling = asyncio.ensure_future(load.until_ended(CALLERS))
    order: list[str] = []
    turns: set[str] = set()
    while len(load.answers) < requests or len(turns) < len(causes):
        await _more(load.good, calling)
        order = order or load.dice.sample(sorted(causes), len(causes))
        load.phase = order.pop()
        turns.add(load.phase)
        async with causes[load.phase]():
            await _more(lambda: load.answers, calling)
            load.held = True
        load.held = False
    await _more(load.good, calling)
    load.ended = True
    await calling
    return Counter(answer.phase for answer in load.answers if answer.status == 503)


async def _more(answers: Callable[[], Sequence[Answer]], calling: asyncio.Future[None]) -> None:
    """Returns when there is a batch more of these answers."""
    wanted = len(answers()) + BATCH
    async with asyncio.timeout(180):
        while len(answers()) < wanted and not calling.done():  # noqa: ASYNC110 - callers signal nothing
            await asyncio.sleep(0.02)
    if calling.done():
        calling.result()


async def weather(
    estate: Estate,
    gateway: Gateway,
    causes: Mapping[str, Cause],
    requests: int,
    name: str,
    pause_seconds: float = 0.02,
) -> tuple[Load, Counter[str]]:
    load = Load(estate.keys, dice(name), gateway.base, pause_seconds)
    refused = await campaign(load, causes, requests)
    return load, refused


def say(name: str, load: Load, refused: Counter[str], ledger: Ledger, found: verdict.Verdict) -> None:
    statuses = Counter(answer.status for answer in load.answers)
    share = 100 * len(load.good()) // len(load.answers)
    causes = ", ".join(f"{cause} {number}" for cause, number in sorted(refused.items()))
    unrecorded = sum(1 for a in load.answers if a.status == 503 and "outcome-unrecorded" in a.body["type"])
    settled = sum(
        1 for o in found.entries.outcomes.values() for e in o if e["upstream"].get("by") == "reconciler"
    )
    print(
        f"proof: {name}: {len(load.answers)} requests answered ({share} % succeeded, {statuses[503]} refused 503: {causes}; "
        f"{load.unanswered} without an answer; {unrecorded} outcomes unrecorded, {settled} intents settled later), "
        f"{len(ledger.forwarded)} changes forwarded, {found.entries.count} entries, "
        f"{len(found.faults)} breaches"
    )


def hold(load: Load, found: verdict.Verdict) -> None:
    """The laws, and that the campaign was one."""
    assert found.faults == []
    assert load.unanswered == 0
    assert len(load.good()) >= 0.3 * len(load.answers)


def defects(gateway: Gateway) -> list[str]:
    """Gives the lines of its log that a cause does not explain.

    A loop whose round met a store that is down says so and comes again; a record that the upstream made while its binding could
    not be written is withheld with an alarm until its intent is settled.
    """
    lines = [json.loads(line) for line in gateway.logs if line.startswith("{")]
    explained = ("LogUnavailable", "LogBusy", "Unavailable")
    return [
        str(line)
        for line in lines
        if line["event"] == "defect"
        or (line["event"] == "loop-failed" and line["error"] not in explained)
        or (line["event"] == "alarm" and line["kind"] != "record-unbound")
    ]


async def on_files(
    disk: Path, mounted: bool, program: str, requests: int, name: str
) -> tuple[Load, Counter[str], Ledger, verdict.Verdict, Mapping[str, Cause]]:
    """A campaign on SQLite; gives its load, refusals, ledger, verdict and the causes that were there."""
    async with serving() as ledger:
        estate = await prepare(disk / "home", ledger.address)
        gateway = await asyncio.to_thread(estate.launcher(program).start)
        try:
            causes = of_files(gateway.process.pid, estate.home, disk if mounted else None)
            load, refused = await weather(estate, gateway, causes, requests, name)
            if program == GUARDED:
                await verdict.settled(estate)
        finally:
            code = await asyncio.to_thread(gateway.stop)
        found = await asyncio.to_thread(verdict.judge, estate, load, ledger)
        if program == GUARDED:
            assert code == 0
            found.faults += defects(gateway)
        return load, refused, ledger, found, causes


@pytest.mark.campaign
@pytest.mark.timeout(0)
async def test_no_answer_and_no_forwarded_change_without_a_durable_entry_whatever_fails_in_the_files() -> (
    None
):
    with small_disk() as (disk, mounted):
        load, refused, ledger, found, causes = await on_files(
            disk, mounted, GUARDED, count(300, 10_000), "files"
        )
    say("faults on SQLite", load, refused, ledger, found)
    for need, cause in (("the right to mount", "ENOSPC"), ("strace", "EIO on write")):
        if cause not in causes:
            print(f"proof: {cause} needs {need}, absent here")
    hold(load, found)
    assert all(refused[cause] for cause in causes), refused


@pytest.mark.campaign
@pytest.mark.timeout(0)
async def test_the_same_campaign_goes_red_where_nobody_awaits_the_receipt() -> None:
    with small_disk() as (disk, mounted):
        load, _, ledger, found, _ = await on_files(disk, mounted, UNGUARDED, 150, "unguarded")
    answers = verdict.unevidenced(load, found.entries)
    forwarded = [fault for fault in found.faults if "forwarded without an intent" in fault]
    print(
        f"proof: without the await: {len(answers)} of {len(load.good())} answers without an entry, "
        f"{len(forwarded)} of {len(ledger.forwarded)} changes forwarded without an intent"
    )
    assert answers
    assert forwarded


@pytest.mark.campaign
@pytest.mark.postgres
@pytest.mark.timeout(0)
async def test_no_answer_and_no_forwarded_change_without_a_durable_entry_whatever_becomes_of_postgresql(
    fresh_dir: Path,
) -> None:
    with own_postgres() as server:
        server.sql("CREATE DATABASE gatehouse")
        async with serving() as ledger:
            estate = await prepare(fresh_dir / "home", ledger.address, server.dsn("gatehouse"))
            gateway = await asyncio.to_thread(estate.launcher().start)
            still = dice("still")
            # 14 s: longer than the log waits for a batch.
            moments = (0.5, 1.0, 14.0) if proving() else (0.5, 1.0)
            causes = of_postgres(server, "gatehouse", lambda: still.choice(moments))
            try:
                load, refused = await weather(estate, gateway, causes, count(200, 10_000), "postgres", 0.5)
                await verdict.settled(estate)
            finally:
                code = await asyncio.to_thread(gateway.stop)
            found = await asyncio.to_thread(verdict.judge, estate, load, ledger)
        say("faults on PostgreSQL", load, refused, ledger, found)
        hold(load, found)
        assert defects(gateway) == []
        assert code == 0
