"""The key of assertions: the same in every process with that root, named as RFC 7638 says, and nobody's secret in what is public."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc.jwk import OKPKey

from gateway.keys import AssertionKey, Keyring, Label
from gateway.keys.material import Kek, Material


def keyring(root: bytes = bytes(range(32))) -> Keyring:
    return Keyring(Material(root, (Kek(1, "2026-01-01T00:00:00Z", b"\x01" * 32),), "test"))


def test_every_process_with_that_root_has_the_same_key_and_another_root_another() -> None:
    one, two, other = AssertionKey(keyring()), AssertionKey(keyring()), AssertionKey(keyring(b"\x07" * 32))
    assert one.kid == two.kid != other.kid
    # Golden: upstreams keep this key; a change of the label or of the derivation would shut every one of them.
    assert (one.x, one.kid) == (
        "MFRYW0BSzi0iNrmqF3XeYibEoCdNMz9d7s9qAICMM5Q",
        "XbIG4WK7vn9ffMNMWSQbiWiYkTdIGj0GCTQCpKJGyKk",
    )


def test_its_name_is_the_thumbprint_that_another_library_gives() -> None:
    (public,) = AssertionKey(keyring()).jwks()["keys"]  # type: ignore[misc]
    assert OKPKey.import_key({k: public[k] for k in ("kty", "crv", "x")}).thumbprint() == public["kid"]


def test_what_is_public_is_the_public_half_alone_and_checks_what_was_signed() -> None:
    key = AssertionKey(keyring())
    (public,) = key.jwks()["keys"]  # type: ignore[misc]
    assert sorted(public) == ["alg", "crv", "kid", "kty", "use", "x"]
    seed = base64.urlsafe_b64encode(keyring().derive(Label.ASSERTION_KEY)).decode().rstrip("=")
    assert seed not in json.dumps(key.jwks()) + repr(key)
    x = base64.urlsafe_b64decode(public["x"] + "=")
    Ed25519PublicKey.from_public_bytes(x).verify(key.sign(b"data"), b"data")
