"""Step 2 of the request path, our own access tokens: made at the token endpoint, shown in the place of an API key.

A token says which client it was given to, by which secret, and for which person. What the client may do it does not say: roles,
purposes, end and revocation are its key's row at each use, so a token is never good for more than the key would be. Only the form
(RFC 9068, `at+jwt`, EdDSA) is everybody's; nobody but this gateway is meant to act on it.
"""

from __future__ import annotations

import base64
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

import msgspec

from gateway.identity.persons import Proven
from gateway.identity.strangers import Stranger, Unproven
from gateway.identity.token import LEEWAY, MAX_AGE, decode, members
from gateway.keys.signing import SigningKey, TokenKeys
from gateway.wire.json import dump
from gateway.words.ids import new_id
from gateway.words.json import JsonObject
from gateway.words.principal import Party

TYPE: Final = "at+jwt"  # RFC 9068 section 2.1
ALGORITHM: Final = "EdDSA"
MAX_CHARS: Final = 4 * 1024
"""No text longer than this is looked at: with 20 purposes, a person and addresses of 150 characters each a token has 3,500."""
MAX_REMEMBERED: Final = 10_000
_SIGNATURE_CHARS: Final = 86  # 64 bytes
_SCHEME: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Terms:
    """What our tokens say of themselves. issuer: our own address. audience: our name there. lifetime: 15 minutes at most."""

    issuer: str
    audience: str
    lifetime: timedelta = MAX_AGE


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token: its text, `jti`, and how long it is good for. The repr shows nothing of the text."""

    text: str
    id: str
    seconds: int

    def __repr__(self) -> str:
        return f"Minted({self.id}, {self.seconds} s)"


@dataclass(frozen=True, slots=True)
class Said:
    """What a verified token says. purposes: those it is limited to, None where it is not. ends: seconds since 1970."""

    id: str
    client: str
    secret: str
    application: str
    purposes: frozenset[str] | None
    person: Proven | None
    ends: float


class _Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """RFC 8693 section 4.1: who acts."""

    sub: str


class _Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the person was proven: the algorithm and key of the token that was exchanged, and whose."""

    how: str
    issuer: str
    kid: str


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every claim that we write."""

    iss: str
    aud: str
    sub: str
    client_id: str
    jti: str
    iat: int
    exp: int
    secret: str
    scope: str | None = None
    act: _Act | None = None
    person: _Person | None = None


def shown(authorization: Sequence[str]) -> str | None:
    """Gives the text of a token in the Authorization header's values, None where they hold anything else: keys have no dot."""
    if len(authorization) != 1 or "." not in authorization[0]:
        return None
    value = authorization[0]
    return value[len(_SCHEME) :] if value[: len(_SCHEME)].lower() == _SCHEME else None


class AccessTokens:
    """Makes tokens, and reads them again. Verified ones are remembered until they end. Used on the event loop."""

    def __init__(self, keys: TokenKeys, terms: Terms) -> None:
        self._keys = keys
        self._terms = terms
        self._salt = os.urandom(32)
        self._remembered: OrderedDict[bytes, tuple[Said, int]] = OrderedDict()
        self._heads: tuple[SigningKey | None, dict[str, SigningKey]] = None, {}

    @property
    def issuer(self) -> str:
        """What `iss` says."""
        return self._terms.issuer

    def mint(
        self,
        *,
        client: str,
        secret: str,
        application: str,
        purposes: frozenset[str] | None,
        person: Proven | None,
        now: datetime,
    ) -> Minted:
        """Gives a token, good for the lifetime, or for as long as the person's token that stands behind it where that is less."""
        issued = int(now.timestamp())
        ends = issued + int(self._terms.lifetime.total_seconds())
        claims: JsonObject = {
            "iss": self._terms.issuer,
            "aud": self._terms.audience,
            "sub": application,
            "client_id": client,
            "jti": new_id("tok"),
            "iat": issued,
            "secret": secret,
        }
        if purposes is not None:
            claims["scope"] = " ".join(sorted(purposes))
        if person is not None:
            ends = min(ends, int(person.until))
            claims |= {
                "sub": person.party.id,
                "act": {"sub": application},
                "person": {"how": person.how, "issuer": person.issuer, "kid": person.kid},
            }
        claims["exp"] = ends
        key = self._keys.at(now)
        signed = f"{_head(key)}.{_segment(dump(claims))}"
        text = f"{signed}.{_segment(key.sign(signed.encode('ascii')))}"
        if len(text) > MAX_CHARS:
            raise AssertionError("a token that is longer than any that is taken")
        return Minted(text, str(claims["jti"]), ends - issued)

    def known(self, text: str, now: datetime, generation: int) -> Said | None:
        """Gives what a token says that was verified before, None where it must be looked at (again).

        generation: counts how often the keys of persons' issuers changed; a token that carries a person is believed within one.
        """
        found = self._remembered.get(self._mark(text)) if len(text) <= MAX_CHARS else None
        if found is None or now.timestamp() >= found[0].ends:
            return None
        return found[0] if found[0].person is None or found[1] == generation else None

    def remember(self, text: str, said: Said, generation: int) -> None:
        """Keeps what a verified token says; generation: as it was before it was verified."""
        self._remembered[self._mark(text)] = (said, generation)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    def verify(self, text: str, now: datetime) -> Said:
        """Gives what a token of ours says. Raises Unproven (ACCESS_REFUSED, ACCESS_ENDED), and nothing else.

        The cheap comes first, since strangers may send what they like: length, our one spelling of the header, the signature. What we
        did not sign is not read.
        """
        try:
            key, claims = self._signed(text, now)
        except Unproven:
            raise Unproven(Stranger.ACCESS_REFUSED) from None
        if (claims.act is None) != (claims.person is None):
            raise Unproven(Stranger.ACCESS_REFUSED)
        if (claims.iss, claims.aud) != (self._terms.issuer, self._terms.audience):
            raise Unproven(Stranger.ACCESS_REFUSED)
        seconds = now.timestamp()
        if claims.iat > seconds + LEEWAY.total_seconds() or claims.exp - claims.iat > MAX_AGE.total_seconds():
            raise Unproven(Stranger.ACCESS_REFUSED)
        if seconds >= claims.exp or seconds - claims.iat > MAX_AGE.total_seconds():
            raise Unproven(Stranger.ACCESS_ENDED)
        # The moment chooses the key: one that got out signs nothing that is taken after its day.
        if key.kid != self._keys.at(datetime.fromtimestamp(claims.iat, UTC)).kid:
            raise Unproven(Stranger.ACCESS_REFUSED)
        return _said(claims)

    def jwks(self, now: datetime) -> JsonObject:
        """Gives the public keys (RFC 7517)."""
        return self._keys.jwks(now)

    def _signed(self, text: str, now: datetime) -> tuple[SigningKey, _Claims]:
        """Gives what a key of ours signed, and which. Raises Unproven."""
        parts = text.split(".") if len(text) <= MAX_CHARS and text.isascii() else []
        if len(parts) != 3 or len(parts[2]) != _SIGNATURE_CHARS:
            raise Unproven(Stranger.ACCESS_REFUSED)
        today = self._keys.at(now)
        if self._heads[0] is not today:
            self._heads = today, {_head(key): key for key in self._keys.near(now)}
        key = self._heads[1].get(parts[0])
        if key is None or not key.signed(f"{parts[0]}.{parts[1]}".encode("ascii"), decode(parts[2])):
            raise Unproven(Stranger.ACCESS_REFUSED)
        return key, _claims(members(parts[1]))

    def _mark(self, text: str) -> bytes:
        return blake2b(text.encode("utf-8", "surrogatepass"), key=self._salt).digest()


def _claims(claims: Any) -> _Claims:
    try:
        return msgspec.convert(dict(claims), _Claims, strict=True)
    except msgspec.ValidationError:
        raise Unproven(Stranger.ACCESS_REFUSED) from None


def _said(claims: _Claims) -> Said:
    person, application = None, claims.sub
    if claims.person is not None and claims.act is not None:
        about, application = claims.person, claims.act.sub
        person = Proven(Party(claims.sub), about.how, float(claims.exp), about.issuer, about.kid)
    purposes = None if claims.scope is None else frozenset(claims.scope.split())
    return Said(claims.jti, claims.client_id, claims.secret, application, purposes, person, float(claims.exp))


def _head(key: SigningKey) -> str:
    """Gives the first segment of every token that a key signs."""
    header: JsonObject = {"alg": ALGORITHM, "kid": key.kid, "typ": TYPE}
    return _segment(dump(header))


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
