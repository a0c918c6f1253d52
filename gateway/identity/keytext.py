"""Step 2 of the request path, an API key as text: `gh_<id>_<secret><checksum>`. Pure.

Shape: `gh_` · 26 characters of the key's id (the id is `key_` and these) · `_` · 43 characters base64url, 256 random bits ·
7 characters checksum: CRC-32 of all before it, in the base 32 of our ids. The checksum lets a secret scanner and a person with
a typo know a key when they see one; it proves nothing and nothing trusts it.
"""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import dataclass, field

SECRET_BYTES = 32
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
# Of the secret's last character two bits are idle, and zero.
_SHAPE = re.compile(
    rf"gh_([{_DIGITS}]{{26}})_([A-Za-z0-9_-]{{42}}[AEIMQUYcgkosw048])([{_DIGITS}]{{7}})", re.ASCII
)
_ID = re.compile(rf"key_[{_DIGITS}]{{26}}", re.ASCII)
_LENGTH = 3 + 26 + 1 + 43 + 7


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key as it was shown: its id (`key_…`) and the secret's bytes, exactly as spelled."""

    id: str
    secret: bytes = field(repr=False)


NOBODY = KeyText("key_" + "0" * 26, b"0" * 43)
"""Stands in for a text that is no key, so that the same work is done for it."""


def is_id(text: str) -> bool:
    """Whether a text has the form of a key's id; there may be no such key."""
    return _ID.fullmatch(text) is not None


def write(key_id: str, random: bytes) -> tuple[str, KeyText]:
    """Gives the text to hand out, once, and what is read of it. `random` holds SECRET_BYTES."""
    secret = base64.urlsafe_b64encode(random).rstrip(b"=")
    body = f"gh_{key_id.removeprefix('key_')}_{secret.decode()}"
    return body + _checksum(body), KeyText(key_id, secret)


def read(text: str) -> KeyText | None:
    """Gives what a text says, None for anything that `write` could not have made. Never raises."""
    if len(text) != _LENGTH or (match := _SHAPE.fullmatch(text)) is None:
        return None
    if _checksum(text[:-7]) != match[3]:
        return None
    return KeyText(f"key_{match[1]}", match[2].encode())


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    return "".join(_DIGITS[(number >> shift) & 31] for shift in range(30, -1, -5))
