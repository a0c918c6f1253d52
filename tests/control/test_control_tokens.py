"""/v1/clients, /oauth/token, /oauth/jwks and the discovery document, from the request's bytes to the answer's."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest

from gateway.control import create_control, shapes
from gateway.control.openapi import document
from gateway.control.tokens import ACCESS_TOKEN, EXCHANGE
from gateway.identity.demo import DemoIssuer
from tests.control.client import Client, Said
from tests.control.conftest import Plane
from tests.control.test_control_keys import WANTED
from tests.credentials.desk_house import NOW

FORM = {"content-type": "application/x-www-form-urlencoded"}
GRANT = "grant_type=client_credentials"


def basic(client: str, secret: str) -> dict[str, str]:
    pair = f"{quote(client, safe='')}:{quote(secret, safe='')}".encode()
    return {"authorization": "Basic " + base64.b64encode(pair).decode()}


async def issued(plane: Plane) -> tuple[str, str]:
    said = await plane.ask("POST", "/v1/clients", await plane.desks.admin(), WANTED)
    assert said.status == 201
    return said.json["client_id"], said.json["client_secret"]


async def ask(plane: Plane, form: str | dict[str, str], **headers: str) -> Said:
    body = form if isinstance(form, str) else urlencode(form)
    lines = FORM | {name.replace("_", "-"): value for name, value in headers.items()}
    return await plane.ask("POST", "/oauth/token", None, body.encode(), lines)


def refused(said: Said) -> tuple[int, str, dict[str, Any]]:
    """What a refusal says in OAuth's words, held to the published shape."""
    assert said.headers["content-type"] == "application/json"
    assert said.headers["cache-control"] == "no-store"
    told = msgspec.json.decode(said.body, type=shapes.GrantProblem, strict=True)
    described = document()["paths"]["/oauth/token"]["post"]["responses"][str(said.status)]
    assert described["content"]["application/json"]["schema"]["$ref"].endswith("/GrantProblem")
    return said.status, told.error, dict(told.params)


# ── the whole story ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_client_is_issued_gets_a_token_uses_it_and_is_revoked(plane: Plane) -> None:
    admin = await plane.desks.admin()
    made = await plane.ask("POST", "/v1/clients", admin, WANTED)
    client = made.json
    assert set(client) == {
        "client_id", "client_secret", "application", "roles", "purposes", "created", "expires"
    }  # fmt: skip
    assert made.headers["location"] == f"/v1/keys/{client['client_id']}"
    assert made.headers["cache-control"] == "no-store"

    said = await ask(plane, GRANT, **basic(client["client_id"], client["client_secret"]))
    assert (said.status, said.headers["content-type"]) == (200, "application/json")
    assert (said.headers["cache-control"], said.headers["pragma"]) == ("no-store", "no-cache")
    assert {name: value for name, value in said.json.items() if name != "access_token"} == {
        "expires_in": 900,
        "token_type": "Bearer",
    }
    token = said.json["access_token"]
    entry = (await plane.desks.entries())[-1]
    assert said.headers["audit-ref"].startswith(f"{entry['seq']}:")
    assert said.headers["gatehouse-request"] == entry["request"]

    who = await plane.ask("GET", "/v1/whoami", token)
    assert who.json["proven"] == [f"access-token:{client['client_id']}"]
    assert who.json["application"]["id"] == "app:desk"

    gone = await plane.ask("DELETE", f"/v1/keys/{client['client_id']}", admin)
    assert gone.status == 204
    assert (await plane.ask("GET", "/v1/whoami", token)).problem == "unidentified"
    again = await ask(plane, GRANT, **basic(client["client_id"], client["client_secret"]))
    assert refused(again) == (401, "invalid_client", {})
    assert again.headers["www-authenticate"].startswith("Basic")


async def test_another_secret(plane: Plane) -> None:
    client, secret = await issued(plane)
    admin = await plane.desks.admin()
    path = f"/v1/clients/{client}/secrets"
    said = await plane.ask("POST", path, admin, {"overlap_seconds": 60})
    assert (said.status, said.json["client_id"]) == (201, client)
    assert said.json["others_until"] == "2026-11-21T09:01:00.000000Z"
    for one in (secret, said.json["client_secret"]):
        assert (await ask(plane, GRANT, **basic(client, one))).status == 200
    last = await plane.ask("POST", path, admin, {"overlap_seconds": 0})
    assert refused(await ask(plane, GRANT, **basic(client, secret)))[:2] == (401, "invalid_client")
    assert (await ask(plane, GRANT, **basic(client, last.json["client_secret"]))).status == 200
    for body, problem in (
        ({"overlap_seconds": -1}, "value-refused"),
        ({"overlap_seconds": 1.5}, "value-refused"),
        ({"overlap_seconds": 2_592_001}, "value-refused"),
        ({}, "value-refused"),
        ({"overlap_seconds": 0, "secret": "hunter2"}, "member-unknown"),
    ):
        assert (await plane.ask("POST", path, admin, body)).problem == problem


async def test_a_token_for_a_person(plane: Plane, tmp_path: Path) -> None:
    client, secret = await issued(plane)
    person = DemoIssuer.open(tmp_path / "home").mint("li.wei", "app:desk", 10, now=NOW)
    form = {
        "grant_type": EXCHANGE,
        "subject_token": person,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "audience": "gatehouse",
        "resource": "https://gateway.example",
        "scope": "service",
    }
    said = await ask(plane, form, **basic(client, secret))
    assert (said.status, said.json["expires_in"], said.json["scope"]) == (200, 600, "service")
    assert said.json["issued_token_type"] == ACCESS_TOKEN
    exchanged = await plane.ask("GET", "/v1/whoami", said.json["access_token"])
    own = (await ask(plane, GRANT, **basic(client, secret))).json["access_token"]
    beside = await plane.ask("GET", "/v1/whoami", own, headers={"gatehouse-person": person})
    assert exchanged.json == beside.json
    assert exchanged.json["person"]["id"] == "person:https://id.demo.example#li.wei"
    both = await plane.ask(
        "GET", "/v1/whoami", said.json["access_token"], headers={"gatehouse-person": person}
    )
    assert both.problem == "person-unproven"


# ── how a client proves itself ───────────────────────────────────────────────────────────────────────────────────────


async def test_in_the_form_or_in_the_header_and_not_in_both(plane: Plane) -> None:
    client, secret = await issued(plane)
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    assert (await ask(plane, form)).status == 200
    assert (await ask(plane, f"{GRANT}&client_id={client}", **basic(client, secret))).status == 200
    assert refused(await ask(plane, form, **basic(client, secret)))[:2] == (400, "invalid_request")
    assert refused(await ask(plane, f"{GRANT}&client_id=x", **basic(client, secret))) == (
        400, "invalid_request", {"parameter": "client_id"}
    )  # fmt: skip


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic bm9jb2xvbg==",
        "Basic Og==",
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic " + base64.b64encode(b"a%zz:b").decode(),
        "Basic " + base64.b64encode(b"a b:c").decode(),
        "Basic " + base64.b64encode(b"a%00:c").decode(),
        "Bearer x",
        "Digest x",
    ],
)
async def test_a_header_that_proves_nothing_is_one_refusal(plane: Plane, header: str) -> None:
    assert refused(await ask(plane, GRANT, authorization=header)) == (401, "invalid_client", {})
    assert plane.desks.identity.strangers.take() == {"no-credential": 1}


async def test_unknown_wrong_and_ended_are_told_alike(plane: Plane) -> None:
    client, secret = await issued(plane)
    wrong = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    said = [
        await ask(plane, GRANT, **basic(client, wrong)),
        await ask(plane, GRANT, **basic("key_" + "0" * 26, secret)),
        await ask(plane, GRANT, **basic("nobody", "x")),
        await ask(plane, GRANT),
    ]
    assert {refused(one)[:2] for one in said} == {(401, "invalid_client")}
    bodies = [{**one.json, "request": ""} for one in said]
    assert all(body == bodies[0] for body in bodies)
    assert [{**one.headers, "gatehouse-request": ""} for one in said].count(
        {**said[0].headers, "gatehouse-request": ""}
    ) == len(said)


async def test_who_guesses_is_told_when_to_come_again_and_the_client_is_served(plane: Plane) -> None:
    client, secret = await issued(plane)
    told = [await ask(plane, GRANT, **basic(client, f"guess-{n}")) for n in range(12)]
    assert [one.status for one in told] == [401] * 10 + [429] * 2
    assert (told[-1].problem, int(told[-1].headers["retry-after"])) == ("too-many", 7)
    assert (await ask(plane, GRANT, **basic(client, secret))).status == 200


async def test_a_flood_of_strangers_and_the_clients_that_start_in_the_middle_of_it(plane: Plane) -> None:
    """All at once and from one address: guesses of the right shape, forms without a client, and clients that never came before."""
    clients = [await issued(plane) for _ in range(2)]

    async def coming(client: str, secret: str) -> list[int]:
        """As a client library does: told to come again, it does."""
        said = []
        for _ in range(200):
            said.append((await ask(plane, GRANT, **basic(client, secret))).status)
            if said[-1] != 429:
                break
            await asyncio.sleep(0.01)
        return said

    async def guessing(n: int) -> int:
        client, secret = clients[n % 2]
        guess = secret[:31] + secret[31:74][::-1].replace("A", "B")[:42] + "A" + secret[74:]
        return (await ask(plane, GRANT, **basic(client, guess if n % 3 else f"guess-{n}"))).status

    flood = asyncio.gather(*(guessing(n) for n in range(300)))
    told = await asyncio.gather(*(coming(*client) for client in clients))
    assert [said[-1] for said in told] == [200, 200]
    assert set(await flood) == {401, 429}
    entries = await plane.desks.entries()
    assert [e["action"] for e in entries].count("token:issue") == 2
    assert [e["kind"] for e in entries].count("denied") == 0


# ── the form ─────────────────────────────────────────────────────────────────────────────────────────────────────────

PERSON = "subject_token=x&subject_token_type=" + quote(ACCESS_TOKEN, safe="")
FORMS = {
    "nothing": ("", "invalid_request", "grant_type"),
    "no grant": ("scope=service", "invalid_request", "grant_type"),
    "a grant without a value": ("grant_type=", "invalid_request", "grant_type"),
    "a grant that there is not": ("grant_type=password", "unsupported_grant_type", "grant_type"),
    "in capitals": ("grant_type=CLIENT_CREDENTIALS", "unsupported_grant_type", "grant_type"),
    "twice": (f"{GRANT}&{GRANT}", "invalid_request", "grant_type"),
    "twice, once encoded": (f"{GRANT}&grant%5Ftype=password", "invalid_request", "grant_type"),
    "twice, once empty": (f"{GRANT}&scope=&scope=service", "invalid_request", "scope"),
    "not a parameter of ours": (f"{GRANT}&scop=service", "invalid_request", None),
    "no equals sign": (f"{GRANT}&scope", "invalid_request", None),
    "an empty pair": (f"{GRANT}&", "invalid_request", None),
    "a semicolon for an ampersand": (f"{GRANT};scope", "invalid_request", None),
    "an equals sign in a value": (f"{GRANT}&scope=a=b", "invalid_request", None),
    "half a triplet": (f"{GRANT}&scope=%4", "invalid_request", None),
    "no UTF-8": (f"{GRANT}&scope=%ff", "invalid_request", None),
    "a line end": (f"{GRANT}&scope=a%0ab", "invalid_request", None),
    "a null": (f"{GRANT}&scope=%00", "invalid_request", None),
    "raw UTF-8": (f"{GRANT}&scope=龙", "invalid_request", None),
    "a purpose that is not held": (f"{GRANT}&scope=service+audit", "invalid_scope", "scope"),
    "a purpose twice": (f"{GRANT}&scope=service+service", "invalid_scope", "scope"),
    "two spaces": (f"{GRANT}&scope=service++audit", "invalid_scope", "scope"),
    "another audience": (f"{GRANT}&audience=crm", "invalid_target", "audience"),
    "another resource": (f"{GRANT}&resource=https://crm.example", "invalid_target", "resource"),
    "a person beside credentials": (f"{GRANT}&subject_token=x", "invalid_request", "subject_token"),
    "an exchange of nothing": (f"grant_type={EXCHANGE}", "invalid_request", "subject_token_type"),
    "an exchange without a token": (
        f"grant_type={EXCHANGE}&subject_token_type={ACCESS_TOKEN}",
        "invalid_request",
        "subject_token",
    ),
    "a SAML assertion": (
        f"grant_type={EXCHANGE}&subject_token=x&subject_token_type=urn:ietf:params:oauth:token-type:saml2",
        "invalid_request",
        "subject_token_type",
    ),
    "for a refresh token": (
        f"grant_type={EXCHANGE}&{PERSON}&requested_token_type=urn:ietf:params:oauth:token-type:refresh_token",
        "invalid_request",
        "requested_token_type",
    ),
    "with another actor": (
        f"grant_type={EXCHANGE}&{PERSON}&actor_token=y",
        "invalid_request",
        "actor_token",
    ),
    "a person that is not proven": (f"grant_type={EXCHANGE}&{PERSON}", "invalid_request", "subject_token"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
async def test_a_form_that_cannot_be_granted_says_which_parameter(plane: Plane, name: str) -> None:
    client, secret = await issued(plane)
    form, error, parameter = FORMS[name]
    told = refused(await ask(plane, form, **basic(client, secret)))
    assert told == (400, error, {} if parameter is None else {"parameter": parameter})


async def test_other_bodies_are_problems(plane: Plane) -> None:
    client, secret = await issued(plane)
    for body, media, status, problem in (
        (b'{"grant_type":"client_credentials"}', "application/json", 415, "media-type"),
        (GRANT.encode(), "text/plain", 415, "media-type"),
        (GRANT.encode(), "application/x-www-form-urlencoded; charset=latin1", 415, "media-type"),
        (b"scope=" + b"a" * 16_384, "application/x-www-form-urlencoded", 413, "body-too-large"),
    ):
        said = await plane.ask(
            "POST", "/oauth/token", None, body, {"content-type": media} | basic(client, secret)
        )
        assert (said.status, said.problem) == (status, problem)
    assert (await plane.ask("GET", "/oauth/token")).problem == "method-not-listed"
    assert (await plane.ask("POST", "/oauth/token?grant_type=x", None, GRANT.encode(), FORM)).problem == (
        "parameter-unknown"
    )


# ── what everybody may know ──────────────────────────────────────────────────────────────────────────────────────────


async def test_the_discovery_document_names_addresses_that_answer(plane: Plane) -> None:
    said = await plane.ask("GET", "/.well-known/oauth-authorization-server")
    assert (said.status, said.headers["content-type"]) == (200, "application/json")
    told = said.json
    assert told["issuer"] == "https://gateway.example"
    for name in ("token_endpoint", "jwks_uri"):
        path = told[name].removeprefix(told["issuer"])
        assert (await plane.ask("GET", path)).status in (200, 405)
    assert told["grant_types_supported"] == ["client_credentials", EXCHANGE]
    assert told["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post"]
    assert told["response_types_supported"] == []
    keys = await plane.ask("GET", told["jwks_uri"].removeprefix(told["issuer"]))
    assert keys.headers["content-type"] == "application/jwk-set+json"
    assert [set(key) for key in keys.json["keys"]] == [{"kty", "crv", "x", "kid", "use", "alg"}] * 3
    assert await plane.desks.entries() == []


async def test_where_no_address_is_known_there_is_no_token_endpoint(plane: Plane) -> None:
    admin = await plane.desks.admin()
    ask_ = Client.of(create_control(dataclasses.replace(plane.deps, tokens=None)))
    for method, path, body in (
        ("POST", "/oauth/token", GRANT.encode()),
        ("GET", "/oauth/jwks", None),
        ("GET", "/.well-known/oauth-authorization-server", None),
        ("POST", "/v1/clients", WANTED),
        ("POST", "/v1/clients/key_1/secrets", {"overlap_seconds": 0}),
    ):
        said = await ask_(method, path, admin, body, FORM if path == "/oauth/token" else None)
        assert (said.status, said.problem) == (404, "not-found")
    ask_.metrics.close()
    assert json.loads(json.dumps(document()))["paths"]["/oauth/token"]
