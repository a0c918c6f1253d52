"""Step 8: the envelope, format 1. One sealed value as text; opens only in its place. Pure but for the nonce, which is passed in.

Text:  `gh1:` and base64url without padding (RFC 4648 section 5, canonical only) of the bytes.
Bytes: key id (16) · key version (4, big-endian) · class (length 1, then ASCII) · JSON type (1) · nonce (12) · ciphertext and tag (16).
Plain: the value's bytes, then 0x80 and zeros up to a multiple of 16 (ISO/IEC 7816-4), so that `true` is as long as `false`.
       A string is its UTF-8; anything else its JSON text.
About: the associated data, each part behind its 32-bit length: label, format, key id, key version, class, upstream, resource, seal id,
       pointer, JSON type. Cipher: AES-256-GCM (NIST SP 800-38D). Pinned by tests/fields/golden/envelope.json; docs/sealing.md.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.keys import Label, parted
from gateway.words.errors import GatehouseError
from gateway.words.json import Json, Pointer

PREFIX = "gh1:"
NONCE_BYTES = 12
TAG_BYTES = 16
BLOCK = 16
MAX_PLAIN_BYTES = 48_000  # so that the text stays below 64 KiB, the least that upstreams are known to keep
MAX_TEXT = 65_536

BOOLEAN, INTEGER, NUMBER, STRING, ARRAY, OBJECT = range(1, 7)
"""The JSON types as bytes; null is never sealed."""

_HEAD = 16 + 4 + 1
_CLASS = re.compile(rb"[a-z][a-z0-9_]{0,31}")
# base64url to base64; everything else, `+` and `/` too, becomes a character that no decoder takes.
_TABLE = bytearray(b"!" * 256)
for _c in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789":
    _TABLE[_c] = _c
_TABLE[ord("-")], _TABLE[ord("_")] = ord("+"), ord("/")
_TO_STANDARD = bytes(_TABLE)
_PADDING = (b"", b"", b"==", b"=")
_LAST = (
    frozenset(_TO_STANDARD[i : i + 1] for i in range(256)),
    frozenset[bytes](),
    frozenset(b"%c" % c for c in b"AQgw"),
    frozenset(b"%c" % c for c in b"AEIMQUYcgkosw048"),
)


class Malformed(GatehouseError):
    """A text is not an envelope of format 1. Says nothing of it."""


class Unsealable(GatehouseError):
    """A value cannot be sealed: null, too long, or not representable as JSON in UTF-8."""


class Envelope(NamedTuple):
    """An envelope taken apart; nothing in it is believed before it opens. Empty repr."""

    key: bytes
    version: int
    cls: str
    kind: int
    nonce: bytes
    sealed: bytes

    def __repr__(self) -> str:
        return "Envelope()"


def is_envelope(value: Json) -> bool:
    """True for every string that claims to be an envelope of this format, sound or not."""
    return type(value) is str and value.startswith(PREFIX)


def holds_envelope(value: Json) -> bool:
    """True when such a string stands anywhere in the value, names included."""
    if type(value) is str:
        return value.startswith(PREFIX)
    if type(value) is dict:
        return any(name.startswith(PREFIX) or holds_envelope(inner) for name, inner in value.items())
    return type(value) is list and any(map(holds_envelope, value))


def decoded(text: str) -> bytes:
    """Gives the bytes of an envelope's text. Raises Malformed for anything that is not its one canonical spelling."""
    if not text.startswith(PREFIX) or len(text) > MAX_TEXT:
        raise Malformed
    try:
        standard = text[4:].encode("ascii").translate(_TO_STANDARD)
        data = binascii.a2b_base64(standard + _PADDING[len(standard) & 3], strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Malformed from None
    # The last character may carry idle bits; only zeros there are canonical (RFC 4648 section 3.5).
    if standard[-1:] not in _LAST[len(standard) & 3]:
        raise Malformed
    return data


def parse(text: str) -> Envelope:
    """Takes an envelope's text apart. Raises Malformed for anything that `write` does not write."""
    data = decoded(text)
    if len(data) <= _HEAD:
        raise Malformed
    at = _HEAD + data[20]
    sealed = data[at + 13 :]
    if len(sealed) < BLOCK + TAG_BYTES or len(sealed) % BLOCK or not _CLASS.fullmatch(data, _HEAD, at):
        raise Malformed
    if not BOOLEAN <= data[at] <= OBJECT or not any(data[16:20]):
        raise Malformed
    version = int.from_bytes(data[16:20], "big")
    return Envelope(
        data[:16], version, data[_HEAD:at].decode("ascii"), data[at], data[at + 1 : at + 13], sealed
    )


def header(key: bytes, version: int, cls: str) -> bytes:
    """Gives an envelope's bytes up to its JSON type: the same for everything under one data key."""
    name = cls.encode("ascii")
    return b"%b%b%c%b" % (key, version.to_bytes(4, "big"), len(name), name)


def write(envelope: Envelope) -> str:
    """Gives the envelope's text: the one text that `parse` gives it back from."""
    key, version, cls, kind, nonce, sealed = envelope
    data = b"%b%c%b%b" % (header(key, version, cls), kind, nonce, sealed)
    return PREFIX + base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def about_key(key: bytes, version: int, cls: str) -> bytes:
    """Gives the associated data's first part: the same for everything under one data key."""
    return parted(Label.ENVELOPE.value, PREFIX, key, version.to_bytes(4, "big"), cls)


@lru_cache(8_192)
def about_record(upstream: str, resource: str, seal: str) -> bytes:
    """Gives its second part: the same for everything in one record."""
    return parted(upstream, resource, seal)


@lru_cache(8_192)
def about_field(pointer: Pointer, kind: int) -> bytes:
    """Gives its last part."""
    where = pointer.encode("utf-8", "surrogatepass")
    return b"%b%b\0\0\0\1%c" % (len(where).to_bytes(4, "big"), where, kind)


class FieldKey:
    """One data key made ready: its cipher, the header of its envelopes, the first part of their associated data. Empty repr."""

    __slots__ = ("_about", "_cipher", "cls", "header", "key", "version")

    def __init__(self, secret: bytes, key: bytes, version: int, cls: str) -> None:
        self._cipher = AESGCM(secret)
        self._about = about_key(key, version, cls)
        self.key, self.version, self.cls = key, version, cls
        self.header = header(key, version, cls)

    def seal(self, record: bytes, pointer: Pointer, value: Json, nonce: bytes) -> str:
        """Gives the envelope's text of a value in its place; `record` is `about_record`. Raises Unsealable."""
        kind, plain = plain_of(value)
        sealed = self._cipher.encrypt(nonce, plain, self._about + record + about_field(pointer, kind))
        return write(Envelope(self.key, self.version, self.cls, kind, nonce, sealed))

    def open(self, record: bytes, pointer: Pointer, data: bytes) -> Json:
        """Gives the value of an envelope's bytes, which begin with this key's header.

        Raises InvalidTag where it does not belong or was altered, Malformed where it is cut or what opened is no value of its type.
        """
        at = len(self.header)
        if len(data) < at + 1 + NONCE_BYTES + TAG_BYTES:
            raise Malformed
        kind = data[at]
        about = self._about + record + about_field(pointer, kind)
        return value_of(kind, self._cipher.decrypt(data[at + 1 : at + 13], data[at + 13 :], about))

    def __repr__(self) -> str:
        return "FieldKey()"


def plain_of(value: Json) -> tuple[int, bytes]:
    """Gives the JSON type and the padded plain bytes. Raises Unsealable for null, what is too long and lone surrogates."""
    kind = _kind(value)
    try:
        if kind == STRING:
            data = value.encode()  # type: ignore[union-attr]  # the kind says that it is a string
        else:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            data = text.encode()
    except (ValueError, RecursionError):
        raise Unsealable from None
    if len(data) > MAX_PLAIN_BYTES:
        raise Unsealable
    return kind, data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)


def value_of(kind: int, plain: bytes) -> Json:
    """Gives the value back from its padded plain bytes. Raises Malformed where they are none of that type."""
    data = plain.rstrip(b"\0")
    if not data or data[-1] != 0x80:
        raise Malformed
    try:
        if kind == STRING:
            return data[:-1].decode()
        value: Json = json.loads(data[:-1])
    except (ValueError, RecursionError):
        raise Malformed from None
    if value is None or _kind(value) != kind:
        raise Malformed
    return value


def _kind(value: Json) -> int:
    match value:
        case bool():
            return BOOLEAN
        case int():
            return INTEGER
        case float():
            return NUMBER
        case str():
            return STRING
        case list():
            return ARRAY
        case dict():
            return OBJECT
    raise Unsealable
