"""Our own identifiers: UUIDv7 (RFC 9562 section 5.7) with a kind prefix, so that they sort by birth and say what they are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)  # ten bits a step


def uuid7(milliseconds: int, random: bytes) -> bytes:
    """Gives 16 bytes: 48 bits of Unix milliseconds, version, 74 random bits (`random` holds 10 bytes or more)."""
    body = bytearray(milliseconds.to_bytes(6, "big") + random[:10])
    body[6] = 0x70 | (body[6] & 0x0F)
    body[8] = 0x80 | (body[8] & 0x3F)
    return bytes(body)


def new_id(
    kind: str, *, now: Callable[[], float] = time.time, dice: Callable[[int], bytes] = os.urandom
) -> str:
    """Gives `<kind>_<26 characters>`: `req_01k9…`. Kinds are short lower-case words: req, key, sub, seal, cus, thr, msg."""
    number = int.from_bytes(uuid7(int(now() * 1000), dice(10)), "big")
    digits = [_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)]
    return f"{kind}_{''.join(digits)}"
