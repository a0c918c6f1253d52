"""The signed header and an adversary who has seen one that went through, and has the public keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from examples.verify_assertion import Once, Refused, check, keys_of
from gateway.keys import AssertionKey
from tests.app.asserted import Request, opened


def encoded(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def head_of(request: Request) -> dict[str, Any]:
    text = request.assertion.split(".")[0]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
    return found


def resigned(
    request: Request, key: Ed25519PrivateKey, head: dict[str, Any] | None = None, **claims: Any
) -> str:
    signed = f"{encoded(head or head_of(request))}.{encoded(request.claims | claims)}"
    return f"{signed}.{encoded(key.sign(signed.encode()))}"


async def test_what_was_seen_on_the_way_opens_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path, "assertion: true") as world:
        system, request = world.system, await world.read()
        other = request.target.replace(b"/customers/", b"/customers/x")
        assert await system.again(request, target=other) == 403
        assert await system.again(request, target=request.target + b"?all=1") == 403
        assert await system.again(request, method="DELETE") == 403
        assert await system.again(request, body=b'{"a":1}') == 403
        created = next(seen for seen in system.seen if seen.method == "POST")
        assert (
            await system.again(created, body=created.body.replace(b"branch:shanghai", b"branch:beijing1"))
            == 403
        )
        assert await system.again(request) == 403
        assert system.refused == ["another-target"] * 3 + ["another-body"] * 2 + ["replayed"]


async def test_within_its_minute_a_replay_is_found_only_by_who_remembers_and_after_it_by_everybody(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, "assertion: true") as world:
        request = await world.read()
        keys = keys_of(json.dumps(AssertionKey(world.house.keyring).jwks()))
        now = request.claims["iat"]

        def checked(at: float) -> Any:
            return check(
                request.assertion,
                keys=keys,
                issuer="gatehouse",
                audience="crm",
                method="GET",
                target=request.target,
                body=b"",
                now=at,
            )

        # What docs/upstreams.md says of the window: another process, with a memory of its own, takes it again.
        for process in (Once(), Once()):
            process.first(checked(now), now)
            with pytest.raises(Refused, match="replayed"):
                process.first(checked(now + 59), now + 59)
        checked(now + 64)
        for late in (now + 65, now + 3600, now - 6):
            with pytest.raises(Refused, match="expired"):
                checked(late)
        world.system.moved = 3600
        assert await world.system.again(request) == 403
        assert world.system.refused == ["expired"]


async def test_no_other_signature_counts(tmp_path: Path) -> None:
    async with opened(tmp_path, "assertion: true") as world:
        system, request = world.system, await world.read()
        head, payload, signature = request.assertion.split(".")
        public = keys_of(json.dumps(AssertionKey(world.house.keyring).jwks()))[head_of(request)["kid"]]
        secret = public.public_bytes_raw()
        mine = Ed25519PrivateKey.generate()
        hs256 = encoded(head_of(request) | {"alg": "HS256"})
        mac = hmac.new(secret, f"{hs256}.{payload}".encode(), hashlib.sha256).digest()
        none = encoded(head_of(request) | {"alg": "none"})
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": encoded(mine.public_key().public_bytes_raw())}
        forged = [
            (f"{none}.{payload}.", "algorithm"),
            (f"{none}.{payload}.{signature}", "algorithm"),
            (f"{hs256}.{payload}.{encoded(mac)}", "algorithm"),
            (resigned(request, mine), "signature"),
            (resigned(request, mine, head_of(request) | {"kid": "mine"}), "key-unknown"),
            (resigned(request, mine, head_of(request) | {"jwk": jwk}), "malformed"),
            (resigned(request, mine, head_of(request) | {"crit": ["exp"]}), "malformed"),
            (f"{head}.{encoded(request.claims | {'sub': 'app:admin'})}.{signature}", "signature"),
            (f"{head}.{payload}.{encoded(bytes(63))}", "signature"),
            (f"{head}.{payload}.{signature}=", "malformed"),
            (f"{head}.{payload}", "malformed"),
            (f"{head}.{payload}.{signature}.", "malformed"),
            ("a.b.c", "malformed"),
            ("x" * 5000, "malformed"),
        ]
        for assertion, _ in forged:
            assert await system.again(request, assertion=assertion) == 403
        assert system.refused == [reason for _, reason in forged]


@pytest.fixture
def own() -> Callable[..., Any]:
    """The verifier, with a key of which the test has the private half: checks these claims."""
    key = Ed25519PrivateKey.generate()
    x = encoded(key.public_key().public_bytes_raw())
    keys = keys_of(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]}))

    def checked(**claims: Any) -> Any:
        good = {
            "iss": "gatehouse",
            "aud": "crm",
            "iat": 1000,
            "exp": 1060,
            "jti": "say_1",
            "sub": "app:a",
            "action": "customer:read",
            "target": encoded(hashlib.sha256(b"GET /a").digest()),
            "body": encoded(hashlib.sha256(b"").digest()),
        }
        whole = {name: value for name, value in (good | claims).items() if value is not None}
        head = {"alg": "EdDSA", "kid": "k", "typ": "gatehouse-assertion+jwt"}
        signed = f"{encoded(head)}.{encoded(whole)}"
        return check(
            f"{signed}.{encoded(key.sign(signed.encode()))}",
            keys=keys,
            issuer="gatehouse",
            audience="crm",
            method="GET",
            target=b"/a",
            body=b"",
            now=1010,
        )

    return checked


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "erp"}, "for-another"),
        ({"aud": ["crm"]}, "for-another"),
        ({"iss": "other"}, "for-another"),
        ({"exp": 1000 + 86_400}, "times-malformed"),
        ({"exp": None}, "times-malformed"),
        ({"iat": True}, "times-malformed"),
        ({"iat": "1000"}, "times-malformed"),
        ({"iat": 1100, "exp": 1110}, "expired"),
        ({"target": None}, "another-target"),
        ({"target": "\ud800"}, "another-target"),
        ({"body": ""}, "another-body"),
        ({"sub": 7}, "claims-malformed"),
        ({"jti": None}, "claims-malformed"),
        ({"person": {}}, "claims-malformed"),
    ],
)
def test_a_good_signature_is_not_enough(own: Callable[..., Any], claims: dict[str, Any], reason: str) -> None:
    assert own().application == "app:a"
    with pytest.raises(Refused) as refused:
        own(**claims)
    assert refused.value.reason == reason


def test_a_full_memory_lets_nobody_in_rather_than_forget(
    own: Callable[..., Any],
) -> None:
    once = Once(capacity=2)
    for name in ("a", "b"):
        once.first(own(jti=name), 1010)
    with pytest.raises(Refused, match="too-many"):
        once.first(own(jti="c"), 1010)
    once.first(own(jti="c"), 1070)


@pytest.mark.parametrize(
    "keys",
    [
        '{"keys": []}',
        "[]",
        "null",
        "{}",
        '{"keys": {}}',
        '{"keys": null}',
        '{"keys": "OKP"}',
        '{"keys": [null]}',
        '{"keys": [["OKP", "Ed25519"]]}',
        "not JSON",
        "[" * 100_000,
        '{"keys": [{"kty": "RSA", "crv": "Ed25519"}]}',
        '{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k"}]}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": ["k"], "x": "AA"}]}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": 7}]}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "\u4f60"}]}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "", "d": "x"}]}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AA"}]}',
    ],
)
def test_a_key_set_is_public_ed25519_keys(keys: str) -> None:
    with pytest.raises(ValueError):
        keys_of(keys)
