"""Step 2 of the request path, the application: `Authorization: Bearer gh_…` → a key that holds now. No I/O.

All keys are in memory, as they were when the caches were last refreshed; that this is not too long ago is the fence's affair.
Expiry is compared with the clock at each use. Unknown, wrong, revoked, expired and malformed keys cost the same: one keyed
hash and one comparison, whatever was sent; of an unknown and a wrong key each step of the interpreter is the same
(tests/campaign/secrecy/test_times_of_keys.py). What was proven once is known again by a keyed digest of the whole header, until
the keys are read anew: then it is proven against what was read.
"""

from __future__ import annotations

import hmac
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from gateway.identity import keytext
from gateway.identity.store import ApiKey
from gateway.identity.strangers import Stranger
from gateway.keys.keyring import Keyring
from gateway.keys.labels import Label

KeyedHash = Callable[[str, bytes], bytes]
"""(key id, secret) → 32 bytes under a key that the state store does not hold."""

_SCHEME = "bearer "
_PROVEN_LIMIT = 4_096


def keyed_hash(keyring: Keyring) -> KeyedHash:
    """Gives the hash that keys are kept by: HMAC-SHA-256 under a key of its own, over id and secret."""
    return lambda key_id, secret: keyring.mac(Label.API_KEY, key_id, secret)


class _Held(NamedTuple):
    """A key and what its secret hashes to; no key for the one that nobody holds."""

    id: str
    digest: bytes
    key: ApiKey | None


class _Row:
    """Every key, in the order of their ids' hashes.

    An id leads to the key of that id, or to a neighbour's. So one that is nobody's costs the same as one that is somebody's, what is read
    from memory for it included: in a table a miss would touch less than a hit, and be told by it.
    """

    __slots__ = ("_hashes", "_held", "_salt")

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        # Drawn anew each time, so that no secret hashes to it: there is always somebody to be compared with.
        nobody = _Held(keytext.NOBODY.id, os.urandom(32), None)
        held = {nobody.id: nobody} | {key.id: _Held(key.id, key.digest, key) for key in keys}
        self._salt = 0
        while len(places := {self._place(one): held[one] for one in held}) < len(held):
            self._salt += 1  # two ids with one hash: another order
        self._hashes = sorted(places)
        self._held = [places[place] for place in self._hashes]

    def nearest(self, key_id: str) -> _Held:
        """Gives what is held under that id, else what a neighbour holds."""
        return self._held[bisect_left(self._hashes, self._place(key_id)) % len(self._held)]

    def get(self, key_id: str) -> ApiKey | None:
        """Gives the key of that id, None where there is none."""
        held = self.nearest(key_id)
        return held.key if held.id == key_id else None

    def keys(self) -> list[ApiKey]:
        """Gives every key."""
        return [held.key for held in self._held if held.key is not None]

    def _place(self, key_id: str) -> int:
        return hash((self._salt, key_id))


_REFUSED = (Stranger.KEY_UNKNOWN, Stranger.SECRET_WRONG)
"""By whether there is a key of that id."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a header came to: the key where its secret is right, and the reason where the key is refused (None: it holds)."""

    key: ApiKey | None
    reason: Stranger | None


class ApiKeys:
    """Every key."""

    __slots__ = ("_hash", "_proven", "_row", "_salt")

    def __init__(self, keyed_hash: KeyedHash) -> None:
        self._hash = keyed_hash
        self._row = _Row(())
        self._salt = os.urandom(32)
        self._proven: dict[bytes, ApiKey] = {}  # keyed digest of a header → the key that it proved

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """Takes these keys in place of all others, at once."""
        self._row = _Row(keys)
        self._proven = {}

    def learn(self, old: ApiKey, new: ApiKey) -> None:
        """Takes `new` in place of `old`, unless the keys were read anew in between: what was read then is not older."""
        if self._row.get(old.id) is old:
            self._row = _Row([*self._row.keys(), new])
            self._proven = {}

    def check(self, authorization: Sequence[str], now: datetime) -> Checked:
        """Gives what the values of the Authorization header prove. Never raises."""
        mark = b""
        if len(authorization) == 1:
            mark = blake2b(authorization[0].encode("utf-8", "surrogatepass"), key=self._salt).digest()
            proven = self._proven.get(mark)
            if proven is not None:
                return Checked(proven, fault(proven, now))
        shown = self._shown(authorization)
        text = keytext.NOBODY if isinstance(shown, Stranger) else shown
        # No branch between an id that there is and one that there is not: what follows is the same work for both.
        nearest = self._row.nearest(text.id)
        equal = hmac.compare_digest(self._hash(text.id, text.secret), nearest.digest)
        refused, known = _REFUSED[nearest.id == text.id], nearest.key
        # The hash is over the id too: no neighbour's is met by chance.
        if not equal or known is None or isinstance(shown, Stranger):
            return Checked(None, shown if isinstance(shown, Stranger) else refused)
        if len(self._proven) >= _PROVEN_LIMIT:
            self._proven = {}
        self._proven[mark] = known
        return Checked(known, fault(known, now))

    def named(self, key_id: str, now: datetime) -> Checked:
        """Gives the key of that id for somebody who has proven to hold it by other means than its text. Never raises."""
        known = self._row.get(key_id)
        return Checked(None, Stranger.KEY_UNKNOWN) if known is None else Checked(known, fault(known, now))

    @staticmethod
    def _shown(authorization: Sequence[str]) -> keytext.KeyText | Stranger:
        if not authorization:
            return Stranger.NO_CREDENTIAL
        if len(authorization) > 1:
            return Stranger.SEVERAL_CREDENTIALS
        # RFC 9110 section 11.1: the scheme's case does not count. One space, nothing around it.
        value = authorization[0]
        if value[: len(_SCHEME)].lower() != _SCHEME:
            return Stranger.KEY_MALFORMED
        return keytext.read(value[len(_SCHEME) :]) or Stranger.KEY_MALFORMED


def fault(key: ApiKey, now: datetime) -> Stranger | None:
    """Gives why a key does not hold at `now`, None where it does. Revoked comes first: it is for good."""
    if key.revoked_at is not None:
        return Stranger.KEY_REVOKED
    if key.confirmed_at is None:
        return Stranger.KEY_UNCONFIRMED
    if now >= key.not_after:
        return Stranger.KEY_EXPIRED
    return None
