"""Bodies that are refused: an id that is none is answered, and leaves, what one that is not there does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.campaign.secrecy.client import Client, Said
from tests.campaign.secrecy.house import Opened, entries, serving, settings, sql

UNIT = {"unit": "branch:shanghai"}
NO_IDS = [
    "a/b",
    "../customers",
    "..",
    ".",
    "a%2fb",
    "x;y",
    "by-key/x",
    " ",
    "\0",
    "\n",
    "\N{FULLWIDTH SOLIDUS}",
    "a" * 300,
    "a" * 20_000,
    "",
]
OF_ITS_OWN = ("seq", "time", "prev", "request", "trace", "parts", "records")
"""What is another in every entry; parts and records hold random salts."""


async def made(client: Client, target: str, key: str, body: dict[str, Any]) -> str:
    said = await client.ask("POST", target, key, UNIT | body)
    assert said.status == 201, said.body
    return str(said.json["id"])


def alike(said: Said) -> tuple[int, bytes]:
    return said.status, said.body.replace(said.headers["gatehouse-request"].encode(), b"-")


def left(opened: Opened, before: int) -> tuple[list[dict[str, Any]], list[Any]]:
    """Gives what was written since: entries as far as they can be alike, and how many rows the stores hold."""
    home = opened.house.settings.home
    new = [{k: v for k, v in entry.items() if k not in OF_ITS_OWN} for entry in entries(home)[before:]]
    rows = [
        sql(home / f"{store}.sqlite", f"SELECT count(*) FROM {table}")
        for store, table in (("records", "threads"), ("records", "messages"), ("state", "binding"))
    ]
    return new, rows


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


async def test_an_id_that_is_none_is_refused_as_one_that_is_not_there(home: Path) -> None:
    async with serving(settings(home)) as opened, opened.client() as client:
        key = opened.keys["all"]
        customer = await made(client, "/crm/customers", key, {"name": "张伟"})
        open_thread = {"customer_id": customer, "title": "x", "status": "open"}
        thread = await made(client, "/crm/threads", key, open_thread)
        message = {"author_kind": "staff", "author": "app:loader", "body": "你好"}
        target = f"/crm/threads/{thread}/messages"
        sent = f"{target}/{await made(client, target, key, message)}"
        for method, to, body, expected in (
            ("POST", "/crm/threads", open_thread, (422, "value-refused")),
            ("POST", target, message, (422, "value-refused")),
            ("PATCH", f"/crm/threads/{thread}", {}, (409, "subject-changed")),
            ("PATCH", sent, {}, (409, "subject-changed")),
        ):
            answers = []
            for named in ["cus_nothere", *NO_IDS]:
                before = len(entries(home))
                said = await client.ask(
                    method, to, key, (UNIT if body else {}) | body | {"customer_id": named}
                )
                assert (said.status, said.code) == expected, named
                assert said.json["params"] == {"field": "/customer_id"}
                answers.append((alike(said), left(opened, before)))
            assert answers[1:] == answers[:1] * len(NO_IDS)
            assert [entry["kind"] for entry in answers[0][1][0]] == ["denied"]


async def test_a_value_that_the_gateway_refuses_names_its_field(home: Path) -> None:
    async with serving(settings(home)) as opened, opened.client() as client:
        key = opened.keys["all"]
        customer = await made(client, "/crm/customers", key, {"name": "张伟"})
        body = {"region": "east", "note": "gh1:AAAA"}
        said = await client.ask("PATCH", f"/crm/customers/{customer}", key, body)
        assert (said.status, said.code, said.json["params"]) == (422, "value-refused", {"field": "/note"})
