"""Step 2 of the request path, a client's secret as text: `ghs_<id>_<secret><tag>`. Pure.

Shape: `ghs_` · 26 characters of the secret's id (the id is `sec_` and these) · `_` · 43 characters base64url, 256 random bits ·
12 characters tag: 60 bits of a MAC over id and secret under a key that no store holds. By the tag we know our own: what we never
handed out is told apart for the price of one MAC, so nobody can make us compute argon2id by guessing.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field

Tag = Callable[[str, bytes], bytes]
"""(secret's id, secret) → 32 bytes under a key that the state store does not hold."""

SECRET_BYTES = 32
MAX_CHARS = 200
"""No text longer than this is looked at."""
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TAG_BITS = 60
# Of the secret's last character two bits are idle, and zero.
_SHAPE = re.compile(
    rf"ghs_([{_DIGITS}]{{26}})_([A-Za-z0-9_-]{{42}}[AEIMQUYcgkosw048])([{_DIGITS}]{{12}})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class SecretText:
    """A secret as it was shown: its id (`sec_…`), and whether it is one that we handed out. The whole text is what is hashed."""

    id: str
    ours: bool
    text: bytes = field(repr=False)


_NOBODY = ("sec_" + "0" * 26, b"0" * 43, "0" * 12)
"""Stands in for a text that is no secret, so that the same work is done for it."""


def write(secret_id: str, random: bytes, tag: Tag) -> SecretText:
    """Gives the text to hand out, once. `random` holds SECRET_BYTES."""
    secret = base64.urlsafe_b64encode(random).rstrip(b"=")
    body = f"ghs_{secret_id.removeprefix('sec_')}_{secret.decode()}"
    return SecretText(secret_id, True, (body + _spelled(tag(secret_id, secret))).encode())


def read(text: str, tag: Tag) -> SecretText | None:
    """Gives what a text says, None for anything that `write` could not have shaped. Never raises; costs the same whatever was sent."""
    match = _SHAPE.fullmatch(text) if len(text) <= MAX_CHARS else None
    found = _NOBODY if match is None else (f"sec_{match[1]}", match[2].encode(), match[3])
    secret_id, secret, shown = found
    ours = hmac.compare_digest(_spelled(tag(secret_id, secret)), shown)
    return None if match is None else SecretText(secret_id, ours, text.encode())


def _spelled(mac: bytes) -> str:
    number = int.from_bytes(mac[:8], "big") >> (64 - _TAG_BITS)
    return "".join(_DIGITS[(number >> shift) & 31] for shift in range(_TAG_BITS - 5, -1, -5))
