"""The signed header, end to end: what an upstream is told of each request, and what it is not told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.keys import AssertionKey
from gateway.words.errors import GatehouseError
from tests.app.asking import ask
from tests.app.asserted import PERSON, opened


async def test_what_comes_through_the_gateway_is_served_and_what_comes_round_it_is_not(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, "assertion: true") as world:
        path = await world.made()
        key, merge = world.keys["supervisor"], {"content_type": "application/merge-patch+json"}
        assert (await ask(world.house, "GET", path, world.keys["agent"])).status == 200
        assert (await ask(world.house, "PATCH", path, key, b'{"level":"gold"}', **merge)).status == 200
        assert (await ask(world.house, "GET", "/crm/customers?limit=2", world.keys["agent"])).status == 200
        assert world.system.refused == []
        assert {request.method for request in world.system.seen} == {"POST", "GET", "PATCH"}
        assert await world.system.straight("GET", b"/customers") == 403
        assert await world.system.straight("GET", b"/customers", b"", ("Gatehouse-Assertion", "")) == 403
        assert world.system.refused == ["no-header", "malformed"]


async def test_the_claims_say_who_asks_what_for_and_nothing_of_a_person(tmp_path: Path) -> None:
    async with opened(tmp_path, "assertion: true") as world:
        path = await world.made()
        await ask(
            world.house,
            "GET",
            path,
            world.keys["desk"],
            gatehouse_person=world.token,
            gatehouse_purpose="service",
        )
        claims = world.system.seen[-1].claims
        person = claims.pop("person")
        assert person.startswith("per_")
        assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == ("gatehouse", "crm", 60)
        assert (claims["sub"], claims["action"], claims["purpose"]) == (
            "app:demo-desk",
            "customer:read",
            "service",
        )
        assert claims["request"].startswith("req_")
        assert sorted(claims) == [
            "action", "aud", "body", "exp", "iat", "iss", "jti", "purpose", "request", "sub", "target"
        ]  # fmt: skip
        whole = "".join(str(request.headers) + json.dumps(request.claims) for request in world.system.seen)
        assert "li.wei" not in whole
        assert "id.demo.example" not in whole
        await world.read()
        assert "person" not in world.system.seen[-1].claims


async def test_one_person_has_one_name_here_and_another_elsewhere_unless_the_catalogue_says_that_he_is_named(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, "assertion: true", "assertion_person: named") as world:
        path = await world.made()
        await ask(
            world.house,
            "GET",
            path,
            world.keys["desk"],
            gatehouse_person=world.token,
            gatehouse_purpose="service",
        )
        assert world.system.seen[-1].claims["person"] == PERSON
        key = AssertionKey(world.house.keyring)
    names = [key.person("crm", PERSON), key.person("crm", PERSON), key.person("erp", PERSON), key.person("crm", PERSON + "x")]  # fmt: skip
    assert len(set(names)) == 3
    assert names[0] == names[1]


async def test_every_request_has_a_header_of_its_own_and_the_gateways_own_looks_say_so(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, "assertion: true") as world:
        await world.made()
        path = await world.made()
        thread = {"title": "t", "unit": "branch:shanghai", "status": "open", "channel": "phone"}
        body = json.dumps(thread | {"customer_id": path.rsplit("/", 1)[-1]}).encode()
        await ask(
            world.house, "POST", "/crm/threads", world.keys["agent"], body, content_type="application/json"
        )
        said = [
            (request.method, request.claims["sub"], request.claims["action"]) for request in world.system.seen
        ]
        assert ("GET", "system:gatehouse", "customer:read") in said
        assert ("POST", "app:demo-agent", "thread:create") in said
        ids = [request.claims["jti"] for request in world.system.seen]
        assert len(set(ids)) == len(ids)


async def test_without_the_catalogues_word_there_is_no_header(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        with pytest.raises(GatehouseError):
            await world.made()
        assert world.system.refused
        assert set(world.system.refused) == {"no-header"}


async def test_a_caller_cannot_bring_a_header_of_his_own(tmp_path: Path) -> None:
    async with opened(tmp_path, "assertion: true") as world:
        path = await world.made()
        forged = world.system.seen[-1].assertion
        await ask(world.house, "GET", path, world.keys["agent"], gatehouse_assertion=forged)
        assert world.system.seen[-1].assertion != forged
        assert world.system.refused == []
