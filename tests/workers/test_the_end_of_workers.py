"""Workers that end: killed, asked to, with their parent or without it. Nothing acknowledged is lost, and nobody serves on unseen."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from tests.campaign.counts import count, dice, in_proof_alone
from tests.campaign.faults import verdict
from tests.campaign.faults.caller import Load
from tests.conftest import PostgresServer
from tests.waiting import until
from tests.workers.several import Several, prepared, started

# Several whole starts each, and the gate's machine has other tests to run.
pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]


async def under_load(load: Load, more: int = 40) -> None:
    """Returns when so many more answers came."""
    wanted = len(load.answers) + more
    await until(lambda: len(load.answers) >= wanted)


async def gone(processes: Iterable[psutil.Process], seconds: float = 20) -> None:
    """Returns when none of them is there any more."""
    _, left = await asyncio.to_thread(psutil.wait_procs, list(processes), seconds)
    for process in left:  # a build without the guard leaves nobody behind either
        process.kill()
    assert left == []


def refuses(several: Several) -> bool:
    host, port = several.gateway.base.removeprefix("http://").split(":")
    with socket.socket() as caller:
        return caller.connect_ex((host, int(port))) != 0


@pytest.mark.timeout(0)
@in_proof_alone()
async def test_a_worker_killed_under_load_loses_nothing_acknowledged_and_is_replaced(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    kills = count(2, 60)
    async with prepared(fresh_dir, postgres_server, slow_seconds=0.02) as (ledger, estate):
        several = await started(estate)
        load = Load(estate.keys, dice("workers killed"), several.gateway.base, pause_seconds=0.05)
        calling = asyncio.ensure_future(load.until_ended(12))
        seen = False
        for number in range(1, kills + 1):
            await under_load(load)
            several.workers()[1 + number % 2].kill()
            async with asyncio.timeout(60):
                while len(several.said("worker-ready")) < 2 + number:
                    status, document = await several.standing()
                    if document["checks"]["workers"] == "degraded":
                        assert (status, len(document["workers"])) == (200, 1)
                        missing = await several.by_worker("gatehouse_workers_missing")
                        seen = seen or missing["parent"] == 1
                    await asyncio.sleep(0.05)
        await under_load(load)
        assert seen
        assert (await several.standing())[1]["checks"]["workers"] == "ok"
        alarms = await several.by_worker("gatehouse_alarms_total", kind="worker-ended")
        assert alarms["parent"] == kills == len(several.said("worker-ended"))
        assert {line["status"] for line in several.said("worker-ended")} == {-signal.SIGKILL}
        load.ended = True
        await calling
        await verdict.settled(estate)
        assert await asyncio.to_thread(several.gateway.stop) == 0
        found = await asyncio.to_thread(verdict.judge, estate, load, ledger)
    print(
        f"proof: workers killed: {kills} SIGKILLs of one of two workers, {len(load.answers)} answers ({len(load.good())} of them 2xx), "
        f"{len(ledger.forwarded)} changes forwarded, {found.entries.count} entries verified, {len(found.faults)} breaches"
    )
    assert found.faults == []


@pytest.mark.timeout(0)
@pytest.mark.parametrize("whom", ["parent", "all"])
@in_proof_alone()
async def test_workers_that_are_asked_to_stop_under_load_finish_what_they_began(
    fresh_dir: Path, postgres_server: PostgresServer, whom: str
) -> None:
    async with prepared(fresh_dir, postgres_server, slow_seconds=0.2) as (ledger, estate):
        load = Load(estate.keys, dice(f"workers stopped, {whom}"))
        for _ in range(count(1, 25)):
            several = await started(estate)
            load.base, load.ended = several.gateway.base, False
            calling = asyncio.ensure_future(load.until_ended(12))
            await under_load(load)
            workers = several.workers().values()
            if whom == "all":  # as a terminal and a service manager do it: each process of the group
                for worker in workers:
                    worker.terminate()
                await asyncio.sleep(0.05)  # they have heard of it before the parent tells them
            several.gateway.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(
                0.6
            )  # longer than it takes to hear of it; what was begun takes another moment
            load.ended = True
            assert await asyncio.to_thread(several.gateway.process.wait, 40) == 0
            await calling
            await gone(workers)
            assert {line["status"] for line in several.said("worker-ended")} <= {0}
            assert len(several.said("stopped")) >= 3
        found = await asyncio.to_thread(verdict.judge, estate, load, ledger)
        assert found.faults == []
        late = [e for o in found.entries.outcomes.values() for e in o if _reconciled(e)]
        assert late == []
    print(
        f"proof: workers stopped ({whom}): {len(load.answers)} answers, {len(ledger.forwarded)} changes made, 0 open"
    )


@in_proof_alone()
async def test_a_parent_that_is_killed_takes_its_workers_with_it(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    async with prepared(fresh_dir, postgres_server, slow_seconds=0.2) as (ledger, estate):
        several = await started(estate)
        load = Load(estate.keys, dice("an orphan"), several.gateway.base)
        calling = asyncio.ensure_future(load.until_ended(8))
        await under_load(load)
        workers = several.workers().values()
        assert len(workers) == 2
        await asyncio.to_thread(several.gateway.kill)
        await gone(workers)
        assert refuses(several)
        load.ended = True
        await calling
        # They finished what they had begun: nothing is left for anybody to settle.
        found = await asyncio.to_thread(verdict.judge, estate, load, ledger)
        assert found.faults == []


@in_proof_alone()
async def test_a_second_signal_ends_all_of_them_at_once(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    async with prepared(fresh_dir, postgres_server) as (ledger, estate):
        several = await started(estate)
        load = Load(estate.keys, dice("two signals"), several.gateway.base)
        ledger.slow_seconds = 20.0
        calling = asyncio.ensure_future(load.until_ended(6))
        async with asyncio.timeout(60):
            while len((await asyncio.to_thread(verdict.entries, estate)).open) < 6:  # noqa: ASYNC110 - all are with the upstream
                await asyncio.sleep(0.1)
        load.ended = True
        workers = list(several.workers().values())
        several.gateway.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(1.0)
        assert several.gateway.process.poll() is None  # they wait for the upstream
        assert refuses(several)
        several.gateway.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(several.gateway.process.wait, 5) == 128 + signal.SIGINT
        await gone(workers, 5)
        await calling
        assert load.unanswered == 6


@in_proof_alone()
async def test_a_single_worker_that_is_asked_to_end_is_replaced_without_an_alarm(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    async with prepared(fresh_dir, postgres_server) as (_, estate):
        several = await started(estate)
        old = several.workers()[2]
        os.kill(old.pid, signal.SIGTERM)
        await several.until_ready(3)
        assert several.workers()[2].pid != old.pid
        assert [(line["worker"], line["status"]) for line in several.said("worker-ended")] == [(2, 0)]
        assert sum((await several.by_worker("gatehouse_alarms_total", kind="worker-ended")).values()) == 0
        assert await asyncio.to_thread(several.gateway.stop) == 0


def _reconciled(entry: dict[str, object]) -> bool:
    upstream = entry["upstream"]
    return isinstance(upstream, dict) and upstream.get("by") == "reconciler"
