"""Step 7: what an upstream is told of who asks, signed, so that it can refuse whoever comes round the gateway.

A compact JWS (RFC 7515) of EdDSA about one request: it names method and target, and the body, by their digests, so that nobody
who sees it can ask anything else with it. Only for upstreams whose catalogue entry asks for it: a signature costs more than the
rest of sending. docs/upstreams.md says what each claim is; examples/verify_assertion.py checks it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from gateway.wire.json import dump
from gateway.words.access import Access, ResourceRef
from gateway.words.ids import new_id
from gateway.words.json import JsonObject
from gateway.words.resource import PersonSaid

HEADER: Final = "gatehouse-assertion"
TYPE: Final = "gatehouse-assertion+jwt"
LIFETIME_SECONDS: Final = 60
"""From the moment of signing; a connection may have to be made first."""
OURSELVES: Final = "system:gatehouse"


class Signing(Protocol):
    """The key of this installation. Fits keys.AssertionKey."""

    @property
    def kid(self) -> str:
        """The key's name in its key set."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Gives the signature (Ed25519)."""
        ...

    def person(self, upstream: str, person: str) -> str:
        """Gives a person's name for that upstream alone."""
        ...


@dataclass(frozen=True, slots=True)
class Asserting:
    """How this installation signs. issuer: what `iss` says."""

    key: Signing
    issuer: str
    now: Callable[[], datetime]


class Asserter:
    """Says who asks to one upstream."""

    __slots__ = ("_asserting", "_head", "_person", "_upstream")

    def __init__(self, asserting: Asserting, upstream: str, person: PersonSaid) -> None:
        self._asserting = asserting
        self._upstream = upstream
        self._person = person
        self._head = _text(dump({"alg": "EdDSA", "kid": asserting.key.kid, "typ": TYPE}))

    def header(
        self, by: Access | ResourceRef, method: str, target: bytes, body: bytes | None
    ) -> tuple[str, str]:
        """Gives the header for one request. by: whose request it serves, or the place that the gateway looks at for itself."""
        issued = int(self._asserting.now().timestamp())
        claims: JsonObject = {
            "iss": self._asserting.issuer,
            "aud": self._upstream,
            "iat": issued,
            "exp": issued + LIFETIME_SECONDS,
            "jti": new_id("say"),
            "target": digest(method.encode("ascii") + b" " + target),
            "body": digest(body or b""),
            **self._who(by),
        }
        signed = f"{self._head}.{_text(dump(claims))}"
        return HEADER, f"{signed}.{_text(self._asserting.key.sign(signed.encode('ascii')))}"

    def _who(self, by: Access | ResourceRef) -> JsonObject:
        if isinstance(by, ResourceRef):
            return {"sub": OURSELVES, "action": f"{by.resource}:read"}
        said: JsonObject = {"sub": by.principal.application.id, "action": by.action, "request": by.request}
        if by.purpose is not None:
            said["purpose"] = by.purpose
        person = by.principal.person
        if person is not None:
            named = self._person is PersonSaid.NAMED
            said["person"] = person.id if named else self._asserting.key.person(self._upstream, person.id)
        return said


def digest(data: bytes) -> str:
    """Gives SHA-256 as 43 base64url characters."""
    return _text(hashlib.sha256(data).digest())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
