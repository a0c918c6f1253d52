"""A start serves by the bundle of the last activation in the log, whatever lies in the folder or stands in the state store."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import audit
from audit import AuditEvent, Kind, Log
from gateway.activating import SYSTEM
from gateway.settings import Settings
from gateway.words.errors import Misconfigured
from tests.activating.world import WIDER, World, chosen, edit, world

DENY = "p, role:agent, *, crm/customer, show:*, {}, service, True, deny\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return chosen(tmp_path)


def state(settings: Settings, *statements: str) -> None:
    """Changes rows as somebody would who can write to the state store, its triggers taken away first."""
    with closing(sqlite3.connect(settings.home / "state.sqlite")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def narrowed(settings: Settings) -> tuple[str, str]:
    """Starts, then narrows; gives the digests before and after. The folder holds the narrow one."""
    async with world(settings) as it:
        before = it.in_force
        it.edit(DENY.format("contact"))
        await it.watch()
        return before, it.in_force


async def how(it: World) -> list[str]:
    return [entry["decision"]["reason"] for entry in await it.entries("bundle:activate")]


async def test_the_first_start_takes_the_folder_and_says_so_and_no_later_one_does(settings: Settings) -> None:
    async with world(settings) as it:
        assert await how(it) == ["first"]
    async with world(settings) as it:
        assert await how(it) == ["first"]
        assert it.in_force == it.house.bundles.digest


async def test_a_folder_that_was_swapped_for_a_wider_one_while_stopped_waits(settings: Settings) -> None:
    _, narrow = await narrowed(settings)
    edit(settings.policies, WIDER)
    async with world(settings) as it:
        assert it.in_force == narrow
        assert it.house.bundles.waits is not None
        assert len(await it.entries("bundle:wait")) == 1
    async with world(settings) as it:
        assert it.in_force == narrow
        assert len(await it.entries("bundle:wait")) == 1  # said once


async def test_a_folder_that_was_narrowed_while_stopped_is_in_force_before_anything_is_served(
    settings: Settings,
) -> None:
    _, narrow = await narrowed(settings)
    edit(settings.policies, DENY.format("contact") + DENY.format("identity"))
    async with world(settings) as it:
        assert it.in_force != narrow
        assert await how(it) == ["first", "narrow", "narrow"]


async def test_an_older_folder_that_is_put_back_while_stopped_does_not_act(settings: Settings) -> None:
    await narrowed(settings)
    edit(settings.policies, "")
    async with world(settings) as it:
        assert await how(it) == ["first", "narrow"]
        assert it.house.bundles.waits is not None
        (filed,) = [await it.filed()]
        assert (await it.confirm(filed)).status == 200


async def test_a_folder_that_is_broken_does_not_hold_up_a_start(settings: Settings) -> None:
    _, narrow = await narrowed(settings)
    (settings.policies / "policy.csv").write_text("p, nonsense\n")
    async with world(settings) as it:
        assert it.in_force == narrow
        assert it.house.bundles.refused
        assert len(await it.entries("bundle:refuse")) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM bundles",
        "UPDATE bundles SET files = x'00'",
        "UPDATE bundles SET files = (SELECT files FROM bundles ORDER BY kept LIMIT 1)",
    ],
)
async def test_a_bundle_that_was_taken_away_or_altered_is_not_replaced_by_the_folders(
    settings: Settings, damage: str
) -> None:
    _, narrow = await narrowed(settings)
    state(settings, damage, "DELETE FROM standing", "DELETE FROM offers")
    edit(settings.policies, WIDER)
    with pytest.raises(Misconfigured, match=narrow):
        async with world(settings):
            pass
    edit(settings.policies, DENY.format("contact"))  # exactly that one is as good
    async with world(settings) as it:
        assert it.in_force == narrow


async def test_an_older_copy_of_the_state_does_not_bring_an_older_bundle_back(settings: Settings) -> None:
    async with world(settings) as it:
        first = it.in_force
    older = settings.home.parent / "older.sqlite"
    shutil.copy(settings.home / "state.sqlite", older)
    _, narrow = await narrowed(settings)
    shutil.copy(older, settings.home / "state.sqlite")
    for name in ("state.sqlite-wal", "state.sqlite-shm"):
        (settings.home / name).unlink(missing_ok=True)
    edit(settings.policies, "")
    with pytest.raises(Misconfigured, match=narrow):  # the copy has not got it
        async with world(settings):
            pass
    edit(settings.policies, DENY.format("contact"))
    async with world(settings) as it:
        assert it.in_force == narrow != first


async def test_an_older_copy_of_an_approval_does_not_do_it_again(settings: Settings) -> None:
    async with world(settings) as it:
        before, waits = it.in_force, await it.offered(WIDER)
        name = await it.filed()
    older = settings.home.parent / "older.sqlite"
    shutil.copy(settings.home / "state.sqlite", older)
    edit(settings.policies, WIDER)
    async with world(settings) as it:
        assert (await it.confirm(name)).status == 200
        assert (await it.file(bundle=before)).json["state"] == "done"
        assert it.in_force == before
    shutil.copy(older, settings.home / "state.sqlite")
    async with world(settings) as it:
        assert [
            one["id"] for one in (await it.said("GET", "/v1/approvals", "he.ping")).json["approvals"]
        ] == [name]
        assert (await it.confirm(name)).problem == "approval-over"
        assert it.in_force == before != waits


async def test_a_mark_that_points_elsewhere_is_not_believed(settings: Settings) -> None:
    """Whoever writes to the state store points back at the first activation, and puts the wider folder back."""
    _, narrow = await narrowed(settings)
    with closing(sqlite3.connect(settings.home / "audit.sqlite")) as log:
        (first,) = log.execute(
            "SELECT min(seq) FROM entries WHERE instr(body, CAST('bundle:activate' AS BLOB)) > 0"
        ).fetchone()
        seq, last = log.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
    state(settings, f"UPDATE standing SET seq = {first}, upto = {seq}, hash = '{last.hex()}'")
    edit(settings.policies, "")
    async with world(settings) as it:
        assert it.in_force == narrow


async def test_a_row_that_says_confirmed_is_not_done_at_a_start(settings: Settings) -> None:
    async with world(settings) as it:
        before = it.in_force
        await it.offered(WIDER)
        await it.filed()
    state(settings, "UPDATE approvals SET confirmed_by = 'person:x#y', confirmed_at = 1, confirm_intent = 1")
    async with world(settings) as it:
        assert it.in_force == before


async def test_an_entry_that_only_looks_like_an_activation_is_none(settings: Settings) -> None:
    async with world(settings) as it:
        before = it.in_force
        for kind, principal in ((Kind.NOTE, SYSTEM), (Kind.CHANGE, SYSTEM | {"person": "person:x#y"})):
            decision = {"allowed": True, "reason": "narrow", "bundle": "sha256:" + "0" * 64}
            forged = AuditEvent(kind, "req_x", principal, "bundle:activate", decision=decision)
            await it.house.log.append(forged, raises_fence=True)
        await it.house.held.catch_up()
        assert it.in_force == before
    async with world(settings) as it:
        assert it.in_force == before


async def test_a_start_reads_no_more_of_the_log_than_was_added_since(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(settings) as it:
        for _ in range(200):
            await it.house.log.append(AuditEvent(Kind.NOTE, "req_x", SYSTEM, "test:note"))
    async with world(settings):
        pass
    asked: list[tuple[int, int]] = []

    async with world(settings) as it:
        latest = type(it.house.log).latest

        async def counted(log: object, mark: bytes, after: int, upto: int) -> object:
            asked.append((after, upto))
            return await latest(log, mark, after, upto)  # type: ignore[arg-type]  # the log's own method

        monkeypatch.setattr(type(it.house.log), "latest", counted)
    async with world(settings):
        pass
    assert asked
    assert all(upto - after < 20 for after, upto in asked)


async def test_what_an_older_program_put_in_force_and_did_not_keep_is_replaced_by_the_folder_once(
    settings: Settings,
) -> None:
    async with world(settings) as it:
        first = it.in_force
        decision = {"allowed": True, "reason": "bundle:activate", "by": "process", "rule": None}
        old = AuditEvent(
            Kind.CHANGE,
            "req_x",
            SYSTEM,
            "bundle:activate",
            decision=decision | {"bundle": "sha256:" + "9" * 64},
        )
        await it.house.log.append(old, raises_fence=True)
    async with world(settings) as it:
        assert it.in_force == first
        entry = (await it.entries("bundle:activate"))[-1]
        assert (entry["decision"]["reason"], entry["part"]["before"]) == ("upgrade", "sha256:" + "9" * 64)
    async with world(settings) as it:
        assert await how(it) == ["first", "bundle:activate", "upgrade"]


@pytest.mark.parametrize("notes", [0, 40])
async def test_a_mark_of_a_log_that_went_another_way_is_not_believed(settings: Settings, notes: int) -> None:
    """The log alone is an older copy: what the state store says of the longer one is not true of it, however long it is by then."""
    async with world(settings) as it:
        first = it.in_force
    older = settings.home.parent / "older.sqlite"
    shutil.copy(settings.home / "audit.sqlite", older)
    _, narrow = await narrowed(settings)
    async with world(settings) as it:  # the mark is set anew at a start
        assert it.in_force == narrow
    shutil.copy(older, settings.home / "audit.sqlite")
    edit(settings.policies, "")
    log = await Log.open(audit.sqlite(settings.home / "audit.sqlite"))
    for _ in range(notes):
        await log.append(AuditEvent(Kind.NOTE, "req_x", SYSTEM, "test:note"))
    await log.close()
    async with world(settings) as it:
        assert it.in_force == first
        assert await how(it) == ["first"]
