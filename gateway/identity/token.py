"""Step 2 of the request path, a person's token as text (JWS compact, RFC 7515): taken apart and judged. Pure; no key, no clock.

Signatures are joserfc's affair; what a token may look like is ours, closed: header members beyond the five below (`crit`,
`jku`, `jwk`, `x5u`, `x5c`, `b64` …) refuse it, so no key can come in with the token and no extension can change its meaning.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from gateway.identity.issuers import ALGORITHMS, Issuer
from gateway.identity.strangers import Stranger, Unproven
from gateway.wire.json import parse
from gateway.words.errors import Refused

MAX_TOKEN_CHARS = 8 * 1024
MAX_AGE = timedelta(minutes=15)
LEEWAY = timedelta(seconds=30)
"""How far an issuer's clock may be ahead of ours (`iat`, `nbf`). `exp` and the age get none."""

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_HEADER = frozenset(
    {"alg", "kid", "typ", "x5t", "x5t#S256"}
)  # the thumbprints only hint at a key; kid finds it
_SUBJECT = re.compile(r"[A-Za-z0-9._~@|:+=/-]{1,128}", re.ASCII)
_MAX_KID_CHARS = 256


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A token taken apart; nothing in it is believed yet."""

    algorithm: str
    kid: str
    type: str
    issuer: str
    claims: Mapping[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Holds:
    """What a verified token says. issued, expires: seconds since 1970."""

    subject: str
    issued: float
    expires: float


def unpack(token: str) -> Unpacked:
    """Gives the token's members. Raises Unproven (TOKEN_MALFORMED, TOKEN_HEADER), and nothing else."""
    segments = token.split(".") if len(token) <= MAX_TOKEN_CHARS else []
    if len(segments) != 3:
        raise Unproven(Stranger.TOKEN_MALFORMED)
    header, claims = members(segments[0]), members(segments[1])
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not header.keys() <= _HEADER or not all(isinstance(v, str) and v for v in header.values()):
        raise Unproven(Stranger.TOKEN_HEADER)
    if algorithm is None or kid is None or kind is None or len(kid) > _MAX_KID_CHARS:
        raise Unproven(Stranger.TOKEN_HEADER)
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        raise Unproven(Stranger.ISSUER_UNKNOWN)
    # RFC 7515 section 4.1.9: `application/` may be left out, and case does not count.
    kind = kind.lower().removeprefix("application/")
    signed = f"{segments[0]}.{segments[1]}".encode("ascii")
    return Unpacked(algorithm, kid, kind, issuer, claims, signed, decode(segments[2]))


def check_terms(token: Unpacked, issuer: Issuer) -> None:
    """Holds the header to what is pinned for the issuer. Raises Unproven."""
    if token.type not in issuer.types:
        raise Unproven(Stranger.TOKEN_HEADER)
    if token.algorithm not in issuer.algorithms or token.algorithm not in ALGORITHMS:
        raise Unproven(Stranger.ALGORITHM_REFUSED)


def check_claims(token: Unpacked, issuer: Issuer, application: str, now: float) -> Holds:
    """Gives what a token of that issuer says, its signature already verified, shown by `application` at `now` (seconds).

    Raises Unproven: not for this gateway, not for this application, not yet, no more, too old, a subject we cannot name.
    """
    claims = token.claims
    if issuer.audience not in _audiences(claims.get("aud")):
        raise Unproven(Stranger.AUDIENCE_OTHER)
    if _issued_for(claims, issuer) != application:
        raise Unproven(Stranger.APPLICATION_OTHER)
    issued, expires = _seconds(claims, "iat"), _seconds(claims, "exp")
    begins = _seconds(claims, "nbf") if "nbf" in claims else issued
    ahead = now + LEEWAY.total_seconds()
    if expires <= now or begins > ahead or issued > ahead:
        raise Unproven(Stranger.TOKEN_TIMES)
    if now - issued > MAX_AGE.total_seconds():
        raise Unproven(Stranger.TOKEN_OLD)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise Unproven(Stranger.SUBJECT_REFUSED)
    return Holds(subject, issued, expires)


def _issued_for(claims: Mapping[str, Any], issuer: Issuer) -> str | None:
    """Gives the application that the token was issued for, None where it does not say so in one way.

    RFC 8693 section 4.1: where `act` is there, its own `sub` is who acts now, and actors nested in it count for nothing.
    Else `azp` (OpenID Connect Core section 2) or `client_id` (RFC 9068 section 2.2), which must agree where both are there.
    """
    if "act" in claims:
        actor = claims["act"]
        name = actor.get("sub") if isinstance(actor, dict) else None
        names = {name} if isinstance(name, str) else set()
    else:
        names = {claims[name] for name in ("azp", "client_id") if isinstance(claims.get(name), str)}
        if any(name in claims and not isinstance(claims[name], str) for name in ("azp", "client_id")):
            return None
    if len(names) != 1:
        return None
    return issuer.application_of(*names)


def _audiences(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unproven(Stranger.TOKEN_TIMES)
    return float(value)


def members(segment: str) -> dict[str, Any]:
    """Gives the JSON object that a segment spells. Raises Unproven(TOKEN_MALFORMED)."""
    try:
        value = parse(decode(segment))
    except Refused:
        raise Unproven(Stranger.TOKEN_MALFORMED) from None
    if not isinstance(value, dict):
        raise Unproven(Stranger.TOKEN_MALFORMED)
    return cast(dict[str, Any], value)


def decode(segment: str) -> bytes:
    """Gives what a segment spells: unpadded base64url in its one spelling, since spare bits that are not zero would give one token many
    texts. Raises Unproven(TOKEN_MALFORMED)."""
    if not _SEGMENT.fullmatch(segment):
        raise Unproven(Stranger.TOKEN_MALFORMED)
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise Unproven(Stranger.TOKEN_MALFORMED) from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != segment.encode("ascii"):
        raise Unproven(Stranger.TOKEN_MALFORMED)
    return data
