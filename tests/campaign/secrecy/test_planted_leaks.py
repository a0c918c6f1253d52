"""The search is only worth what it finds: a build with a leak planted in a sink is caught, sink by sink."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.campaign.counts import dice, proving
from tests.campaign.secrecy.canaries import Planted, cores, planted, search
from tests.campaign.secrecy.leaks import CORE, LEAKS
from tests.campaign.secrecy.lives import Life
from tests.campaign.secrecy.people import invent

pytestmark = pytest.mark.campaign

# In `make test` one build has them all, each losing another person's number; in `make proof` each has a build of its own.
BUILDS = [(name,) for name in LEAKS] if proving() else [tuple(LEAKS)]
WRITES_CORES = (
    not Path("/proc/sys/kernel/core_pattern").read_text().startswith("|")
    and resource.getrlimit(resource.RLIMIT_CORE)[1] != 0
)


@pytest.mark.parametrize("leaks", BUILDS, ids=lambda leaks: leaks[0] if len(leaks) == 1 else "all")
async def test_a_build_that_leaks_is_caught(tmp_path: Path, leaks: Sequence[str]) -> None:
    people = invent(len(leaks), dice("leaks"))
    async with planted(tmp_path, people, leaks=leaks) as at:
        await lose(at, leaks)
        await at.export()
        assert await asyncio.to_thread(at.gateway.stop) == 0
        found = {(one.where, one.label) for one in search(at)}
    expected = {(LEAKS[name].sink, f"{number}.phone") for number, name in enumerate(leaks)}
    missed = {
        (sink, label)
        for sink, label in expected
        if not any(where.startswith(sink) and one == label for where, one in found)
    }
    assert missed == set()
    strangers = {(where, label) for where, label in found if not label.endswith(".phone")}
    assert strangers == set(), "nothing else than what was planted"
    print(f"proof: {len(expected)} leaks planted, each found in its sink: {', '.join(leaks)}")


async def lose(at: Planted, leaks: Sequence[str]) -> None:
    """Makes each request that loses something: a create, a read by the auditor, an error, a call of the other upstream."""
    async with at.client() as client:
        for number, name in enumerate(leaks):
            person = at.people[number]
            life = Life(person, client, at.keys, at.book)
            made = await life.make("customer", "/crm/customers", person.customer())
            lines = {"x-leak": name, "x-value": person.phone.encode().hex()}
            target = f"/crm/customers/{made}"
            await life.ask("all", "GET", target, **lines)
            await life.ask("all", "PATCH", target, {"note": person.note + "!"}, **lines)
            await life.ask("auditor", "GET", target, **lines)
            await life.ask("agent", "DELETE", target, **lines)
            await life.ask("all", "GET", f"/echo/customers/wnothing-{number}", **lines)


@pytest.mark.skipif(not WRITES_CORES, reason="this machine hands core files to a collector, or allows none")
async def test_a_build_without_the_guard_on_its_memory_leaves_a_core_file(tmp_path: Path) -> None:
    async with planted(tmp_path, invent(1, dice("core")), leaks=(CORE,)) as at:
        at.gateway.process.send_signal(signal.SIGABRT)
        await asyncio.to_thread(at.gateway.process.wait, 60)
        assert cores(at) != []
