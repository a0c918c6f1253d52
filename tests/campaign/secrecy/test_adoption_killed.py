"""A process that is killed (SIGKILL) at each point of an adoption: nothing sealed is lost, and what became of it is settled."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.counts import proving
from tests.campaign.secrecy.client import Client
from tests.campaign.secrecy.folders import everything, folder
from tests.campaign.secrecy.house import entries, serving, settings, sql
from tests.campaign.secrecy.keys import SHANGHAI
from tests.campaign.secrecy.oldsystem import old_system
from tests.campaign.serving import Launcher

STORED: dict[str, Any] = {"name": "欧阳测试", "phone": "13800009876", "unit": SHANGHAI}
PROGRAM = "from tests.campaign.secrecy.killing import main; main()"


@pytest.mark.parametrize(
    ("point", "sent", "result", "states"),
    [
        ("before it is bound", False, "not-done", []),
        *(
            [
                ("before the intent", False, None, []),
                ("before it is sent", False, "not-done", ["bound"]),
                ("before its outcome", True, "done", ["bound"]),
            ]
            if proving()
            else []
        ),
    ],
)
async def test_a_killed_adoption_loses_nothing_and_is_settled(
    tmp_path: Path, point: str, sent: bool, result: str | None, states: list[str]
) -> None:
    home = tmp_path / "home"
    async with old_system() as old:
        old.put("customers/c7", **STORED)
        rules = everything(
            "role:manager", "old/customer", "service", "public", "internal", "identity", "contact"
        )
        rules += everything("role:manager", "old/thread", "service", "public")
        catalogue = old.catalogue(datetime.now(UTC).date() + timedelta(days=9))
        policies = folder(tmp_path / "policies", catalogues={"old": catalogue}, rules=rules)
        given = {"policies": str(policies), "upstream_hosts": old.host}
        async with serving(settings(home, **given)) as opened:
            key = opened.keys["all"]
        environment = {f"GATEHOUSE_{name.upper()}": value for name, value in given.items()}
        environment |= {"GATEHOUSE_SETTLE_SECONDS": "0.2", "GATEHOUSE_SETTLE_GRACE_SECONDS": "1"}
        killed = Launcher(home, {**environment, "KILLED": point}, ("run",), PROGRAM)
        gateway = await asyncio.to_thread(killed.start)
        async with Client(gateway.base) as client:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.ask("PATCH", "/old/customers/c7", key, {"name": "张三"})
        assert await asyncio.to_thread(gateway.process.wait, 10) == -9
        assert bool(old.changes) is sent
        gateway = await asyncio.to_thread(Launcher(home, environment, ("run",)).start)
        try:
            await settled(home, result, states)
            async with Client(gateway.base) as client:
                expected = {"id": "c7", **STORED} | ({"name": "张三"} if sent else {})
                assert (await client.ask("GET", "/old/customers/c7", key)).json == expected
                answer = await client.ask("PATCH", "/old/customers/c7", key, {"phone": "13711112222"})
                assert (answer.status, answer.json) == (200, {**expected, "phone": "13711112222"})
            there = old.documents["customers/c7"]
            assert all(str(there[name]).startswith("gh1:") for name in ("name", "phone"))
            assert states_of(home) == ["bound"]
            assert len(sql(home / "state.sqlite", "SELECT id FROM subject")) == 1
        finally:
            assert await asyncio.to_thread(gateway.stop) == 0


def states_of(home: Path) -> list[str]:
    return [state for (state,) in sql(home / "state.sqlite", "SELECT state FROM binding")]


async def settled(home: Path, result: str | None, states: list[str]) -> None:
    """Waits until the log and the bindings say what they should, and fails with what they say instead."""
    found: object = None
    for _ in range(100):
        said = [(e["kind"], e["action"], (e["upstream"] or {}).get("result")) for e in entries(home)]
        outcomes = [r for kind, action, r in said if (kind, action) == ("outcome", "customer:update")]
        forgotten = [r for _, action, r in said if action == "reconciler:forgotten"]
        found = (outcomes, forgotten, states_of(home))
        if found == ([result] if result else [], [] if result else ["not-sent"], states):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(found)
