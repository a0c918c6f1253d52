"""Workers share a policy folder: one puts an edit in force, another finds it in the log before it decides on anything else."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from audit import Head
from gateway import demo
from gateway.app import House, open_house
from gateway.settings import ROOT, Settings, read
from gateway.words.errors import Code, Unavailable
from gateway.words.ids import new_id

pytestmark = pytest.mark.postgres
RUN = new_id("run")


@pytest.fixture
def chosen(fresh_dir: Path, postgres: str) -> Settings:
    shutil.copytree(ROOT / "policies", fresh_dir / "policies")
    found = read(
        {
            "GATEHOUSE_HOME": str(fresh_dir / "home"),
            "GATEHOUSE_POLICIES": str(fresh_dir / "policies"),
            "GATEHOUSE_DATABASE_URL": postgres,
        }
    )
    demo.prepare(found)
    return found


@asynccontextmanager
async def two(
    chosen: Settings, runs: tuple[str | None, str | None] = (RUN, RUN)
) -> AsyncIterator[tuple[House, House]]:
    async with open_house(chosen, run=runs[0]) as one, open_house(chosen, run=runs[1]) as other:
        await one.held.catch_up()
        yield one, other


def edit(chosen: Settings, text: str) -> None:
    (chosen.policies / "policy.csv").write_text((ROOT / "policies" / "policy.csv").read_text() + text)


async def watch(house: House) -> None:
    await house.bundles.watch(house.held, house.log)


def decides_by(house: House) -> str:
    """The digest of the bundle that this process would decide by."""
    found = house.held.now.decider.bundle.digest  # type: ignore[attr-defined]  # the house's decider is the room's own
    assert found == house.bundles.digest
    return str(found)


async def activations(house: House) -> list[str]:
    found = [orjson.loads(one.bytes) for one in await house.log.entries(0, 1000)]
    return [entry["decision"]["bundle"] for entry in found if entry["action"] == "bundle:activate"]


async def test_what_one_puts_in_force_the_other_has_before_it_has_the_new_fence(chosen: Settings) -> None:
    async with two(chosen) as (one, other):
        before = decides_by(other)
        edit(chosen, "# one\n")
        await watch(one)
        assert decides_by(one) != before == decides_by(other)
        assert other.held.now.fence < one.held.now.fence  # whatever it decides now is refused as stale
        await other.held.refresh()
        assert decides_by(other) == decides_by(one)
        assert other.held.now.fence >= one.held.now.fence
        await watch(other)
        await watch(one)
        assert (await activations(one))[2:] == [decides_by(one)]  # one entry says it for both


async def test_whoever_saw_the_edit_too_finds_that_it_is_done(chosen: Settings) -> None:
    async with two(chosen) as (one, other):
        edit(chosen, "# one\n")
        async with one.stores.state.alone("bundle") as mine:
            assert mine
            await watch(other)  # it has it ready, and somebody is at it
            assert decides_by(other) not in (await activations(one))[2:]
        await watch(one)
        await watch(other)
        assert decides_by(other) == decides_by(one)
        assert (await activations(one))[2:] == [decides_by(one)]


async def test_where_the_folder_was_edited_again_the_newer_edit_is_put_in_force(chosen: Settings) -> None:
    async with two(chosen) as (one, other):
        edit(chosen, "# one\n")
        await watch(one)
        older = decides_by(one)
        edit(chosen, "# two\n")
        await other.held.refresh()
        assert decides_by(other) != older
        await one.held.refresh()
        assert decides_by(one) == decides_by(other)
        assert (await activations(one))[2:] == [older, decides_by(other)]
        for house in (one, other):
            await watch(house)
        assert len(await activations(one)) == 4


async def test_what_cannot_be_had_any_more_is_not_replaced_by_what_was_before_it(chosen: Settings) -> None:
    async with two(chosen) as (one, other):
        edit(chosen, "# one\n")
        await watch(one)
        edit(chosen, "p, nonsense\n")
        for _ in range(2):
            with pytest.raises(Unavailable) as refusal:
                await other.held.refresh()
            assert refusal.value.code is Code.NOT_READY
            assert other.held.now.fence < one.held.now.fence
        assert other.bundles.refused
        edit(chosen, "# one\n")
        await other.held.refresh()
        assert decides_by(other) == decides_by(one)
        assert not other.bundles.refused


async def test_an_edit_that_is_taken_back_comes_in_force_again_by_an_entry_of_its_own(
    chosen: Settings,
) -> None:
    async with two(chosen) as (one, other):
        before = decides_by(one)
        edit(chosen, "# one\n")
        await watch(one)
        edit(chosen, "")
        await other.held.refresh()
        assert decides_by(other) == before
        await one.held.refresh()
        assert decides_by(one) == before
        assert (await activations(one))[-1] == before


@pytest.mark.parametrize("runs", [(RUN, new_id("run")), (None, None), (RUN, None)])
async def test_gateways_of_other_starts_have_folders_of_their_own(
    chosen: Settings, runs: tuple[str | None, str | None]
) -> None:
    async with two(chosen, runs) as (one, other):
        before = decides_by(other)
        edit(chosen, "# one\n")
        await watch(one)
        await other.held.refresh()
        assert decides_by(other) == before != decides_by(one)
        await watch(other)
        assert decides_by(other) == decides_by(one)
        assert (await activations(one))[2:] == [decides_by(one)] * 2


async def test_a_key_that_is_revoked_in_between_does_not_hide_an_activation(chosen: Settings) -> None:
    async with two(chosen) as (one, other):
        key = (await demo.credentials(one))["agent"]
        assert key
        edit(chosen, "# one\n")
        await watch(one)
        await demo.credentials(other, keys=(demo.DemoKey("again", "app:demo-again", frozenset({"service"})),))
        await other.held.catch_up()
        assert decides_by(other) == decides_by(one)


async def test_an_activation_that_is_overtaken_at_once_does_not_hide_the_newer_one(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(chosen) as (one, other):
        edit(chosen, "# one\n")
        ruled, digest = await one.bundles._found()
        head, overtaken = one.log.head, []

        async def late() -> Head:
            if not overtaken:
                overtaken.append(True)
                edit(chosen, "# two\n")
                await watch(other)
            return await head()

        monkeypatch.setattr(one.log, "head", late)
        await one.bundles.enter(one.held, ruled, digest, None)  # as a start does, whoever else is at it
        assert decides_by(one) == decides_by(other) != digest
