"""/healthz, /readyz and the description: what they say, and that it is true."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from gateway.control import create_control, shapes
from gateway.control.openapi import document
from gateway.control.readiness import Readiness
from gateway.identity import keytext
from gateway.words.errors import Unavailable
from gateway.words.ids import new_id
from tests.control.client import Client
from tests.control.conftest import Plane


async def test_alive_and_ready_ask_for_no_credential_and_leave_no_entry(plane: Plane) -> None:
    assert (await plane.ask("GET", "/healthz")).json == {"alive": True}
    ready = await plane.ask("GET", "/readyz")
    assert (ready.status, ready.json) == (
        200,
        {"ready": True, "checks": {"log": "ok", "state": "ok", "policy": "ok", "keys": "ok"}},
    )
    assert await plane.desks.entries() == []


async def test_the_keys_of_assertions_are_anybodys(plane: Plane) -> None:
    said = await plane.ask("GET", "/v1/assertion-keys")
    assert (said.status, said.json) == (200, {"keys": [{"kid": "one"}]})
    assert said.headers["content-type"] == "application/jwk-set+json"
    refused = await plane.ask("GET", "/v1/assertion-keys?x=1")
    assert (refused.status, refused.problem) == (400, "parameter-unknown")
    assert await plane.desks.entries() == []


async def test_not_ready_names_what_is_missing_and_no_more(plane: Plane) -> None:
    plane.bundle[0] = None
    await plane.desks.log.close()
    said = await plane.ask("GET", "/readyz")
    assert (said.status, said.problem) == (503, "not-ready")
    assert said.json["params"] == {"down": "log policy"}
    assert (await plane.ask("GET", "/healthz")).status == 200


async def test_a_store_that_is_gone_is_named(plane: Plane) -> None:
    class Gone:
        async def read(self, work: Any) -> Any:
            raise Unavailable

    deps = dataclasses.replace(plane.deps, stores={"state": plane.desks.store, "records": Gone()})
    client = Client.of(create_control(deps))
    said = await client("GET", "/readyz")
    client.metrics.close()
    assert said.json["params"] == {"down": "records"}


async def test_readiness_is_looked_at_once_a_second_whoever_asks(plane: Plane) -> None:
    now, looks = 0.0, 0

    class Counting:
        async def read(self, work: Any) -> Any:
            nonlocal looks
            looks += 1

    deps = dataclasses.replace(plane.deps, stores={"state": Counting()})
    readiness = Readiness(deps, lambda: now)
    for _ in range(50):
        assert await readiness.down() == ()
    assert looks == 1
    now = 1.0
    await readiness.down()
    assert looks == 2


async def test_a_defect_is_a_problem_without_its_text(plane: Plane) -> None:
    class Broken:
        async def identify(self, call: Any) -> Any:
            raise ZeroDivisionError("the secret of 张伟 13800001234")

    client = Client.of(create_control(dataclasses.replace(plane.deps, identity=Broken())))
    said = await client("GET", "/v1/whoami", "x")
    client.metrics.close()
    assert (said.status, said.problem) == (500, "internal")
    assert b"1380" not in said.body


async def test_the_description_is_served_as_openapi_3_1(plane: Plane) -> None:
    said = await plane.ask("GET", "/schema/openapi.json")
    assert said.status == 200
    assert said.headers["content-type"].startswith("application/vnd.oai.openapi+json")
    assert said.json == document()
    assert said.json["openapi"] == "3.1.0"
    schemes = said.json["components"]["securitySchemes"]
    assert (schemes["apiKey"]["scheme"], schemes["personToken"]["name"]) == ("bearer", "Gatehouse-Person")


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {(path, method): op for path, item in document()["paths"].items() for method, op in item.items()}


async def test_the_description_names_every_route_and_no_other(plane: Plane) -> None:
    control: Litestar = create_control(plane.deps)
    served = {
        (route.path.replace(":str", ""), method.lower())
        for route in control.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method not in ("OPTIONS", "HEAD")  # it follows from GET (RFC 9110 section 9.3.2)
    }
    assert served == set(operations())


def test_head_is_taken_wherever_get_is(plane: Plane) -> None:
    routes = [route for route in create_control(plane.deps).routes if isinstance(route, HTTPRoute)]
    assert [route.path for route in routes if ("GET" in route.methods) != ("HEAD" in route.methods)] == []


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(v) for v in value.values()))
    return set().union(*(references(v) for v in value)) if isinstance(value, list) else set()


def test_every_reference_in_the_description_leads_somewhere() -> None:
    schemas = document()["components"]["schemas"]
    assert references(document()) == {f"#/components/schemas/{name}" for name in schemas}
    assert schemas["KeyWanted"]["additionalProperties"] is False
    assert schemas["KeyWanted"]["required"] == ["application", "roles", "purposes", "expires"]


@pytest.mark.parametrize(
    ("method", "target", "path", "shape", "status"),
    [
        ("GET", "/v1/whoami", "/v1/whoami", shapes.Caller, 200),
        ("GET", "/v1/keys", "/v1/keys", shapes.KeyPage, 200),
        ("POST", "/v1/keys", "/v1/keys", shapes.Problem, 415),
        ("GET", "/v1/keys?limit=x", "/v1/keys", shapes.Problem, 400),
        ("DELETE", "/v1/keys/key_1", "/v1/keys/{key_id}", shapes.Problem, 404),
        ("POST", "/v1/clients", "/v1/clients", shapes.Problem, 415),
        ("POST", "/v1/clients/key_1/secrets", "/v1/clients/{client_id}/secrets", shapes.Problem, 404),
        (
            "GET",
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server",
            shapes.Discovered,
            200,
        ),
        ("GET", "/healthz", "/healthz", shapes.Alive, 200),
        ("GET", "/readyz", "/readyz", shapes.Ready, 200),
    ],
)
async def test_answers_are_of_the_shape_that_the_description_gives_for_their_status(
    plane: Plane, method: str, target: str, path: str, shape: type[Any], status: int
) -> None:
    said = await plane.ask(method, target, await plane.desks.admin())
    assert said.status == status
    described = operations()[path, method.lower()]["responses"][str(status)]
    (media,) = described["content"]
    assert said.headers["content-type"].partition(";")[0] == media
    assert described["content"][media]["schema"]["$ref"] == f"#/components/schemas/{shape.__name__}"
    msgspec.json.decode(said.body, type=shape, strict=True)


@pytest.mark.parametrize("path", sorted(document()["paths"]))
async def test_what_an_address_answers_to_what_it_does_not_take_is_described(plane: Plane, path: str) -> None:
    admin = await plane.desks.admin()
    here = path.replace("{key_id}", "key_1").replace("{client_id}", "key_1").replace("{approval_id}", "apr_1")
    offered = {method for at, method in operations() if at == path}
    for method in offered:
        described = operations()[path, method]["responses"]
        body = {} if method == "post" else None
        for problem, target in (("parameter-unknown", f"{here}?zzz=1"), ("method-not-listed", here)):
            sent = "PATCH" if problem == "method-not-listed" else method.upper()
            said = await plane.ask(sent, target, admin, body)
            assert said.problem == problem
            assert problem in described[str(said.status)]["description"]
    if "{key_id}" in path:
        gone = await plane.ask("DELETE", here, admin)
        assert gone.problem in operations()[path, "delete"]["responses"]["404"]["description"]


def test_a_keys_id_is_described_as_it_is_taken() -> None:
    """A parameter that the description allows and the door refuses is a trap: so is one that it takes and nobody knows of."""
    paging = {p["name"]: p["schema"] for p in operations()["/v1/keys", "get"]["parameters"]}
    (key_id, _) = operations()["/v1/keys/{key_id}", "delete"]["parameters"]
    for schema in (paging["after"], key_id["schema"]):
        taken = re.compile(schema["pattern"])
        for text in (
            new_id("key"),
            "key_" + "0" * 26,
            "",
            "key_",
            "key_" + "i" * 26,
            "req_" + "0" * 26,
            "key_" + "0" * 27,
        ):
            assert (taken.search(text) is not None) == keytext.is_id(text), text


def test_an_answer_that_has_an_entry_says_so_in_the_description() -> None:
    recorded = {at for at, op in operations().items() if op["security"]}
    good = {at: next(r for s, r in operations()[at]["responses"].items() if s[0] == "2") for at in recorded}
    assert {at for at in recorded if good[at]["headers"]["Audit-Ref"]["required"]} == recorded
    assert len(recorded) >= 4
