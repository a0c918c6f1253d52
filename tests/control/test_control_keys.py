"""/v1/whoami and /v1/keys, from the request's bytes to the answer's, with what the log says of each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.control.conftest import Plane
from tests.credentials.desk_house import AGENT

WANTED: dict[str, Any] = {
    "application": "app:desk",
    "roles": [{"role": "role:agent", "unit": "branch:shanghai"}, {"role": "role:app-desk"}],
    "purposes": ["service"],
    "expires": "2026-12-01T00:00:00Z",
}


async def test_a_key_is_issued_used_listed_and_revoked(plane: Plane) -> None:
    admin = await plane.desks.admin()
    issued = await plane.ask("POST", "/v1/keys", admin, WANTED)
    assert issued.status == 201
    key = issued.json
    assert key == {
        "id": key["id"],
        "key": key["key"],
        "application": "app:desk",
        "roles": [{"role": "role:agent", "unit": "branch:shanghai"}, {"role": "role:app-desk", "unit": "*"}],
        "purposes": ["service"],
        "created": "2026-11-21T09:00:00.000000Z",
        "expires": "2026-12-01T00:00:00.000000Z",
    }
    assert issued.headers["location"] == f"/v1/keys/{key['id']}"
    assert issued.headers["cache-control"] == "no-store"

    who = await plane.ask("GET", "/v1/whoami", key["key"])
    assert who.status == 200
    assert who.json == {
        "application": {"id": "app:desk", "roles": key["roles"]},
        "person": None,
        "purposes": ["service"],
        "proven": [f"api-key:{key['id']}"],
    }

    listed = await plane.ask("GET", "/v1/keys?limit=500", admin)
    assert listed.status == 200
    shown = {item["id"]: item for item in listed.json["items"]}
    assert shown[key["id"]] == {name: value for name, value in key.items() if name != "key"} | {
        "proof": "key",
        "confirmed": "2026-11-21T09:00:00.000000Z",
        "revoked": None,
    }
    assert listed.json["next"] is None
    assert key["key"] not in listed.body.decode()

    gone = await plane.ask("DELETE", f"/v1/keys/{key['id']}", admin)
    assert (gone.status, gone.body) == (204, b"")
    refused = await plane.ask("GET", "/v1/whoami", key["key"])
    assert (refused.status, refused.problem) == (401, "unidentified")
    assert refused.headers["www-authenticate"].startswith("Bearer")

    entries = await plane.desks.entries()
    assert [(e["kind"], e["action"]) for e in entries] == [
        ("intent", "key:create"),
        ("outcome", "key:create"),
        ("served", "whoami:read"),
        ("served", "key:list"),
        ("intent", "key:revoke"),
        ("outcome", "key:revoke"),
    ]
    for said, entry in ((issued, entries[1]), (who, entries[2]), (listed, entries[3]), (gone, entries[5])):
        assert said.headers["audit-ref"].startswith(f"{entry['seq']}:")
        assert said.headers["gatehouse-request"] == entry["request"]


async def test_a_denial_names_its_entry_and_strangers_have_none(plane: Plane) -> None:
    agent = await plane.desks.admin(AGENT)
    for method, target, body in (
        ("GET", "/v1/keys", None),
        ("POST", "/v1/keys", WANTED),
        ("DELETE", "/v1/keys/x", None),
    ):
        denied = await plane.ask(method, target, agent, body)
        assert (denied.status, denied.problem) == (403, "denied")
        last = (await plane.desks.entries())[-1]
        assert last["kind"] == "denied"
        assert denied.headers["audit-ref"].startswith(f"{last['seq']}:")
    stranger = await plane.ask("GET", "/v1/keys")
    assert (stranger.status, "audit-ref" in stranger.headers) == (401, False)
    assert len(await plane.desks.entries()) == 3


def without(*names: str, **more: Any) -> dict[str, Any]:
    return {k: v for k, v in {**WANTED, **more}.items() if k not in names}


BODIES: dict[str, tuple[Any, dict[str, str], int, str]] = {
    "unknown member": (without(admin=True), {}, 422, "member-unknown"),
    "member absent": (without("purposes"), {}, 422, "value-refused"),
    "text where a list is": (without(purposes="service"), {}, 422, "value-refused"),
    "number where a text is": (without(application=5), {}, 422, "value-refused"),
    "a role with more": (without(roles=[{"role": "role:a", "unit": "*", "x": 1}]), {}, 422, "member-unknown"),
    "local time": (without(expires="2026-12-01T00:00:00"), {}, 422, "value-refused"),
    "a date": (without(expires="2026-12-01"), {}, 422, "value-refused"),
    "no such day": (without(expires="2026-13-41T00:00:00Z"), {}, 422, "value-refused"),
    "other digits": (without(expires="２０２６-12-01T00:00:00Z"), {}, 422, "value-refused"),
    "line end": (without(expires="2026-12-01T00:00:00Z\n"), {}, 422, "value-refused"),
    "too long a life": (without(expires="2028-12-01T00:00:00Z"), {}, 422, "value-refused"),
    "a system": (without(application="system:reconciler"), {}, 422, "value-refused"),
    "a list": ([WANTED], {}, 422, "value-refused"),
    "form": (
        b"application=app:desk",
        {"content-type": "application/x-www-form-urlencoded"},
        415,
        "media-type",
    ),
    "text": (WANTED, {"content-type": "text/plain"}, 415, "media-type"),
    "another charset": (WANTED, {"content-type": "application/json; charset=utf-16"}, 415, "media-type"),
    "twice": (b'{"application":"app:a","application":"app:b"}', {}, 400, "body-malformed"),
    "not JSON": (b"{", {}, 400, "body-malformed"),
    "deep": (b"[" * 50_000, {}, 400, "body-malformed"),
    "bytes": (b"\xff\xfe", {}, 400, "body-malformed"),
    "large": (b'"' + b"x" * 70_000 + b'"', {}, 413, "body-too-large"),
    "nothing": (b"", {}, 415, "media-type"),
    "nothing as JSON": (b"", {"content-type": "application/json"}, 400, "body-malformed"),
}


NAMED: dict[str, tuple[Any, dict[str, str] | None]] = {
    "nothing in it": ({}, {"field": "/application"}),
    "no roles": (without("roles"), {"field": "/roles"}),
    "half a role": (without(roles=[{"unit": "*"}]), {"field": "/roles"}),
    "another type": (without(purposes=[5]), {"field": "/purposes"}),
    "no moment": (without(expires="x"), {"field": "/expires"}),
    "another kind of body": ([WANTED], {"field": "/"}),
    "no purpose": (without(purposes=[]), {"field": "/purposes"}),
    "a purpose that no policy knows": (without(purposes=["service", "zzz"]), {"field": "/purposes"}),
    "a role that no policy knows": (without(roles=[{"role": "role:zzz"}]), {"field": "/roles"}),
    "a unit that no policy knows": (
        without(roles=[{"role": "role:agent", "unit": "branch:zzz"}]),
        {"field": "/roles"},
    ),
}


@pytest.mark.parametrize("case", NAMED)
async def test_the_member_that_does_not_fit_is_named(plane: Plane, case: str) -> None:
    body, params = NAMED[case]
    said = await plane.ask("POST", "/v1/keys", await plane.desks.admin(), body)
    assert (said.status, said.problem, said.json.get("params")) == (422, "value-refused", params)
    assert "intent" not in await plane.desks.kinds()


STRANGE: dict[str, tuple[Any, dict[str, str | int]]] = {
    "the last": (without(zzz=1), {"position": 5}),
    "the first": ({"13800139999": 1} | WANTED, {"position": 1}),
    "an odd name": (without(**{"` - at `$.roles": 1}), {"position": 5}),
    "no name": (without(**{"": 1}), {"position": 5}),
    "a line": (without(**{"a\nb": 1}), {"position": 5}),
    "in a role": (
        without(roles=[{"role": "role:agent"}, {"role": "role:agent", "13800139999": 1}]),
        {"field": "/roles/1", "position": 2},
    ),
}


@pytest.mark.parametrize("case", STRANGE)
async def test_an_unknown_member_is_refused_by_its_place_and_its_name_is_not_repeated(
    plane: Plane, case: str
) -> None:
    body, params = STRANGE[case]
    said = await plane.ask("POST", "/v1/keys", await plane.desks.admin(), body)
    assert (said.status, said.problem, said.json["params"]) == (422, "member-unknown", params)
    assert "behind the gateway" not in said.json["next"]
    assert b"13800139999" not in said.body
    assert "intent" not in await plane.desks.kinds()


@pytest.mark.parametrize("case", BODIES)
async def test_a_body_is_read_in_one_way_or_refused_and_changes_nothing(plane: Plane, case: str) -> None:
    body, headers, status, problem = BODIES[case]
    admin = await plane.desks.admin()
    said = await plane.ask("POST", "/v1/keys", admin, body, headers)
    assert (said.status, said.problem) == (status, problem)
    assert "intent" not in await plane.desks.kinds()


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("/v1/keys?limit=0", "parameter-malformed"),
        ("/v1/keys?limit=501", "parameter-malformed"),
        ("/v1/keys?limit=5.0", "parameter-malformed"),
        ("/v1/keys?limit=-5", "parameter-malformed"),
        ("/v1/keys?limit=%D9%A5", "parameter-malformed"),
        ("/v1/keys?limit=", "parameter-malformed"),
        ("/v1/keys?after=junk", "parameter-malformed"),
        ("/v1/keys?after=", "parameter-malformed"),
        ("/v1/keys?after=key_0000000000000000000000000U", "parameter-malformed"),
        ("/v1/keys?Limit=5", "parameter-unknown"),
        ("/v1/keys?role=admin", "parameter-unknown"),
        ("/v1/whoami?as=app:admin", "parameter-unknown"),
    ],
)
async def test_a_parameter_that_is_not_known_or_does_not_fit_is_refused_with_an_entry(
    plane: Plane, target: str, problem: str
) -> None:
    said = await plane.ask("GET", target, await plane.desks.admin())
    assert (said.status, said.problem) == (400, problem)
    params, known = said.json["params"], "known"
    if "limit=" in target:
        assert params == {"parameter": "limit", "expected": "1 to 500"}
    elif problem == "parameter-unknown":
        takes = "after limit" if "/keys" in target else "none"
        assert params == {"parameter": target.partition("?")[2].partition("=")[0], known: takes}
        assert "catalogue" not in said.json["next"]
    assert await plane.desks.kinds() == ["denied"]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/v1/keys/", 404),
        ("GET", "/v1/whoami/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/key", 404),
        ("GET", "/V1/keys", 404),
        ("DELETE", "/v1/keys/a/b", 404),
        ("GET", "/schema", 404),
        ("GET", "/schema/openapi.yaml", 404),
        ("GET", "/v1/keys/key_1", 405),
        ("PUT", "/v1/keys", 405),
        ("PATCH", "/v1/whoami", 405),
        ("HEAD", "/v1/keys/key_1", 405),
        ("OPTIONS", "/v1/keys", 405),
        ("OPTIONS", "/v1/keys/key_1", 405),
        ("POST", "/healthz", 405),
        ("GET", "/healthz/", 404),
        ("POST", "/healthz/", 404),
        ("OPTIONS", "/healthz/", 404),
    ],
)
async def test_only_what_is_described_is_offered(plane: Plane, method: str, target: str, status: int) -> None:
    said = await plane.ask(method, target, await plane.desks.admin())
    assert said.status == status
    if method != "HEAD":
        assert said.problem == ("not-found" if status == 404 else "method-not-listed")


@pytest.mark.parametrize(
    ("target", "allow"),
    [
        ("/healthz", {"GET", "HEAD"}),
        ("/readyz", {"GET", "HEAD"}),
        ("/schema/openapi.json", {"GET", "HEAD"}),
        ("/v1/whoami", {"GET", "HEAD"}),
        ("/v1/keys", {"GET", "HEAD", "POST"}),
        ("/v1/keys/key_1", {"DELETE"}),
    ],
)
async def test_an_offer_that_is_refused_names_what_is_offered(
    plane: Plane, target: str, allow: set[str]
) -> None:
    for method in ("OPTIONS", "PUT"):
        said = await plane.ask(method, target)
        assert (said.status, set(said.headers["allow"].split(", "))) == (405, allow)


@pytest.mark.parametrize("target", ["/v1/whoami", "/v1/keys?limit=1"])
async def test_head_is_decided_on_and_recorded_as_get_is(plane: Plane, target: str) -> None:
    admin = await plane.desks.admin()
    for method in ("GET", "HEAD"):
        said = await plane.ask(method, target, admin)
        assert said.status == 200
        assert "audit-ref" in said.headers
        assert (await plane.ask(method, target)).status == 401
    one, other = await plane.desks.entries()
    assert (one["kind"], one["action"]) == (other["kind"], other["action"])


@pytest.mark.parametrize("target", ["/healthz", "/readyz", "/schema/openapi.json"])
async def test_what_is_read_without_a_credential_answers_head_as_get_and_takes_no_parameter(
    plane: Plane, target: str
) -> None:
    got, head = await plane.ask("GET", target), await plane.ask("HEAD", target)
    assert (head.status, head.headers["content-type"]) == (200, got.headers["content-type"])
    asked = await plane.ask("GET", f"{target}?x=1")
    assert (asked.status, asked.problem) == (400, "parameter-unknown")


async def test_a_purpose_that_is_not_held_is_refused(plane: Plane) -> None:
    admin = await plane.desks.admin(purposes=frozenset({"service"}))
    said = await plane.ask("GET", "/v1/keys", admin, headers={"gatehouse-purpose": "audit"})
    assert (said.status, said.problem) == (403, "purpose-not-held")


async def test_paging_gives_each_key_once(plane: Plane) -> None:
    admin = await plane.desks.admin()
    for _ in range(4):
        await plane.desks.issue(admin)
    seen: list[str] = []
    target: str | None = "/v1/keys?limit=2"
    while target is not None:
        page = (await plane.ask("GET", target, admin)).json
        seen += [item["id"] for item in page["items"]]
        target = page["next"] and f"/v1/keys?limit=2&after={page['next']}"
    assert len(seen) == 5
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_change_here_has_no_idempotency_key_and_says_so(plane: Plane, method: str) -> None:
    admin = await plane.desks.admin()
    before = await plane.desks.kinds()
    target = "/v1/keys" if method == "POST" else "/v1/keys/key_00000000000000000000000000"
    body = WANTED if method == "POST" else None
    said = await plane.ask(method, target, admin, body, {"idempotency-key": "k1"})
    assert (said.status, said.problem) == (400, "header-malformed")
    assert said.json["params"] == {"header": "idempotency-key"}
    assert await plane.desks.kinds() == before
    assert (await plane.ask("GET", "/v1/whoami", admin, None, {"idempotency-key": "k1"})).status == 200
