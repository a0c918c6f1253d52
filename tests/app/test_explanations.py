"""Why somebody may or may not, asked of a whole house with the shipped policy: by HTTP and by the socket, decided on and recorded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway import asking, demo, local
from gateway.app import House, open_house
from gateway.control import ControlDeps, create_control
from gateway.records import sample
from gateway.settings import read
from gateway.words.errors import Code, GatehouseError, Refused
from tests.app.asking import ask
from tests.control.client import Client

LI = "person:https://id.demo.example#li.wei"
FEW = sample(customers=3, threads=1, messages=1)


@dataclass
class Open:
    """A house with three invented customers; ids by name of a field's value are looked up at the embedded store."""

    house: House
    keys: dict[str, str]
    http: Client
    ids: list[str]
    home: Path

    async def last(self) -> dict[str, Any]:
        found = (await self.house.log.entries((await self.house.log.head()).seq - 1, 1))[0]
        return orjson.loads(found.bytes) | {"parts": [orjson.loads(part.body) for part in found.parts]}

    async def explain(self, key: str = "admin", **asked: Any) -> Any:
        return await self.http("POST", "/v1/explain", self.keys[key], asked)


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    chosen = read({"GATEHOUSE_HOME": str(tmp_path), "GATEHOUSE_PORT": "0"})
    demo.prepare(chosen)
    async with open_house(chosen) as house:
        keys = dict(await demo.credentials(house))
        await demo.load_sample(house, lambda done, total: None, FEW)
        deps = ControlDeps(
            freezes=house.freezes,
            identity=house.identity,
            keys=house.keys,
            log=house.log,
            stores={},
            bundle=lambda: None,
            assertion_keys=b"{}",
            explaining=house.explaining,
            activating=house.activating,
            history=house.history,
        )
        http = Client.of(create_control(deps))
        listed = await ask(house, "GET", "/crm/customers?limit=10", keys["auditor"])
        yield Open(house, keys, http, [item["id"] for item in json.loads(listed.body)["items"]], tmp_path)
        http.metrics.close()


def values() -> set[str]:
    """Every value of the sample that is somebody's."""
    personal = ("name", "phone", "email", "id_number", "bank_card", "address", "birth_date")
    return {str(person[name]) for person in FEW.customers for name in personal if person.get(name)}


async def test_a_denial_of_a_record_is_explained_and_recorded_and_shows_no_value(opened: Open) -> None:
    said = await opened.explain(
        who=LI, action="customer:create", record=opened.ids[0], purpose="service", through="app:demo-desk"
    )
    assert said.status == 200
    told = said.json
    assert (told["allowed"], told["reason"], told["person"]) == (False, "no-rule", LI)
    assert told["application"] == "app:demo-desk"
    assert told["credential"].startswith("key_")
    assert told["told"] in told["text"][-1]
    assert told["told"].startswith("No role that counts for you allows customer:create")
    assert {"name", "value", "fit"} == set(told["facts"][0])
    assert not [value for value in values() if value in said.body.decode()]
    entry = await opened.last()
    assert (entry["kind"], entry["action"], entry["resource"]) == (
        "served",
        "policy:explain",
        {"upstream": "gatehouse", "type": "policy"},
    )
    assert said.headers["audit-ref"].partition(":")[0] == str(entry["seq"])
    (part,) = entry["parts"]
    assert part["asked"] == {
        "as": LI,
        "through": "app:demo-desk",
        "action": "customer:create",
        "purpose": "service",
        "resource": "crm/customer",
        "facts": part["asked"]["facts"],
    }
    assert part["asked"]["facts"]["unit"].startswith("branch:")
    assert "facts" not in part  # those of the decision on who asked: there were none
    assert opened.ids[0] not in json.dumps(entry)


async def test_what_is_explained_is_what_the_corridor_does(opened: Open) -> None:
    for name in ("agent", "supervisor", "auditor"):
        purpose = "audit" if name == "auditor" else "service"
        for record in opened.ids:
            told = (
                await opened.explain(
                    who=f"app:demo-{name}", action="customer:read", record=record, purpose=purpose
                )
            ).json
            if not told["allowed"]:
                with pytest.raises(GatehouseError) as caught:
                    await ask(opened.house, "GET", f"/crm/customers/{record}", opened.keys[name])
                assert caught.value.code is Code.NOT_FOUND
                continue
            reply = await ask(opened.house, "GET", f"/crm/customers/{record}", opened.keys[name])
            shown = {field["field"] for field in told["fields"] if field["shown"] != "withheld"}
            assert {f"/{member}" for member in json.loads(reply.body)} <= shown


async def test_only_administrators_are_told(opened: Open) -> None:
    for key in ("agent", "supervisor", "auditor"):
        said = await opened.explain(
            key, who=LI, action="customer:read", record=opened.ids[0], purpose="service"
        )
        assert (said.status, said.problem) == (403, "denied")
        assert said.json["params"]["cause"] == "roles"
        entry = await opened.last()
        assert (entry["kind"], entry["action"], entry["parts"]) == ("denied", "policy:explain", [])
    nobody = await opened.http("POST", "/v1/explain", None, {"who": LI, "action": "customer:read"})
    assert nobody.status == 401


REFUSED: list[tuple[dict[str, Any], int, str | None]] = [
    ({"action": "customer:read"}, 422, "/who"),
    ({"who": "li.wei", "action": "customer:read"}, 422, "/who"),
    ({"who": LI, "action": "customer:raed"}, 422, "/action"),
    ({"who": LI, "action": "customer:read", "record": "a/b"}, 422, "/record"),
    ({"who": LI, "action": "customer:read", "record": "1", "facts": {"unit": "x"}}, 422, "/record"),
    ({"who": LI, "action": "customer:read", "parent": "1"}, 422, "/parent"),
    ({"who": LI, "action": "message:read", "record": "1"}, 422, "/parent"),
    ({"who": LI, "action": "customer:read", "facts": {"phone": "1"}}, 422, "/facts"),
    ({"who": LI, "action": "customer:read", "facts": {"unit": 1.5}}, 422, "/facts"),
    ({"who": LI, "action": "customer:read", "through": "person:x"}, 422, "/through"),
    ({"who": LI, "action": "key:list", "record": "1"}, 422, "/record"),
    ({"who": LI, "action": "customer:read", "record": "nobody"}, 404, None),
    ({"who": LI, "action": "customer:read", "more": 1}, 422, None),
]


async def test_a_question_that_is_none_is_refused_and_recorded(opened: Open) -> None:
    for asked, status, field in REFUSED:
        said = await opened.http("POST", "/v1/explain", opened.keys["admin"], asked)
        assert (said.status, said.json.get("params", {}).get("field")) == (status, field), asked
        assert (await opened.last())["kind"] == "denied"


async def test_a_record_that_nobody_has_is_explained_by_facts(opened: Open) -> None:
    facts = {"unit": "branch:shanghai", "level": "vip", "owner": "somebody", "tags": ["overdue"]}
    told = (await opened.explain(who=LI, action="customer:read", purpose="service", facts=facts)).json
    assert (told["allowed"], told["reason"]) == (False, "rule-denied")
    assert [heard["effect"] for heard in told["rules"] if heard["party"] == LI] == ["allow", "deny"]
    assert any(change["name"] == "level" for way in told["ways"] for change in way)


async def test_the_socket_gives_the_same_in_the_language_of_the_command(opened: Open) -> None:
    house = opened.house
    known = local.explanations(house.explaining)
    async with local.listening(opened.home, known):
        given = {"who": LI, "action": "customer:create", "record": opened.ids[0], "purpose": "service"}
        english = await asking.ask(opened.home, asking.EXPLAIN, language="en", **given)
        chinese = await asking.ask(opened.home, asking.EXPLAIN, language="zh-Hans", **given)
        with pytest.raises(Refused) as caught:
            await asking.ask(opened.home, asking.EXPLAIN, language="tlh", **given)
    assert english["text"][0].startswith("DENIED: ")
    assert chinese["text"][0].startswith("拒绝：")
    assert caught.value.code is Code.VALUE_REFUSED
    by_http = (await opened.explain(**given)).json
    assert english == by_http
    entries = await house.log.entries(0, 1000)
    asked = [orjson.loads(e.bytes) for e in entries if b"policy:explain" in e.bytes]
    assert [entry["principal"]["application"] for entry in asked] == [
        "system:operator",
        "system:operator",
        "app:demo-admin",
    ]


async def test_who_can_is_asked_by_the_socket_and_recorded(opened: Open) -> None:
    house = opened.house
    known = local.explanations(house.explaining)
    facts = {"unit": "branch:shanghai", "level": "vip", "owner": "somebody"}
    async with local.listening(opened.home, known):
        found = await asking.ask(
            opened.home, asking.WHO_CAN, action="customer:read", field="phone", facts=facts
        )
        of_one = await asking.ask(opened.home, asking.WHO_CAN, action="customer:read", record=opened.ids[0])
        for wrong in ({"field": "nothing"}, {"field": 1}, {"facts": facts, "record": "1"}):
            with pytest.raises(Refused):
                await asking.ask(opened.home, asking.WHO_CAN, action="customer:read", **wrong)
    rows = {
        (row["who"].rpartition("#")[2], row["through"], row["purpose"]): row["shown"] for row in found["rows"]
    }
    assert rows == {
        ("app:demo-auditor", "app:demo-auditor", "audit"): "masked",
        ("app:demo-supervisor", "app:demo-supervisor", "service"): "clear",
        ("anna.schmidt", "app:demo-auditor", "audit"): "masked",
        ("zhang.min", "app:demo-desk", "service"): "clear",
        ("zhang.min", "app:demo-supervisor", "service"): "clear",
    }
    assert found["people"] == 4
    assert {row["shown"] for row in of_one["rows"]} == {None}
    entries = [
        orjson.loads(e.bytes) for e in await house.log.entries(0, 1000) if b"policy:explain" in e.bytes
    ]
    assert [entry["kind"] for entry in entries] == ["served", "served", "denied", "denied"]


async def test_what_somebody_can_is_asked_by_the_socket_and_recorded(opened: Open) -> None:
    house = opened.house
    known = local.explanations(house.explaining)
    async with local.listening(opened.home, known):
        found = await asking.ask(opened.home, asking.WHAT_CAN, who=LI, through="app:demo-desk")
        app = await asking.ask(opened.home, asking.WHAT_CAN, who="app:demo-admin")
        nobody = await asking.ask(opened.home, asking.WHAT_CAN, who="person:https://id.demo.example#nobody")
        with pytest.raises(Refused):
            await asking.ask(opened.home, asking.WHAT_CAN, who="li.wei")
    (reads,) = [row for row in found["rows"] if row["action"] == "customer:read"]
    assert (reads["purpose"], reads["unit"], reads["holds"]) == ("service", "branch:shanghai", "depends")
    assert "/name" in reads["clear"]
    assert "/phone" in reads["masked"]
    assert {(row["action"], row["unit"], row["holds"]) for row in app["rows"]} == {
        (action, "*", "always")
        for action in (
            *("key:create", "key:revoke", "key:list"),
            *("policy:explain", "policy:activate", "policy:approve", "policy:history"),
            *("freeze:list", "freeze:lift"),
        )
    }
    assert nobody["rows"] == []
    asked = [orjson.loads(e.bytes) for e in await house.log.entries(0, 1000) if b"policy:explain" in e.bytes]
    assert [entry["kind"] for entry in asked] == ["served", "served", "served", "denied"]
