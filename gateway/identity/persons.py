"""Step 2 of the request path, the person: a token of an issuer we know, for this gateway, issued for this application.

Verified tokens are remembered (an EdDSA check costs 180 µs) until they end or turn 15 minutes old, whichever comes first, and
all are forgotten when any issuer's keys change. Everything here is used on the event loop, but for `read`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from gateway.identity.issuers import ALGORITHMS, Issuer
from gateway.identity.jwks import AddressKeys, Fetch, FileKeys, FileRead, Silence, Taken, VerifyingKey
from gateway.identity.strangers import Stranger, Unproven
from gateway.identity.token import MAX_AGE, Unpacked, check_claims, check_terms, unpack
from gateway.words.errors import Misconfigured
from gateway.words.principal import Party

MAX_REMEMBERED = 10_000

Told = Callable[[int, BaseException | Silence | None], None]
"""Is told when the keys of an issuer changed while this runs: the issuer's number, from 1, and why the file is refused, or that its
address does not answer (None: other keys are in force than before)."""


def untold(_number: int, _why: BaseException | Silence | None) -> None:
    """Tells nobody."""


class KeySource(Protocol):
    """Where an issuer's keys are found."""

    async def find(self, kid: str, now: datetime) -> VerifyingKey | None:
        """Gives the key of that id, None where the issuer has none."""
        ...


@dataclass(frozen=True, slots=True)
class Proven:
    """A person as proven: the party, and how, in words for the entry. until: seconds since 1970. issuer, kid: by whose key."""

    party: Party
    how: str
    until: float
    issuer: str
    kid: str


def look_at_issuers(issuers: Sequence[Issuer], fetch: Fetch, ours: str | None) -> None:
    """Raises Misconfigured for what a start would refuse of them: one named twice or like us, a file of keys that is not good.

    Asks no address.
    """
    persons = Persons(issuers, fetch, ours=ours)
    persons.take(persons.read())


class Persons:
    """Every issuer that is believed, with its keys."""

    def __init__(
        self, issuers: Sequence[Issuer], fetch: Fetch | None, told: Told = untold, ours: str | None = None
    ) -> None:
        """ours: the name under which this gateway issues tokens itself; it vouches for no person. Raises Misconfigured."""
        self._told = told
        self._terms = {issuer.issuer: issuer for issuer in issuers}
        if len(self._terms) != len(issuers):
            raise Misconfigured("an issuer is named twice in settings")
        if ours in self._terms:
            raise Misconfigured(
                "an issuer of persons' tokens has this gateway's own name: take it out of the issuers file"
            )
        self._files: dict[int, FileKeys] = {}
        self._addresses: list[AddressKeys] = []
        self._keys = {
            issuer.issuer: self._source(number, issuer, fetch) for number, issuer in enumerate(issuers, 1)
        }
        self._remembered: OrderedDict[tuple[bytes, str], Proven] = OrderedDict()
        self._forged: OrderedDict[bytes, None] = OrderedDict()
        self._forgotten = 0

    def _source(self, number: int, issuer: Issuer, fetch: Fetch | None) -> KeySource:
        if not isinstance(issuer.jwks, str):
            self._files[number] = file = FileKeys(issuer.jwks)
            return file
        if fetch is None:
            raise Misconfigured("an issuer's keys stand at an address and nothing here reads addresses")
        first = True

        def changed() -> None:
            nonlocal first
            self.forget()
            if not first:
                self._told(number, None)
            first = False

        address = AddressKeys(issuer.jwks, fetch, changed, lambda silence: self._told(number, silence))
        self._addresses.append(address)
        return address

    @property
    def has_files(self) -> bool:
        """Whether any issuer's keys lie in a file."""
        return bool(self._files)

    def read(self) -> Sequence[FileRead]:
        """Gives what the key files hold now, and changes nothing: it may run in any thread."""
        return [file.read() for file in self._files.values()]

    def take(self, found: Sequence[FileRead]) -> None:
        """Believes what was read from the files. Raises Misconfigured where one was never good."""
        taken = [file.take(one) for file, one in zip(self._files.values(), found, strict=True)]
        if Taken.CHANGED in taken:
            self.forget()
        for number, what, one in zip(self._files, taken, found, strict=True):
            if what in (Taken.CHANGED, Taken.REFUSED):
                self._told(number, one.error)

    async def update(self, now: datetime) -> None:
        """Asks the addresses that have not been asked lately."""
        for address in self._addresses:
            await address.update(now)

    async def keep_fresh(self, now: datetime) -> None:
        """Asks the addresses whose keys are not fresh any more, beside each other."""
        await asyncio.gather(*(address.keep_fresh(now) for address in self._addresses))

    def forget(self) -> None:
        """Drops all remembered tokens, good ones and forged ones: each is verified again."""
        self._remembered.clear()
        self._forged.clear()
        self._forgotten += 1

    @property
    def generation(self) -> int:
        """How often all remembered tokens were dropped: what was believed by an issuer's key is believed within one generation."""
        return self._forgotten

    async def believes(self, issuer: str, kid: str, now: datetime) -> bool:
        """Tells whether a token signed by that key of that issuer would still be believed."""
        source = self._keys.get(issuer)
        return source is not None and await source.find(kid, now) is not None

    async def prove(self, token: str, application: str, now: datetime) -> Proven:
        """Gives the person whom the token names. Raises Unproven."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        mark = (digest, application)
        seconds = now.timestamp()
        known = self._remembered.get(mark)
        if known is not None and seconds < known.until:
            self._remembered.move_to_end(mark)
            return known
        if digest in self._forged:
            raise Unproven(Stranger.SIGNATURE_WRONG)
        forgotten = self._forgotten
        try:
            proven = await self._verify(token, application, now)
        except Unproven as error:
            if error.reason is Stranger.SIGNATURE_WRONG and forgotten == self._forgotten:
                # Under these keys it will never be right, and to find that out costs more than all else about a refusal.
                self._forged[digest] = None
                if len(self._forged) > MAX_REMEMBERED:
                    self._forged.popitem(last=False)
            raise
        if forgotten != self._forgotten:
            # Keys changed while this one was verified, maybe by a key that is gone: the next time it is looked at again.
            return proven
        self._remembered[mark] = proven
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return proven

    async def _verify(self, text: str, application: str, now: datetime) -> Proven:
        token = unpack(text)
        issuer = self._terms.get(token.issuer)
        if issuer is None:
            raise Unproven(Stranger.ISSUER_UNKNOWN)
        check_terms(token, issuer)
        key = await self._keys[issuer.issuer].find(token.kid, now)
        if key is None:
            raise Unproven(Stranger.SIGNER_UNKNOWN)
        if token.algorithm not in key.algorithms:
            raise Unproven(Stranger.ALGORITHM_REFUSED)
        if not _signed(token, key):
            raise Unproven(Stranger.SIGNATURE_WRONG)
        holds = check_claims(token, issuer, application, now.timestamp())
        until = min(holds.expires, holds.issued + MAX_AGE.total_seconds())
        party = Party(f"person:{issuer.issuer}#{holds.subject}")
        return Proven(party, f"token:{token.algorithm}", until, issuer.issuer, token.kid)


def _signed(token: Unpacked, key: VerifyingKey) -> bool:
    """The library's algorithm by our own table: a token's `alg` never reaches its registry, so `none` and HMAC are not there."""
    algorithm: Any = JWSRegistry.algorithms[ALGORITHMS[token.algorithm]]
    try:
        algorithm.check_key(key.key)
        return bool(algorithm.verify(token.signed, token.signature, key.key))
    except (JoseError, ValueError):
        return False
