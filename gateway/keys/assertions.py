"""Ground: the key that signs what upstreams are told, and how a person is named there. No I/O.

Sources: Ed25519, RFC 8032 and RFC 8037; the key's name is its thumbprint, RFC 7638.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.keys.keyring import Keyring
from gateway.keys.labels import Label
from gateway.words.json import JsonObject

PSEUDONYM_BYTES: Final = 16


class AssertionKey:
    """One installation's signing key: derived from the root secret, so every process with that key file has the same."""

    __slots__ = ("_keyring", "_private", "kid", "x")

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._private = Ed25519PrivateKey.from_private_bytes(keyring.derive(Label.ASSERTION_KEY))
        self.x = _text(self._private.public_key().public_bytes_raw())
        # RFC 7638 section 3.2: the required members alone, in lexical order, without blanks.
        self.kid = _text(hashlib.sha256(b'{"crv":"Ed25519","kty":"OKP","x":"%b"}' % self.x.encode()).digest())

    def sign(self, data: bytes) -> bytes:
        """Gives the signature (64 bytes). The same data has the same one."""
        return self._private.sign(data)

    def person(self, upstream: str, person: str) -> str:
        """Gives a person's name for one upstream: `per_` and 22 base64url characters; at another one it is another."""
        mac = self._keyring.mac(Label.ASSERTION_PERSON, upstream, person)
        return "per_" + _text(mac[:PSEUDONYM_BYTES])

    def jwks(self) -> JsonObject:
        """Gives the public half as a key set (RFC 7517)."""
        key: JsonObject = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": self.x,
            "kid": self.kid,
            "use": "sig",
            "alg": "EdDSA",
        }
        return {"keys": [key]}

    def __repr__(self) -> str:
        return f"AssertionKey({self.kid})"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
