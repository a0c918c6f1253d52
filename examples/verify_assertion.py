"""Lets a system behind Gatehouse refuse whoever comes round it: checks the header `Gatehouse-Assertion` of each request.

One file to copy; needs Python 3.9 or later and `cryptography`, nothing of Gatehouse. What the claims mean, and what a valid
header does not prove, stands in Gatehouse's docs/upstreams.md. In short: call `check` with the request exactly as it arrived,
then `Once.first` so that no header counts twice; or put `Guard` around an ASGI application, which does both.

    keys = keys_of(Path("gatehouse-keys.json").read_text())     # gatehouse keys assertions, or GET /v1/assertion-keys
    application = Guard(application, keys=keys, issuer="gatehouse", audience="crm")
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEADER = "gatehouse-assertion"
TYPE = "gatehouse-assertion+jwt"
MAX_BYTES = 4096
MAX_SECONDS = 60
SKEW_SECONDS = 5
"""How far this machine's clock and the gateway's may be apart."""


class Refused(Exception):
    """The header does not hold for this request. `reason` is for your log, not for whoever sent it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Asserted:
    """What the gateway says. person: whom the application acts for, None where it acts for itself."""

    application: str
    person: str | None
    purpose: str | None
    action: str
    request: str | None
    id: str
    expires: int


def keys_of(jwks: str) -> dict[str, Ed25519PublicKey]:
    """Gives the public keys of a key set by their names. Raises ValueError for a set that holds none, or anything but Ed25519."""
    found = {}
    try:
        document = json.loads(jwks)
    except RecursionError:
        raise ValueError("no key set: too deep") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no key set: an object whose 'keys' is a list is needed")
    for key in listed:
        said = [key.get(name) for name in ("kty", "crv", "kid", "x")] if isinstance(key, dict) else []
        if said[:2] != ["OKP", "Ed25519"] or not all(isinstance(text, str) for text in said) or "d" in key:
            raise ValueError("a key set of public Ed25519 keys is needed, each with its 'kid'")
        found[said[2]] = Ed25519PublicKey.from_public_bytes(_decoded(said[3]))
    if not found:
        raise ValueError("the key set is empty")
    return found


def check(
    header: str,
    *,
    keys: dict[str, Ed25519PublicKey],
    issuer: str,
    audience: str,
    method: str,
    target: bytes,
    body: bytes,
    now: float | None = None,
) -> Asserted:
    """Gives what the gateway says of this request. Raises Refused, and nothing else.

    target: path and query exactly as they stood in the request line, not decoded; body: all of it, b"" where there is none.
    issuer: the gateway's GATEHOUSE_ASSERTION_ISSUER; audience: this system's name in its catalogue.
    """
    moment = time.time() if now is None else now
    claims = _claims(header, keys)
    if claims.get("iss") != issuer or claims.get("aud") != audience:
        raise Refused("for-another")
    issued, expires = claims.get("iat"), claims.get("exp")
    # bool is an int to Python and to nobody else.
    if type(issued) is not int or type(expires) is not int or not 0 < expires - issued <= MAX_SECONDS:
        raise Refused("times-malformed")
    if not issued - SKEW_SECONDS <= moment < expires + SKEW_SECONDS:
        raise Refused("expired")
    if not _same(claims.get("target"), method.encode() + b" " + target):
        raise Refused("another-target")
    if not _same(claims.get("body"), body):
        raise Refused("another-body")
    optional = [claims.get(name) for name in ("person", "purpose", "request")]
    needed = [claims.get(name) for name in ("sub", "action", "jti")]
    if not all(isinstance(text, str) for text in needed + [one for one in optional if one is not None]):
        raise Refused("claims-malformed")
    return Asserted(needed[0], optional[0], optional[1], needed[1], optional[2], needed[2], expires)


class Once:
    """Remembers which headers were used while they hold, for one process. Full, it lets nobody in rather than forget one."""

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._used: dict[str, float] = {}
        self._lock = threading.Lock()

    def first(self, said: Asserted, now: float | None = None) -> None:
        """Raises Refused for a header that was used before."""
        moment = time.time() if now is None else now
        with self._lock:
            if len(self._used) >= self._capacity:
                self._used = {id_: ends for id_, ends in self._used.items() if ends > moment}
                if len(self._used) >= self._capacity:
                    raise Refused("too-many")
            if said.id in self._used:
                raise Refused("replayed")
            self._used[said.id] = said.expires + SKEW_SECONDS


class Guard:
    """An ASGI application that answers 403 to whatever does not come through the gateway; scope["gatehouse"] is what that says."""

    def __init__(
        self,
        application: Any,
        *,
        keys: dict[str, Ed25519PublicKey],
        issuer: str,
        audience: str,
        max_body_bytes: int = 1_048_576,
        refused: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._application = application
        self._terms = {"keys": keys, "issuer": issuer, "audience": audience}
        self._max_body_bytes = max_body_bytes
        self._refused = refused
        self._now = now
        self._once = Once()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serves one request."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        try:
            if scope["type"] != "http":
                raise Refused("no-http")
            body = await self._body(receive)
            scope["gatehouse"] = self._said(scope, body)
        except Refused as error:
            self._refused(error.reason)
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Any:
            return messages.pop() if messages else await receive()

        await self._application(scope, again, send)

    def _said(self, scope: Any, body: bytes) -> Asserted:
        given = [value for name, value in scope["headers"] if name.lower() == HEADER.encode()]
        if len(given) != 1:
            raise Refused("no-header" if not given else "several-headers")
        query = scope.get("query_string") or b""
        target = scope["raw_path"] + (b"?" + query if query else b"")
        said = check(
            given[0].decode("latin-1"),
            method=scope["method"],
            target=target,
            body=body,
            now=self._now(),
            **self._terms,
        )
        self._once.first(said, self._now())
        return said

    async def _body(self, receive: Any) -> bytes:
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise Refused("left")
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                raise Refused("body-too-large")
            if not message.get("more_body", False):
                return body


def _claims(header: str, keys: dict[str, Ed25519PublicKey]) -> dict[str, Any]:
    parts = header.split(".")
    if len(header) > MAX_BYTES or len(parts) != 3:
        raise Refused("malformed")
    try:
        head, payload, signature = (_decoded(part) for part in parts)
        about = json.loads(head)
        if not isinstance(about, dict) or set(about) != {"alg", "kid", "typ"}:
            raise Refused("malformed")  # `crit`, `jku`, `jwk` and the like are nobody's here
        # One algorithm, by our choice and not by the header's.
        if about["alg"] != "EdDSA" or about["typ"] != TYPE:
            raise Refused("algorithm")
        key = keys.get(about["kid"]) if isinstance(about["kid"], str) else None
        if key is None:
            raise Refused("key-unknown")
        key.verify(signature, f"{parts[0]}.{parts[1]}".encode("ascii"))
        claims = json.loads(payload)
    except InvalidSignature:
        raise Refused("signature") from None
    except (ValueError, RecursionError):
        raise Refused("malformed") from None
    if not isinstance(claims, dict):
        raise Refused("malformed")
    return claims


def _same(said: object, data: bytes) -> bool:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return isinstance(said, str) and said.isascii() and hmac.compare_digest(said.encode(), digest)


def _decoded(text: str) -> bytes:
    """Gives the bytes of base64url without padding. Raises ValueError for any other spelling of the same bytes."""
    data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise ValueError("spelling")
    return data
