"""A demo issuer: one Ed25519 key under the home folder, its public half as a key set, and tokens for invented persons.

For `gatehouse demo` and tests. Whoever can read the key file can be anybody, so it is 0600 and refused otherwise.
"""

from __future__ import annotations

import base64
import os
import stat
from datetime import datetime
from pathlib import Path

from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from gateway.identity.issuers import Issuer
from gateway.identity.token import MAX_AGE
from gateway.wire.json import dump
from gateway.words.errors import Misconfigured
from gateway.words.ids import new_id
from gateway.words.json import JsonObject

ISSUER = "https://id.demo.example"
APPLICATIONS = "app:demo-"
"""How the names of the demonstration's applications begin, and of no other: by it `run` knows its keys again."""
KEY_FILE = "demo-issuer.pem"
JWKS_FILE = "demo-issuer.jwks.json"


class DemoIssuer:
    """Mints person tokens that the gateway accepts when `terms()` is among its issuers."""

    def __init__(self, key: OKPKey, jwks: Path, audience: str) -> None:
        self._key = key
        self._jwks = jwks
        self._audience = audience

    @classmethod
    def open(cls, home: Path, audience: str = "gatehouse") -> DemoIssuer:
        """Gives the issuer of that home folder, made on first use. Raises Misconfigured for a key file that others may read."""
        path = home / KEY_FILE
        if not path.exists():
            _write(path, OKPKey.generate_key("Ed25519").as_pem(private=True), 0o600)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise Misconfigured(f"{KEY_FILE} is open to others ({mode:04o}): chmod 600 it, or delete it")
        issuer = cls(OKPKey.import_key(path.read_bytes()), home / JWKS_FILE, audience)
        public: JsonObject = {
            name: str(issuer._key.as_dict(private=False)[name]) for name in ("kty", "crv", "x")
        }
        public |= {"kid": issuer._key.thumbprint(), "use": "sig", "alg": "EdDSA"}
        _write(issuer._jwks, dump({"keys": [public]}), 0o644)
        return issuer

    def terms(self) -> Issuer:
        """Gives what settings would say of this issuer."""
        return Issuer(ISSUER, self._jwks, self._audience, frozenset({"EdDSA"}))

    def mint(self, subject: str, application: str, minutes: int, *, now: datetime) -> str:
        """Gives a token with which `application` (`app:…`) acts for the person `subject`, for at most 15 minutes."""
        issued = int(now.timestamp())
        claims: JsonObject = {
            "iss": ISSUER,
            "sub": subject,
            "aud": self._audience,
            "azp": application.removeprefix("app:"),
            "iat": issued,
            "exp": issued + min(minutes * 60, int(MAX_AGE.total_seconds())),
            "jti": new_id("tok"),
        }
        header: JsonObject = {"alg": "EdDSA", "kid": self._key.thumbprint(), "typ": "JWT"}
        signed = _segment(dump(header)) + b"." + _segment(dump(claims))
        signature = JWSRegistry.algorithms["Ed25519"].sign(signed, self._key)
        return (signed + b"." + _segment(signature)).decode("ascii")


def _segment(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _write(path: Path, data: bytes, mode: int) -> None:
    """Writes whole or not at all: a half-written key would be refused at every later start."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    beside.replace(path)
