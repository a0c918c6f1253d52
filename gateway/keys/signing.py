"""Ground: Ed25519 keys that sign what others check, and those of access tokens, one a day. No I/O, no clock.

Sources: Ed25519, RFC 8032 and RFC 8037; a key's name is its thumbprint, RFC 7638; key sets, RFC 7517.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.keys.keyring import Keyring
from gateway.keys.labels import Label
from gateway.words.json import JsonObject

PERIOD: Final = timedelta(days=1)
"""How long one key signs access tokens."""


class SigningKey:
    """One key pair, made of 32 bytes: the same bytes give the same pair."""

    __slots__ = ("_private", "kid", "x")

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.x = _text(self._private.public_key().public_bytes_raw())
        # RFC 7638 section 3.2: the required members alone, in lexical order, without blanks.
        self.kid = _text(hashlib.sha256(b'{"crv":"Ed25519","kty":"OKP","x":"%b"}' % self.x.encode()).digest())

    def sign(self, data: bytes) -> bytes:
        """Gives the signature (64 bytes). The same data has the same one."""
        return self._private.sign(data)

    def signed(self, data: bytes, signature: bytes) -> bool:
        """Tells whether this key made the signature of that data, by making it again: there is one (RFC 8032 section 5.1.6), and to
        verify it would take three times as long, which whoever shows forged ones would cause."""
        return hmac.compare_digest(self.sign(data), signature)

    def jwk(self) -> JsonObject:
        """Gives the public half (RFC 7517 section 4)."""
        return {"kty": "OKP", "crv": "Ed25519", "x": self.x, "kid": self.kid, "use": "sig", "alg": "EdDSA"}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kid})"


class TokenKeys:
    """The keys of access tokens: each signs what is issued within its period, and nothing else.

    They are derived from the root secret and the period's number, so that every process with that key file has the same ones without
    a word between them, and a key that got out signs nothing that is taken after its day.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._keys: dict[int, SigningKey] = {}

    def at(self, moment: datetime) -> SigningKey:
        """Gives the one key that signs what is issued at that moment."""
        return self._key(_period(moment))

    def near(self, now: datetime) -> tuple[SigningKey, ...]:
        """Gives the key of now, the one before it (what it signed may still hold) and the next."""
        here = _period(now)
        return tuple(self._key(number) for number in (here, here - 1, here + 1))

    def jwks(self, now: datetime) -> JsonObject:
        """Gives the key set of these three: who keeps a set for some hours has the next key before it is used."""
        return {"keys": [key.jwk() for key in self.near(now)]}

    def _key(self, number: int) -> SigningKey:
        key = self._keys.get(number)
        if key is None:
            self._keys = {n: k for n, k in self._keys.items() if abs(n - number) <= 2}
            seed = self._keyring.mac(Label.TOKEN_KEY, number.to_bytes(8, "big", signed=True))
            key = self._keys[number] = SigningKey(seed)
        return key


def _period(moment: datetime) -> int:
    return int(moment.timestamp() // PERIOD.total_seconds())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
