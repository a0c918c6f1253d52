"""Public keys of issuers: a JSON Web Key Set (RFC 7517) read in one way, from a file or from an address.

Only keys that can verify a pinned algorithm are taken: Ed25519, P-256, RSA of 2048 to 8192 bits, each with a `kid`, none of
them private or symmetric.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Any, cast

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.plainfile import read_plain
from gateway.wire.json import parse
from gateway.words.errors import GatehouseError, Misconfigured, Refused

Fetch = Callable[[str], Awaitable[bytes]]
"""Reads an https address. Raises OSError, TimeoutError or GatehouseError; follows no redirects."""

MAX_BYTES = 256 * 1024
MAX_KEYS = 100
FETCH_SECONDS = 5.0
FRESH = timedelta(minutes=10)
"""After that an address is asked again, while the keys at hand still serve."""
RETRY = timedelta(seconds=30)
"""An address is asked at most this often, whatever key ids tokens name."""
USABLE = timedelta(hours=1)
"""Keys from an address that has not answered for so long are no longer believed."""

_NUMBERS = frozenset({"kty", "crv", "x", "y", "n", "e"})
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 8192


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """One public key. algorithms: the values of a token's `alg` that it may verify."""

    kid: str
    algorithms: frozenset[str]
    key: OKPKey | ECKey | RSAKey = field(repr=False)


KeySet = Mapping[str, VerifyingKey]


def read_keys(data: bytes) -> KeySet:
    """Gives the usable keys of a key set, by `kid`; others (encryption, unknown types, no kid) are passed over.

    Raises Misconfigured: no key set, too large, a key id twice, a private or symmetric key among them, nothing usable.
    """
    keys: dict[str, VerifyingKey] = {}
    for entry in _entries(data):
        if "d" in entry or "k" in entry:
            raise Misconfigured("an issuer's key set holds a private or symmetric key: those keys are burnt")
        key = _key(entry)
        if key is None:
            continue
        if key.kid in keys:
            raise Misconfigured("an issuer's key set names a key id twice")
        keys[key.kid] = key
    if not keys:
        raise Misconfigured(
            "an issuer's key set holds no key that can verify EdDSA, ES256 or RS256 with a kid"
        )
    return keys


def _entries(data: bytes) -> list[dict[str, Any]]:
    try:
        document = parse(data) if len(data) <= MAX_BYTES else None
    except Refused:
        document = None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise Misconfigured("an issuer's key set is no JSON Web Key Set (RFC 7517 section 5)")
    return [cast(dict[str, Any], entry) for entry in entries if isinstance(entry, dict)]


def _key(entry: dict[str, Any]) -> VerifyingKey | None:
    kid, use, alg = entry.get("kid"), entry.get("use", "sig"), entry.get("alg")
    operations = entry.get("key_ops", ["verify"])
    verifies = use == "sig" and isinstance(operations, list) and "verify" in operations
    if not isinstance(kid, str) or not kid or not verifies:
        return None
    try:
        # The numbers alone: what a key may be used for is judged here, and the library knows EdDSA by its newer name only.
        found = _import({name: value for name, value in entry.items() if name in _NUMBERS})
    except (JoseError, ValueError, TypeError, AttributeError):
        # A key that the library cannot read is as good as none; its text may quote the key, so it is not kept.
        return None
    if found is None:
        return None
    key, algorithms = found
    if alg is not None:
        algorithms &= {alg} if isinstance(alg, str) else set()
    return VerifyingKey(kid, algorithms, key) if algorithms else None


def _import(entry: dict[str, Any]) -> tuple[OKPKey | ECKey | RSAKey, frozenset[str]] | None:
    match entry.get("kty"), entry.get("crv"):
        case "OKP", "Ed25519":
            return OKPKey.import_key(entry), frozenset({"EdDSA", "Ed25519"})
        case "EC", "P-256":
            return ECKey.import_key(entry), frozenset({"ES256"})
        case "RSA", None:
            key = RSAKey.import_key(entry)
            if _MIN_RSA_BITS <= key.public_key.key_size <= _MAX_RSA_BITS:
                return key, frozenset({"RS256"})
    return None


@dataclass(frozen=True, slots=True)
class FileRead:
    """What a key file held when it was read: its bytes and the keys in them, or why there are none to be had."""

    data: bytes
    keys: KeySet | None
    error: OSError | Misconfigured | None = None


class Taken(Enum):
    """What came of reading a key file: its first keys, other keys than before, nothing new, or a new mistake in it."""

    FIRST = auto()
    CHANGED = auto()
    SAME = auto()
    REFUSED = auto()


class FileKeys:
    """The keys of an issuer whose set lies in a file. `read` may run in any thread and changes nothing; `take` runs on the loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = b""
        self._keys: KeySet | None = None
        self._refused: tuple[type[BaseException | None], bytes] | None = None

    def read(self) -> FileRead:
        """Gives what lies there now. Its bytes are compared, not its time: a file put back with an old date is another one too."""
        data = b""
        try:
            data = read_plain(self._path, MAX_BYTES)
            return FileRead(data, self._keys if data == self._bytes else read_keys(data))
        except (OSError, Misconfigured) as error:
            return FileRead(data, None, error)

    def take(self, found: FileRead) -> Taken:
        """Believes what was read. A broken file leaves the good keys in place, and each state of it is named as new once.

        Raises Misconfigured where there are no good keys yet.
        """
        if found.error is not None or found.keys is None:
            if self._keys is None:
                why = found.error if isinstance(found.error, Misconfigured) else "not readable"
                raise Misconfigured(f"{self._path.name}: {why}") from found.error
            before, self._refused = self._refused, (type(found.error), found.data)
            return Taken.SAME if before == self._refused else Taken.REFUSED
        first, same = self._keys is None, found.data == self._bytes
        self._bytes, self._keys, self._refused = found.data, found.keys, None
        if same:
            return Taken.SAME
        return Taken.FIRST if first else Taken.CHANGED

    async def find(self, kid: str, now: datetime) -> VerifyingKey | None:  # noqa: ARG002  # the shape that both sources share
        """Gives the key of that id."""
        return (self._keys or {}).get(kid)


class Silence(Enum):
    """How it stands with an address that does not answer, or not with a key set: its last keys are believed still, or no more."""

    KEPT = auto()
    ENDED = auto()


class AddressKeys:
    """The keys of an issuer that publishes them at an address. They serve on while the next set is fetched, up to USABLE.

    changed: is called where other keys are in force than before. silent: once when the address begins to fail, once when its last
    keys are no longer believed.
    """

    def __init__(
        self,
        address: str,
        fetch: Fetch,
        changed: Callable[[], None],
        silent: Callable[[Silence], None] = lambda _: None,
    ) -> None:
        self._address = address
        self._fetch = fetch
        self._changed = changed
        self._silent = silent
        self._silence: Silence | None = None
        self._bytes = b""
        self._keys: KeySet = {}
        self._fetched: datetime | None = None
        self._tried: datetime | None = None
        self._turn = asyncio.Lock()

    async def find(self, kid: str, now: datetime) -> VerifyingKey | None:
        """Gives the key of that id, after asking the address where the id is new, or where the keys are not fresh and nobody keeps
        them so: while `keep_fresh` is called, who shows a token of a known key waits for no issuer."""
        if kid not in self._keys or not self._believed(now) or (self._old(now) and not self._kept(now)):
            await self.update(now)
        return self._keys.get(kid) if self._believed(now) else None

    async def keep_fresh(self, now: datetime) -> None:
        """Asks the address where its keys are not fresh; to be called often, beside the requests."""
        if self._old(now):
            await self.update(now)

    def _old(self, now: datetime) -> bool:
        return self._fetched is None or now - self._fetched >= FRESH

    def _kept(self, now: datetime) -> bool:
        return self._tried is not None and now - self._tried < 2 * RETRY

    def _believed(self, now: datetime) -> bool:
        return self._fetched is not None and now - self._fetched < USABLE

    async def update(self, now: datetime) -> None:
        """Asks the address, one at a time and not more often than RETRY. What does not answer, or badly, changes nothing."""
        async with self._turn:
            if self._tried is not None and now - self._tried < RETRY:
                return
            self._tried = now
            try:
                data = await asyncio.wait_for(self._fetch(self._address), FETCH_SECONDS)
                keys = self._keys if data == self._bytes else read_keys(data)
            except (OSError, TimeoutError, GatehouseError):
                self._fail(Silence.KEPT if self._believed(now) else Silence.ENDED)
                return
            self._silence = None
            self._fetched = now
            if data != self._bytes:
                self._bytes, self._keys = data, keys
                self._changed()

    def _fail(self, silence: Silence) -> None:
        if silence is not self._silence:
            self._silence = silence
            self._silent(silence)
