"""A whole gateway whose policy names two security administrators, a manager and an agent, and two applications that they come through."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from gateway import demo
from gateway.app import House, open_house, utc_now
from gateway.corridor.desk import Asker
from gateway.credentials import Wish
from gateway.identity.demo import ISSUER, DemoIssuer
from gateway.settings import ROOT, Settings, read
from gateway.words.ids import new_id
from tests.control.client import Client, Said

HE, LU, MA, LI = "he.ping", "lu.yan", "ma.lin", "li.wei"
TOOL, OTHER = "app:admin-tool", "app:second-tool"
# He and Lu administer; Ma manages the branch and administers too; Li is the shipped agent.
LINKS = "".join(
    f"g, {who}, {role}, {unit}\n"
    for who, role, unit in (
        (TOOL, "role:security-admin", "*"),
        (OTHER, "role:security-admin", "*"),
        (f"person:{ISSUER}#{HE}", "role:security-admin", "*"),
        (f"person:{ISSUER}#{LU}", "role:security-admin", "*"),
        (f"person:{ISSUER}#{MA}", "role:security-admin", "*"),
        (f"person:{ISSUER}#{MA}", "role:manager", "branch:shanghai"),
    )
)
WIDER = "p, role:agent, *, crm/customer, show:clear, financial, service, True, allow\n"
"""Agents, and whoever holds the role, see bank cards."""


# The shipped cases say what shipped roles may do, which these tests change.
CASE = """
now: "2026-11-02T10:00:00+08:00"
principals: {operator: {application: system:operator, purposes: [maintenance]}}
records: {policy: {resource: gatehouse/policy, facts: {}}}
cases:
  - principal: operator
    record: policy
    allow: [{actions: [policy:explain, policy:history], purposes: [maintenance]}]
"""


@dataclass
class World:
    """One gateway, its control plane as HTTP sees it, and what persons come with."""

    house: House
    ask: Client
    issuer: DemoIssuer
    keys: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        return self.house.settings

    @property
    def in_force(self) -> str:
        found = self.house.held.now.decider.bundle.digest  # type: ignore[attr-defined]  # the house's decider is the room's own
        assert found == self.house.bundles.digest
        return str(found)

    def edit(self, text: str) -> None:
        """Writes the rules anew: the shipped ones, the links of this world, and `text`."""
        edit(self.settings.policies, text)

    async def watch(self) -> None:
        await self.house.bundles.watch(self.house.held)

    async def offered(self, text: str) -> str:
        """Edits the folder and looks at it; gives the digest that waits."""
        self.edit(text)
        await self.watch()
        assert self.house.bundles.waits is not None
        return self.house.bundles.waits

    async def said(
        self, method: str, target: str, who: str | None, body: Any = None, app: str = TOOL
    ) -> Said:
        shown = {} if who is None else {"gatehouse-person": self.token(who, app)}
        return await self.ask(method, target, self.keys[app], body, shown)

    def token(self, who: str, app: str = TOOL) -> str:
        return self.issuer.mint(who, app, 10, now=utc_now())

    async def file(self, who: str | None = HE, bundle: str | None = None, app: str = TOOL) -> Said:
        return await self.said("POST", "/v1/approvals", who, {"bundle": bundle}, app)

    async def confirm(self, name: str, who: str | None = LU, app: str = TOOL) -> Said:
        return await self.said("POST", f"/v1/approvals/{name}/confirm", who, None, app)

    async def filed(self, who: str = HE, bundle: str | None = None) -> str:
        """Files what waits; gives the approval's id."""
        said = await self.file(who, bundle)
        assert (said.status, said.json["state"]) == (201, "waits")
        return str(said.json["approval"]["id"])

    async def entries(self, action: str) -> list[dict[str, Any]]:
        """Every entry of an action, with what its part says."""
        found = []
        for entry in await self.house.log.entries(0, 10_000):
            said = orjson.loads(entry.bytes)
            if said["action"] == action:
                part = orjson.loads(entry.parts[0].body) if entry.parts else {}
                found.append({**said, "seq": entry.seq, "part": part})
        return found


def edit(folder: Path, text: str) -> None:
    (folder / "policy.csv").write_text((ROOT / "policies" / "policy.csv").read_text() + LINKS + text)


def chosen(place: Path, **more: str) -> Settings:
    """Settings of a home of its own, with the policy folder beside it."""
    shutil.copytree(ROOT / "policies", place / "policies", dirs_exist_ok=True)
    (place / "policies" / "cases" / "branch.yaml").write_text(CASE)
    edit(place / "policies", "")
    named = {"GATEHOUSE_HOME": str(place / "home"), "GATEHOUSE_POLICIES": str(place / "policies")}
    return read({**named, "GATEHOUSE_PORT": "0", **more})


@asynccontextmanager
async def world(settings: Settings, *, demonstration: bool = False) -> AsyncIterator[World]:
    """Opens it; again over the same home too. Keys are issued once and kept beside the home."""
    issuer = demo.prepare(settings)
    async with open_house(settings, issuers=(issuer.terms(),), demonstration=demonstration) as house:
        place = settings.home / "demo" / "keys-of-tests.json"
        keys = json.loads(place.read_text()) if place.exists() else {}
        for app in () if keys else (TOOL, OTHER):
            wish = Wish(app, frozenset(), frozenset({"maintenance"}), utc_now() + timedelta(days=1))
            operator = demo.AsSystem("operator", {demo.PURPOSE})
            asker = Asker(new_id("req"), operator.give, demo.PURPOSE)
            keys[app] = (await house.keys.issue(asker, lambda w=wish: w)).text  # type: ignore[misc]  # bound at once
        place.write_text(json.dumps(keys))
        dispatcher, _ = house.doors()
        yield World(house, Client(dispatcher, house.metrics), issuer, keys)
