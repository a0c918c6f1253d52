"""Replicas and workers: what one puts in force every other has before it decides on anything else; their folders only offer."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from audit import Head
from gateway import demo
from gateway.settings import Settings
from gateway.words.errors import Code, Unavailable
from tests.activating.world import LU, MA, WIDER, World, chosen, edit, world
from tests.conftest import PostgresServer

pytestmark = pytest.mark.postgres
DENY = "p, role:agent, *, crm/customer, show:*, {}, service, True, deny\n"


@pytest.fixture
def settings(fresh_dir: Path, postgres: str) -> Settings:
    return chosen(fresh_dir, GATEHOUSE_DATABASE_URL=postgres)


def elsewhere(settings: Settings, text: str) -> Settings:
    """The same stores from another machine: another home, another folder."""
    place = settings.home.parent / "elsewhere"
    demo.prepare(settings)
    shutil.copytree(settings.home, place / "home", dirs_exist_ok=True)
    found = chosen(place, GATEHOUSE_DATABASE_URL=settings.database_url)
    edit(found.policies, text)
    return found


@asynccontextmanager
async def two(settings: Settings, other: Settings | None = None) -> AsyncIterator[tuple[World, World]]:
    async with world(settings) as one, world(other or settings) as another:
        await one.house.held.catch_up()
        yield one, another


async def digests(it: World) -> list[str]:
    return [entry["decision"]["bundle"] for entry in await it.entries("bundle:activate")]


async def test_what_one_puts_in_force_the_other_has_before_it_has_the_new_fence(settings: Settings) -> None:
    async with two(settings) as (one, other):
        before = other.in_force
        one.edit("# one\n")
        await one.watch()
        assert one.in_force != before == other.in_force
        # Whatever it decides now is refused as stale.
        assert other.house.held.now.fence < one.house.held.now.fence
        await other.house.held.refresh()
        assert other.in_force == one.in_force
        assert other.house.held.now.fence >= one.house.held.now.fence
        await other.watch()
        await one.watch()
        assert await digests(one) == [before, one.in_force]  # one entry says it for both


async def test_whoever_saw_the_edit_too_finds_that_it_is_done(settings: Settings) -> None:
    async with two(settings) as (one, other):
        before = one.in_force
        one.edit("# one\n")
        async with one.house.stores.state.alone("bundle") as mine:
            assert mine
            await other.watch()  # it has it ready, and somebody is at it
            assert await digests(one) == [before]
        await one.watch()
        await other.watch()
        assert other.in_force == one.in_force
        assert await digests(one) == [before, one.in_force]


async def test_where_the_folder_was_edited_again_the_one_in_force_is_had_all_the_same(
    settings: Settings,
) -> None:
    async with two(settings) as (one, other):
        before = one.in_force
        one.edit("# one\n")
        await one.watch()
        older = one.in_force
        one.edit("p, nonsense\n")
        await other.house.held.refresh()
        assert other.in_force == older
        one.edit("# two\n")
        await other.watch()
        await one.house.held.refresh()
        assert one.in_force == other.in_force
        assert await digests(one) == [before, older, one.in_force]


async def test_what_cannot_be_had_is_not_replaced_by_what_was_before_it(
    settings: Settings, postgres_server: PostgresServer
) -> None:
    async with two(settings) as (one, other):
        one.edit("# one\n")
        await one.watch()
        name = settings.database_url.partition("?")[0].rpartition("/")[2]
        taken = "ALTER TABLE state.bundles DISABLE TRIGGER ALL; "
        taken += f"CREATE TABLE state.taken AS SELECT * FROM state.bundles WHERE digest = '{one.in_force}'; "
        taken += f"DELETE FROM state.bundles WHERE digest = '{one.in_force}'"
        postgres_server.sql(taken, name)
        for _ in range(2):
            with pytest.raises(Unavailable) as refusal:
                await other.house.held.refresh()
            assert refusal.value.code is Code.NOT_READY
            assert other.house.held.now.fence < one.house.held.now.fence
        postgres_server.sql("INSERT INTO state.bundles SELECT * FROM state.taken", name)
        await other.house.held.refresh()
        assert other.in_force == one.in_force


async def test_what_widens_waits_once_for_all_and_is_confirmed_at_any(settings: Settings) -> None:
    async with two(settings) as (one, other):
        before, waits = one.in_force, await one.offered(WIDER)
        await other.watch()
        assert (other.house.bundles.waits, other.in_force) == (waits, before)
        assert len(await one.entries("bundle:wait")) == 1
        name = await one.filed()
        answers = await asyncio.gather(
            other.confirm(name, LU), one.confirm(name, MA), other.confirm(name, MA)
        )
        assert sorted(answer.status for answer in answers) == [200, 409, 409]
        for it in (one, other):
            await it.house.held.catch_up()
            assert it.in_force == waits
        assert await digests(one) == [before, waits]


async def test_two_folders_do_not_take_turns(settings: Settings) -> None:
    """What a process offers is offered once: a stale folder does not undo what another machine's put in force."""
    async with two(settings, elsewhere(settings, "# elsewhere\n")) as (one, other):
        both = await digests(one)
        assert len(both) == 2
        for _ in range(3):
            await one.watch()
            await other.watch()
        assert one.in_force == other.in_force == both[1]
        assert await digests(one) == both
    for _ in range(2):  # nor do starts
        async with two(settings, elsewhere(settings, "# elsewhere\n")) as (one, other):
            assert one.in_force == other.in_force == both[1]
            assert await digests(one) == both


async def test_a_stale_folder_that_would_widen_waits(settings: Settings) -> None:
    async with two(settings, elsewhere(settings, DENY.format("contact"))) as (one, other):
        assert other.in_force == one.in_force
        assert len(await digests(one)) == 2  # the narrower one took over
        await one.watch()
        assert len(await digests(one)) == 2


async def test_a_key_that_is_revoked_in_between_does_not_hide_an_activation(settings: Settings) -> None:
    async with two(settings) as (one, other):
        one.edit("# one\n")
        await one.watch()
        again = demo.DemoKey("again", "app:demo-again", frozenset({"maintenance"}))
        await demo.credentials(other.house, keys=(again,))
        await other.house.held.catch_up()
        assert other.in_force == one.in_force


async def test_an_activation_that_is_overtaken_at_once_does_not_hide_the_newer_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(settings) as (one, other):
        one.edit("# one\n")
        head, overtaken = one.house.log.head, []

        async def late() -> Head:
            if one.house.bundles._unentered is not None and not overtaken:
                overtaken.append(True)
                async with asyncio.timeout(5):
                    edit(settings.policies, "# two\n")
                    await other.watch()  # somebody is at it
            return await head()

        monkeypatch.setattr(one.house.log, "head", late)
        await one.watch()
        await other.watch()
        await one.house.held.catch_up()
        assert overtaken
        assert one.in_force == other.in_force


async def test_postgresql_refuses_one_person_and_what_changes_what_was_said(
    settings: Settings, postgres_server: PostgresServer
) -> None:
    name = settings.database_url.partition("?")[0].rpartition("/")[2]
    async with world(settings) as it:
        await it.offered(WIDER)
        approval = await it.filed()
        for early in (
            "UPDATE state.approvals SET confirmed_by = filed_by, confirmed_at = 1, confirm_intent = 1",
            "UPDATE state.approvals SET executed = 5",
            "UPDATE state.approvals SET after = before",
            "DELETE FROM state.approvals",
            "TRUNCATE state.approvals",
        ):
            with pytest.raises(AssertionError, match="ERROR"):
                postgres_server.sql(early, name)
        assert (await it.confirm(approval)).status == 200
        for late in ("confirmed_by = 'person:x#y'", "executed = NULL", "lapsed_at = 5"):
            with pytest.raises(AssertionError, match="only goes forward"):
                postgres_server.sql(f"UPDATE state.approvals SET {late}", name)
