"""Recorded decisions are made again: each comes out as it was, and a draft's flips are those that it makes."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.asking import ask as over_the_socket
from gateway.loading import Loaded, read
from gateway.replaying import remade, replay
from gateway.words.errors import Refused
from gateway.words.replay import LeftOut
from tests.campaign.secrecy.house import Opened, serving, settings, sql

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "policies"
PEOPLE = {
    "ours": {"name": "张伟", "phone": "13812340000", "unit": "branch:shanghai", "level": "standard"},
    "a VIP": {"name": "李娜", "phone": "13812340001", "unit": "branch:shanghai", "level": "vip"},
    "elsewhere": {"name": "王芳", "phone": "13812340002", "unit": "branch:beijing", "level": "standard"},
}


def loaded(folder: Path) -> Loaded:
    return read(folder, frozenset(), 1_048_576)


def draft(tmp_path: Path, was: str, now: str) -> Loaded:
    """The shipped policy with one change, and a case that it holds."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "draft"))
    text = (folder / "policy.csv").read_text()
    assert text.count(was) == 1
    (folder / "policy.csv").write_text(text.replace(was, now))
    (folder / "cases" / "branch.yaml").write_text(
        'now: "2026-11-02T10:00:00+08:00"\n'
        "principals:\n  nobody: {application: app:nobody, purposes: [service]}\n"
        "records:\n  one: {resource: crm/customer, facts: {unit: branch:shanghai}}\n"
        "cases:\n  - {principal: nobody, record: one, allow: []}\n"
    )
    return loaded(folder)


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with serving(settings(tmp_path / "home")) as served:
        yield served


async def asked(opened: Opened) -> list[dict[str, Any]]:
    """Asks as many kinds of questions as there are, and gives the log's entries."""
    agent, supervisor, auditor, everything = (
        opened.keys[name] for name in ("agent", "supervisor", "auditor", "all")
    )
    async with opened.client() as client:
        for person in PEOPLE.values():
            made = await client.ask("POST", "/crm/customers", everything, person)
            assert made.status == 201
            for key in (agent, supervisor, auditor, everything):
                await client.ask("GET", f"/crm/customers/{made.json['id']}", key)
            await client.ask(
                "PATCH", f"/crm/customers/{made.json['id']}", supervisor, {"phone": "13900000000"}
            )
            await client.ask("DELETE", f"/crm/customers/{made.json['id']}", agent)
        for key in (agent, supervisor, auditor):
            await client.ask("GET", "/crm/customers", key)
        await client.ask("GET", "/v1/keys", auditor)
        await client.ask("GET", "/v1/keys", agent)
    return (await over_the_socket(opened.house.settings.home, "audit.tail", limit=1000))["entries"]


async def test_every_decision_comes_out_as_it_was_recorded(opened: Opened) -> None:
    lines = await asked(opened)
    now = loaded(SHIPPED)
    found = replay(lines, now, now)
    assert found.flips == ()
    # What is not made again: lists, and what was refused without a record, of those whose credential gave them roles.
    assert set(found.left_out) == {LeftOut.ASKER_UNKNOWN}
    assert found.again >= 30
    assert found.decisions == found.again + found.left_out[LeftOut.ASKER_UNKNOWN]
    actions = {line["entry"]["action"] for line in lines if LeftOut.ASKER_UNKNOWN in remade(line, now)}
    assert actions == {"customer:list", "customer:delete", "customer:update", "key:list"} & actions


async def test_a_draft_flips_what_it_changes_and_nothing_else(opened: Opened, tmp_path: Path) -> None:
    lines = await asked(opened)
    masked = "p, role:clerk, *, crm/customer, show:masked, contact, service, True, allow\n"
    found = replay(lines, loaded(SHIPPED), draft(tmp_path, masked, ""))
    assert {(flip.roles, flip.action, flip.what, flip.was, flip.now) for flip in found.flips} == {
        (("role:agent",), "customer:read", what, "masked", "withheld")
        for what in ("/phone", "/email", "/address")
    }
    assert {flip.count for flip in found.flips} == {1}
    (seq,) = {flip.seq for flip in found.flips}
    (line,) = [line for line in lines if line["seq"] == seq]
    assert (line["entry"]["kind"], line["entry"]["principal"]["application"]) == ("served", "app:holds-agent")


async def test_a_deny_that_goes_flips_its_refusal(opened: Opened, tmp_path: Path) -> None:
    lines = await asked(opened)
    deny = 'p, role:agent, *, crm/customer, customer:*, -, *, r.rec.level == "vip" and r.rec.owner != r.sub.id, deny\n'
    found = replay(lines, loaded(SHIPPED), draft(tmp_path, deny, ""))
    assert [(f.roles, f.action, f.what, f.was, f.now, f.count) for f in found.flips] == [
        (("role:agent",), "customer:read", "-", "denied", "allowed", 1)
    ]


async def test_what_the_log_says_otherwise_is_found(opened: Opened, tmp_path: Path) -> None:
    lines = await asked(opened)
    now = loaded(SHIPPED)
    served = next(
        line
        for line in lines
        if line["entry"]["kind"] == "served" and line["entry"]["action"] == "customer:read"
    )
    assert remade(served, now) == [None]

    def altered(**decision: object) -> dict[str, Any]:
        line = copy.deepcopy(served)
        line["entry"]["decision"] |= decision
        return line

    assert remade(altered(rule="policy.csv:1"), now) == [LeftOut.OTHERWISE]
    assert remade(altered(allowed=False, reason="no-rule", rule=None), now) == [LeftOut.OTHERWISE]
    assert remade(altered(engine="gatehouse-policy/0"), now) == [LeftOut.ANOTHER_ENGINE]
    assert remade(altered(bundle="sha256:" + "0" * 64), now) == [LeftOut.ANOTHER_BUNDLE]
    line = copy.deepcopy(served)
    line["parts"][0]["fields"] = {"clear": ["/bank_card"]}
    assert remade(line, now) == [LeftOut.OTHERWISE]
    # An entry that no bundle decided holds nothing to make again.
    start = next(line for line in lines if line["entry"]["action"] == "gateway:start")
    assert remade(start, now) == []


async def ran(opened: Opened, *words: str) -> tuple[int, str]:
    """Runs a command beside the gateway, as an administrator does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "from gateway.cli import main; main()", *words),
        env=environment | {"GATEHOUSE_HOME": str(opened.house.settings.home), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


async def test_the_commands_ask_the_running_gateway(opened: Opened, tmp_path: Path) -> None:
    lines = await asked(opened)
    seq = next(line["seq"] for line in lines if line["entry"]["action"] == "customer:read")
    assert await ran(opened, "audit", "replay", str(seq)) == (
        0,
        f"Entry {seq}: decisions 1, all come out as they were recorded.\n",
    )
    assert (await ran(opened, "audit", "replay", "1"))[0] == 2  # the start: nothing was decided
    masked = "p, role:clerk, *, crm/customer, show:masked, contact, service, True, allow\n"
    draft(tmp_path, masked, "")
    code, printed = await ran(
        opened, "policy", "plan", str(tmp_path / "draft"), "--replay", "2000", "--format", "json"
    )
    told = json.loads(printed)
    assert (code, told["widens"]) == (0, False)
    assert {flip["what"] for flip in told["replayed"]["flips"]} == {"/phone", "/email", "/address"}
    assert told["replayed"]["left_out"].keys() == {"asker-unknown"}


async def again(opened: Opened, seq: int) -> dict[str, Any]:
    told: dict[str, Any] = await over_the_socket(opened.house.settings.home, "audit.replay", seq=seq)
    return told


async def test_a_bundle_stays_at_hand_after_another_came_in_force(tmp_path: Path) -> None:
    policies, home = Path(shutil.copytree(SHIPPED, tmp_path / "policies")), tmp_path / "home"
    chosen = settings(home, policies=policies)
    async with serving(chosen) as opened:
        lines = await asked(opened)
        seq = next(line["seq"] for line in lines if line["entry"]["kind"] == "served" and line["parts"])
        with (policies / "policy.csv").open("a") as file:
            file.write('p, role:agent, *, crm/customer, customer:*, -, *, r.rec.region == "none", deny\n')
        await opened.house.bundles.watch(opened.house.held)
        digest = next(line["entry"]["decision"]["bundle"] for line in lines if line["seq"] == seq)
        assert opened.house.bundles.digest != digest
        told = await again(opened, seq)
        assert (told["bundle"], told["same"]) == (digest, told["decisions"])
        assert told["decisions"] >= 1
    async with serving(chosen) as opened:  # another start, which never read that folder
        assert (await again(opened, seq))["same"] == told["same"]
        # Somebody who owns the file puts the newer policy in the place of the older.
        sql(home / "state.sqlite", "DROP TRIGGER bundles_no_update")
        sql(
            home / "state.sqlite",
            "UPDATE bundles SET files = (SELECT files FROM bundles WHERE digest <> ?)",
            digest,
        )
        told = await again(opened, seq)
        assert (told["decisions"], told["same"], told["bundle"]) == (None, None, digest)
        code, printed = await ran(opened, "audit", "replay", str(seq))
        assert (code, digest in printed) == (2, True)


async def test_an_entry_is_named_by_its_number_and_one_that_is_not_there_is_said_so(opened: Opened) -> None:
    for seq in (0, -1, "1", None, 1.5):
        with pytest.raises(Refused):
            await over_the_socket(opened.house.settings.home, "audit.replay", seq=seq)
    assert (await again(opened, 10**9))["there"] is False
    assert (await ran(opened, "audit", "replay", "999999"))[0] == 2
