"""What could widen anybody's access waits until somebody else, who does not gain by it, confirms it: through whichever door they come."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit import LogUnavailable
from gateway import approvals
from gateway.activating import service
from tests.activating.world import HE, LI, LU, MA, OTHER, TOOL, WIDER, World, chosen, world


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[World]:
    async with world(chosen(tmp_path)) as opened:
        yield opened


async def test_an_edit_that_takes_away_comes_in_force_by_itself_and_says_what_changed(it: World) -> None:
    before = it.in_force
    it.edit("p, role:agent, *, crm/customer, show:*, financial, service, True, deny\n")
    await it.watch()
    assert it.in_force != before
    entry = (await it.entries("bundle:activate"))[-1]
    assert (entry["decision"]["reason"], entry["part"]["before"]) == ("narrow", before)
    assert entry["decision"]["bundle"] == entry["part"]["reference"] == it.in_force
    assert entry["part"]["files"] == {"added": [], "removed": [], "changed": ["policy.csv"]}
    assert entry["part"]["rows"] == {"added": 1, "removed": 0}
    assert entry["part"]["widens"]["reasons"] == 0


async def test_an_edit_that_widens_waits_and_says_so_everywhere(
    it: World, caplog: pytest.LogCaptureFixture
) -> None:
    before = it.in_force
    with caplog.at_level(logging.INFO, "gatehouse"):
        waits = await it.offered(WIDER)
    await it.watch()
    assert it.in_force == before != waits
    assert [(r.levelname, r.msg) for r in caplog.records if r.name == "gatehouse"] == [
        ("WARNING", "bundle-waits"),
        ("WARNING", "bundle-kept"),
    ]
    (entry,) = await it.entries("bundle:wait")
    assert (entry["kind"], entry["part"]["reference"], entry["part"]["before"]) == ("note", waits, before)
    assert entry["part"]["widens"]["by"] == {"allowed": 1}
    assert entry["part"]["widens"]["lines"][0].startswith("+policy.csv:")
    _, inside = it.house.doors()
    assert (await inside.standing())[1]["checks"]["policy"] == "degraded"
    told = await it.said("GET", "/v1/approvals", HE)
    assert (told.json["bundle"], told.json["waits"]) == (before, waits)
    assert [item["what"] for item in told.json["items"]] == ["wait", "activate"]


async def test_one_files_another_confirms_and_it_is_in_force(it: World) -> None:
    before, waits = it.in_force, await it.offered(WIDER)
    name = await it.filed()
    assert it.in_force == before
    done = await it.confirm(name)
    assert (done.status, done.json["state"], it.in_force) == (200, "done", waits)
    entry = (await it.entries("bundle:activate"))[-1]
    assert entry["decision"]["reason"] == "approved"
    assert entry["seq"] == done.json["entry"]
    assert {n: entry["part"][n] for n in ("approval", "before", "filed_by", "confirmed_by")} == {
        "approval": name,
        "before": before,
        "filed_by": f"person:https://id.demo.example#{HE}",
        "confirmed_by": f"person:https://id.demo.example#{LU}",
    }
    assert it.house.bundles.waits is None
    assert (await it.house.log.open_intents()) == []
    (item, *_) = (await it.said("GET", "/v1/approvals?limit=1", LU)).json["items"]
    assert (item["approval"], item["how"], item["reasons"]) == (name, "approved", 1)


async def test_who_files_does_not_confirm_through_whichever_application(it: World) -> None:
    before = it.in_force
    await it.offered(WIDER)
    name = await it.filed(HE)
    for app in (TOOL, OTHER):
        said = await it.confirm(name, HE, app)
        assert (said.status, said.problem) == (403, "approval-own")
    assert it.in_force == before
    assert (await it.confirm(name, LU, OTHER)).status == 200


async def test_who_could_gain_does_not_confirm(it: World) -> None:
    """Ma is a manager, who inherits nothing of agents; as an agent she would gain. Of a supervisor's rule she does: managers inherit it."""
    before = it.in_force
    await it.offered("p, role:supervisor, *, crm/customer, show:clear, financial, service, True, allow\n")
    name = await it.filed()
    said = await it.confirm(name, MA)
    assert (said.status, said.problem) == (403, "approval-gains")
    assert it.in_force == before
    assert (await it.confirm(name, LU)).status == 200


async def test_whose_own_rules_are_untouched_confirms(it: World) -> None:
    await it.offered("p, role:marketer, *, crm/customer, show:clear, /phone, marketing, True, allow\n")
    name = await it.filed()
    assert (await it.confirm(name, MA)).status == 200


async def test_nobody_confirms_what_gives_all_administrators_more(it: World) -> None:
    await it.offered("p, role:security-admin, *, gatehouse/audit, audit:read, -, *, True, allow\n")
    name = await it.filed()
    for who in (LU, MA):
        assert (await it.confirm(name, who)).problem == "approval-gains"


@pytest.mark.parametrize("who", [None, LI])
async def test_only_a_person_whom_the_policy_lets_files_or_confirms(it: World, who: str | None) -> None:
    await it.offered(WIDER)
    name = await it.filed()
    expected = "person-needed" if who is None else "denied"
    for said in (await it.file(who), await it.confirm(name, who)):
        assert (said.status, said.problem) == (403, expected)


async def test_a_token_of_one_application_is_none_of_another(it: World) -> None:
    await it.offered(WIDER)
    name = await it.filed()
    stolen = {"gatehouse-person": it.token(LU, TOOL)}
    said = await it.ask("POST", f"/v1/approvals/{name}/confirm", it.keys[OTHER], None, stolen)
    assert (said.status, said.problem) == (401, "person-unproven")


async def test_a_token_that_is_sent_again_confirms_nothing_more(it: World) -> None:
    before, waits = it.in_force, await it.offered(WIDER)
    name, shown = await it.filed(), {"gatehouse-person": it.token(LU)}

    async def again() -> str | int:
        said = await it.ask("POST", f"/v1/approvals/{name}/confirm", it.keys[TOOL], None, shown)
        return said.status if said.status == 200 else said.problem

    assert [await again(), await again()] == [200, "approval-over"]
    assert (await it.file(HE, before)).json["state"] == "done"  # back: that takes away
    assert it.in_force == before
    assert await again() == "approval-over"
    assert it.in_force == before != waits


async def test_who_comes_between_an_activation_and_its_note_does_not_end_the_approval(
    it: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle is in force by then, and the row does not say so yet: another confirmation finds another bundle than was filed."""
    waits = await it.offered(WIDER)
    name, putting = await it.filed(), it.house.bundles.put
    late: list[str | None] = []

    async def put(*given: Any) -> Any:
        entry = await putting(*given)
        read = approvals.read_approval
        earlier = await it.house.stores.state.read(lambda c: read(c, name))
        before = replace(earlier, confirmed_by=None, confirmed_at=None, confirm_intent=None)
        monkeypatch.setattr(service, "read_approval", lambda _c, _n: before)  # as one has it who read before
        monkeypatch.setattr(service.Activating, "_stands", stands)
        late.append((await it.confirm(name, MA)).problem)
        monkeypatch.undo()
        return entry

    async def stands(*_: object) -> bool:
        return True

    monkeypatch.setattr(it.house.bundles, "put", put)
    assert (await it.confirm(name)).status == 200
    row = await it.house.stores.state.read(lambda c: approvals.read_approval(c, name))
    assert late == ["approval-over"]
    assert row is not None
    assert (row.lapsed_at, row.executed is not None, it.in_force) == (None, True, waits)


async def test_of_confirmations_at_once_one_does_it(it: World) -> None:
    waits = await it.offered(WIDER)
    name = await it.filed()
    said = await asyncio.gather(
        *(it.confirm(name, who, app) for who in (LU, MA) for app in (TOOL, OTHER) * 3)
    )
    # Ma would not gain by it, so either may be the one.
    assert sorted(one.status for one in said)[:1] == [200]
    assert {one.problem for one in said if one.status != 200} <= {"approval-over", "approval-gains"}
    assert [one.status for one in said].count(200) == 1
    assert it.in_force == waits
    assert [e["decision"]["reason"] for e in await it.entries("bundle:activate")] == ["first", "approved"]


async def test_a_draft_that_was_edited_since_is_not_what_was_confirmed(it: World) -> None:
    first = await it.offered(WIDER)
    name = await it.filed()
    second = await it.offered(WIDER.replace("financial", "id_document"))
    assert (await it.confirm(name)).json["after"] == first == it.in_force
    assert second != first
    assert [one["part"]["reference"] for one in await it.entries("bundle:wait")] == [first, second]


async def test_what_was_filed_against_another_bundle_lapses(it: World) -> None:
    await it.offered(WIDER)
    name = await it.filed()
    it.edit("# a remark\n")
    await it.watch()
    between = it.in_force
    for _ in range(2):
        assert (await it.confirm(name)).problem == "approval-over"
    assert it.in_force == between
    outcomes = [e for e in await it.entries("policy:approve") if e["kind"] == "outcome"]
    assert [e["upstream"]["result"] for e in outcomes] == ["not-done"]
    assert (await it.said("GET", "/v1/approvals", HE)).json["approvals"] == []


async def test_a_rollback_is_a_change_like_any_other(it: World) -> None:
    wide = it.in_force
    it.edit("p, role:agent, *, crm/customer, show:*, contact, service, True, deny\n")
    await it.watch()
    narrow = it.in_force
    said = await it.file(HE, wide)
    assert (said.status, said.json["state"], it.in_force) == (201, "waits", narrow)
    assert (await it.confirm(said.json["approval"]["id"])).status == 200
    assert it.in_force == wide
    again = await it.file(HE, narrow)
    assert (again.json["state"], again.json["approval"], it.in_force) == ("done", None, narrow)


@pytest.mark.parametrize("bundle", ["sha256:" + "0" * 64, "x", None, "now"])
async def test_what_is_not_there_is_not_filed(it: World, bundle: str | None) -> None:
    said = await it.file(HE, it.in_force if bundle == "now" else bundle)
    assert (said.status, said.problem, said.json["params"]) == (422, "value-refused", {"field": "/bundle"})


@pytest.mark.parametrize("name", ["apr_" + "0" * 26, "apr_x", "key_" + "0" * 26])
async def test_what_was_never_filed_is_not_found(it: World, name: str) -> None:
    assert (await it.confirm(name)).status == 404


async def test_the_store_itself_refuses_one_person_and_what_changes_what_was_said(it: World) -> None:
    await it.offered(WIDER)
    name = await it.filed()
    he = f"person:https://id.demo.example#{HE}"
    forged = (
        f"UPDATE approvals SET confirmed_by = '{he}', confirmed_at = 1, confirm_intent = 1",
        "UPDATE approvals SET executed = 5",
        "UPDATE approvals SET filed_by = 'person:x#y'",
        "UPDATE approvals SET after = before",
        "UPDATE approvals SET until = until + 1",
        "UPDATE approvals SET confirmed_by = 'person:x#y'",
        "DELETE FROM approvals",
        "INSERT INTO approvals SELECT 'apr_x', kind, before, after, digest, filed_by, filed_at, until, 9, 'person:x#y', 1, 9, NULL, NULL "
        "FROM approvals",
    )
    refuses(it, *forged)
    assert (await it.confirm(name)).status == 200
    late = (
        "UPDATE approvals SET executed = NULL",
        "UPDATE approvals SET lapsed_at = 5",
        "UPDATE approvals SET confirmed_by = 'person:x#z'",
    )
    refuses(it, *forged[2:], *late)


def refuses(it: World, *statements: str) -> None:
    """Each is refused by the store, whoever writes to it."""
    with closing(sqlite3.connect(it.settings.home / "state.sqlite")) as connection:
        for statement in statements:
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)
            connection.rollback()


async def test_a_row_that_the_log_does_not_know_is_not_confirmed(it: World) -> None:
    """Whoever can write to the state store makes a row as if somebody else had filed it, and confirms it himself."""
    before = it.in_force
    await it.offered(WIDER)
    name = await it.filed(LU)
    with closing(sqlite3.connect(it.settings.home / "state.sqlite")) as connection:
        other = "apr_" + "1" * 26
        for number, filed_by in ((7, HE), (0, HE)):
            connection.execute(
                f"INSERT INTO approvals SELECT '{other[:-1]}{number}', kind, before, after, digest, "
                f"'person:https://id.demo.example#{filed_by}', filed_at, until, intent + {number} + 100, NULL, NULL, NULL, NULL, NULL "
                f"FROM approvals WHERE id = '{name}'"
            )
        connection.commit()
    for number in (7, 0):
        assert (await it.confirm(f"{other[:-1]}{number}", LU)).problem == "approval-over"
    assert it.in_force == before


async def test_what_broke_off_between_intent_and_outcome_has_ended_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = chosen(tmp_path)
    async with world(settings) as it:
        before = it.in_force
        await it.offered(WIDER)
        name = await it.filed()

        async def dead(*_: object) -> None:
            raise LogUnavailable("killed here")

        with monkeypatch.context() as killed:
            killed.setattr(type(it.house.bundles), "put", dead)
            assert (await it.confirm(name)).problem == "outcome-unrecorded"
        assert len(await it.house.log.open_intents()) == 1
    async with world(settings) as it:
        assert it.in_force == before
        assert await it.house.log.open_intents() == []
        outcome = (await it.entries("policy:approve"))[-1]
        assert outcome["upstream"] == {"result": "not-done", "by": "reconciler"}
        assert (await it.confirm(name, MA)).problem == "approval-over"
        assert it.in_force == before


async def test_what_was_done_and_not_said_is_said_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = chosen(tmp_path)
    async with world(settings) as it:
        waits = await it.offered(WIDER)
        name = await it.filed()

        async def dead(*_: object) -> None:
            raise LogUnavailable("killed here")

        with monkeypatch.context() as killed:
            killed.setattr(type(it.house.keys.desk), "conclude", dead)
            await it.confirm(name)
        assert it.in_force == waits
    async with world(settings) as it:
        assert it.in_force == waits
        outcome = (await it.entries("policy:approve"))[-1]
        assert outcome["upstream"] == {"result": "done", "by": "reconciler"}


async def test_the_demonstration_asks_nobody_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(chosen(tmp_path), demonstration=True) as it:
        before = it.in_force
        it.edit(WIDER)
        with caplog.at_level(logging.INFO, "gatehouse"):
            await it.watch()
        assert it.in_force != before
        entry = (await it.entries("bundle:activate"))[-1]
        assert (entry["decision"]["reason"], entry["part"]["waived"]) == ("waived", "demo")
        assert "approval-waived" in [r.msg for r in caplog.records]


async def test_a_demonstration_that_others_reach_waives_nothing(tmp_path: Path) -> None:
    settings = chosen(tmp_path, GATEHOUSE_TLS_TERMINATED="on")
    async with world(settings, demonstration=True) as it:
        before = it.in_force
        await it.offered(WIDER)
        assert it.in_force == before
