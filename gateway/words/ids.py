"""Our own identifiers: UUIDv7 (RFC 9562 section 5.7) with a kind prefix, so that they sort by birth and say what they are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)  # ten bits a step
_LOW = (1 << 60) - 1


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
    # Said digit by digit, and in halves: every request has an id, and a loop over the whole number takes twice as long.
    p, high, low = _PAIRS, number >> 60, number & _LOW
    return (
        f"{kind}_{p[high >> 60]}{p[high >> 50 & 1023]}{p[high >> 40 & 1023]}{p[high >> 30 & 1023]}{p[high >> 20 & 1023]}"
        f"{p[high >> 10 & 1023]}{p[high & 1023]}{p[low >> 50]}{p[low >> 40 & 1023]}{p[low >> 30 & 1023]}{p[low >> 20 & 1023]}"
        f"{p[low >> 10 & 1023]}{p[low & 1023]}"
    )
