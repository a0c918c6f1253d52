"""Step 2 of the request path, the application: `Authorization: Bearer gh_…` → a key that holds now. No I/O.

All keys are in memory, as they were when the caches were last refreshed; that this is not too long ago is the fence's affair.
Expiry is compared with the clock at each use. Unknown, wrong, revoked, expired and malformed keys cost the same: one keyed
hash and one comparison, whatever was sent. What was proven once is known again by a keyed digest of the whole header, until
the keys are read anew: then it is proven against what was read.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

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


@dataclass(frozen=True, slots=True)
class Checked:
    """What a header came to: the key where its secret is right, and the reason where the key is refused (None: it holds)."""

    key: ApiKey | None
    reason: Stranger | None


class ApiKeys:
    """Every key, by id."""

    __slots__ = ("_by_id", "_hash", "_nobody", "_proven", "_salt")

    def __init__(self, keyed_hash: KeyedHash) -> None:
        self._hash = keyed_hash
        self._by_id: Mapping[str, ApiKey] = {}
        # What a key that does not exist is compared with: drawn anew each start, so that no secret hashes to it.
        self._nobody = os.urandom(32)
        self._salt = os.urandom(32)
        self._proven: dict[bytes, ApiKey] = {}  # keyed digest of a header → the key that it proved

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """Takes these keys in place of all others, at once."""
        self._by_id = {key.id: key for key in keys}
        self._proven = {}

    def learn(self, old: ApiKey, new: ApiKey) -> None:
        """Takes `new` in place of `old`, unless the keys were read anew in between: what was read then is not older."""
        if self._by_id.get(old.id) is old:
            self._by_id = {**self._by_id, new.id: new}
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
        known = None if isinstance(shown, Stranger) else self._by_id.get(shown.id)
        digest = self._nobody if known is None else known.digest
        equal = hmac.compare_digest(self._hash(text.id, text.secret), digest)
        if isinstance(shown, Stranger):
            return Checked(None, shown)
        if known is None:
            return Checked(None, Stranger.KEY_UNKNOWN)
        if not equal:
            return Checked(None, Stranger.SECRET_WRONG)
        if len(self._proven) >= _PROVEN_LIMIT:
            self._proven = {}
        self._proven[mark] = known
        return Checked(known, fault(known, now))

    def named(self, key_id: str, now: datetime) -> Checked:
        """Gives the key of that id for somebody who has proven to hold it by other means than its text. Never raises."""
        known = self._by_id.get(key_id)
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
