"""The admin port of a gateway that serves: what it says, what the data port does not, and that neither tells a stranger more than names."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from audit.store import sqlite
from gateway.app import measure
from gateway.control import readiness
from gateway.settings import read
from gateway.words.errors import Misconfigured
from tests.audit.builders import SqlitePlace
from tests.campaign.secrecy.client import Client
from tests.campaign.secrecy.house import Opened, serving, settings

NAMES = ["log", "state", "records", "policy", "keys"]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with serving(settings(tmp_path / "home", admin_port=0)) as found:
        assert found.admin != found.base
        yield found


async def test_there_is_no_admin_port_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert read({}).admin_port is None
    async with serving(settings(tmp_path / "home")) as found:
        assert found.admin == found.base  # one listener


async def test_metrics_are_scraped_from_the_admin_port_alone(opened: Opened) -> None:
    async with Client(opened.base) as data, Client(opened.admin) as admin:
        assert (await data.ask("GET", "/crm/customers?limit=1", opened.keys["all"])).status == 200
        assert (await data.ask("GET", "/crm/customers?limit=1", "nobody")).status == 401
        said = await admin.ask("GET", "/metrics")
        assert (said.status, said.headers["content-type"]) == (
            200,
            "text/plain; version=0.0.4; charset=utf-8",
        )
        page = said.body.decode()
        assert re.search(r'^gatehouse_answers_total\{outcome="served"\} [1-9]', page, re.M)
        assert 'gatehouse_refusals_total{code="unidentified"} 1' in page.splitlines()
        for target in ("/metrics", "/metrics/"):
            hidden = await data.ask("GET", target, opened.keys["all"])
            assert (hidden.status, hidden.code) == (404, "not-found")


async def test_scrapes_and_probes_of_the_admin_port_are_nobodys_requests(opened: Opened) -> None:
    async with Client(opened.admin) as admin:
        first = (await admin.ask("GET", "/metrics")).body
        for target in ("/healthz", "/readyz", "/nothing", "/metrics"):
            await admin.ask("GET", target)
        again = (await admin.ask("GET", "/metrics")).body
    answers = re.compile(rb"^gatehouse_answers_total.*$", re.M)
    assert answers.findall(first) == answers.findall(again)


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/metrics/x", 404, "not-found"),
        ("GET", "/v1/keys", 404, "not-found"),
        ("GET", "/crm/customers", 404, "not-found"),
        ("GET", "/schema/openapi.json", 404, "not-found"),
        ("POST", "/metrics", 405, "method-not-listed"),
        ("DELETE", "/readyz", 405, "method-not-listed"),
        ("GET", "/metrics?name=x", 400, "parameter-unknown"),
        ("GET", "/%6detrics%2f", 400, "target-ambiguous"),
    ],
)
async def test_it_offers_three_addresses_and_nothing_else(
    opened: Opened, method: str, target: str, status: int, code: str
) -> None:
    async with Client(opened.admin) as admin:
        said = await admin.ask(method, target, opened.keys["all"])
    assert (said.status, said.code) == (status, code)


async def test_head_is_answered_as_get_without_content(opened: Opened) -> None:
    async with Client(opened.admin) as admin:
        for target in ("/metrics", "/healthz", "/readyz"):
            got, head = await admin.ask("GET", target), await admin.ask("HEAD", target)
            assert (got.status, head.status, head.body) == (200, 200, b"")


async def test_readiness_says_each_state_to_operators_and_only_names_to_strangers(opened: Opened) -> None:
    async with Client(opened.base) as data, Client(opened.admin) as admin:
        said = await admin.ask("GET", "/readyz")
        assert said.json == {
            "ready": True,
            "checks": dict.fromkeys(NAMES, "ok"),
            "bundle": opened.house.bundles.digest,
        }
        opened.house.settings.keys.rename(opened.house.settings.home / "elsewhere")
        opened.house.bundles.refused = ("policy.csv:3: 张伟",)
        await asyncio.sleep(1.05)  # one look is good for a second
        said = await admin.ask("GET", "/readyz")
        assert (said.status, said.json["ready"]) == (200, True)
        assert said.json["checks"] == dict.fromkeys(NAMES, "ok") | {
            "policy": "degraded",
            "keys": "degraded",
        }
        stranger = await data.ask("GET", "/readyz")
        assert (stranger.status, stranger.json) == (
            200,
            {"ready": True, "checks": dict.fromkeys(NAMES, "ok")},
        )
        await measure(opened.house)
        assert b"\ngatehouse_bundle_refused 1\n" in (await admin.ask("GET", "/metrics")).body


async def test_a_log_that_can_be_read_and_not_be_written_to_is_down_until_a_request_may_try(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full: 13800001234")

    with monkeypatch.context() as broken:
        broken.setattr(sqlite, "_write", full)
        async with Client(opened.base) as data, Client(opened.admin) as admin:
            refused = await data.ask("GET", "/crm/customers?limit=1", opened.keys["all"])
            assert (refused.status, refused.code) == (503, "log-unavailable")
            await asyncio.sleep(1.05)
            said, stranger = await admin.ask("GET", "/readyz"), await data.ask("GET", "/readyz")
    assert (said.status, said.json["checks"]["log"]) == (503, "down")
    assert (stranger.status, stranger.json["params"]) == (503, {"down": "log"})
    assert b"138" not in said.body + stranger.body
    async with Client(opened.base) as data, Client(opened.admin) as admin:
        assert (await data.ask("GET", "/crm/customers?limit=1", opened.keys["all"])).status == 200
        await asyncio.sleep(1.05)
        assert (await admin.ask("GET", "/readyz")).json["checks"]["log"] == "ok"


async def test_a_log_that_went_back_is_down_for_good_although_it_can_be_read(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FAILURE_SECONDS", 0.0)  # however long ago the last commit failed
    place = SqlitePlace(opened.house.settings.home / "audit.sqlite")
    place.tamper(("UPDATE head SET seq = seq - 1",))
    async with Client(opened.base) as data, Client(opened.admin) as admin:
        refused = await data.ask("GET", "/crm/customers?limit=1", opened.keys["all"])
        assert (refused.status, refused.code) == (503, "log-unavailable")
        await opened.house.log.head()
        said = await admin.ask("GET", "/readyz")
    assert (said.status, said.json["checks"]["log"]) == (503, "down")


async def test_an_admin_port_that_is_taken_refuses_the_start_and_names_its_setting(tmp_path: Path) -> None:
    async with serving(settings(tmp_path / "one", admin_port=0)) as first:
        port = first.admin.rpartition(":")[2]
        with pytest.raises(Misconfigured, match="GATEHOUSE_ADMIN_PORT"):
            async with serving(settings(tmp_path / "other", admin_port=port)):
                pass


async def test_nothing_that_was_asked_stands_in_what_it_says(opened: Opened) -> None:
    canary = "13912345678"
    async with Client(opened.base) as data, Client(opened.admin) as admin:
        for target in (f"/crm/customers/{canary}", f"/{canary}", f"/crm/customers?phone={canary}"):
            await data.ask("GET", target, opened.keys["all"], headers={"x-who": canary})
            await data.ask("GET", target, canary)
        for target in (f"/{canary}", f"/metrics?{canary}=1"):
            assert canary.encode() not in (await admin.ask("GET", target)).body
        for target in ("/metrics", "/readyz"):
            assert canary.encode() not in (await admin.ask("GET", target, canary)).body
    assert canary not in json.dumps(opened.lines)
