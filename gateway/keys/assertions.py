"""Ground: the key that signs what upstreams are told, and how a person is named there. No I/O."""

from __future__ import annotations

import base64
from typing import Final

from gateway.keys.keyring import Keyring
from gateway.keys.labels import Label
from gateway.keys.signing import SigningKey
from gateway.words.json import JsonObject

PSEUDONYM_BYTES: Final = 16


class AssertionKey(SigningKey):
    """One installation's signing key: derived from the root secret, so every process with that key file has the same."""

    __slots__ = ("_keyring",)

    def __init__(self, keyring: Keyring) -> None:
        super().__init__(keyring.derive(Label.ASSERTION_KEY))
        self._keyring = keyring

    def person(self, upstream: str, person: str) -> str:
        """Gives a person's name for one upstream: `per_` and 22 base64url characters; at another one it is another."""
        mac = self._keyring.mac(Label.ASSERTION_PERSON, upstream, person)
        return "per_" + base64.urlsafe_b64encode(mac[:PSEUDONYM_BYTES]).decode("ascii").rstrip("=")

    def jwks(self) -> JsonObject:
        """Gives the public half as a key set (RFC 7517)."""
        return {"keys": [self.jwk()]}
