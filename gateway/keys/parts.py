"""Ground: several byte strings as one, in exactly one way. No I/O."""

from __future__ import annotations


def parted(*parts: bytes | str) -> bytes:
    """Gives each part behind its length (32 bits, big-endian), text as UTF-8: no two lists of parts give the same bytes.

    A text part is what the same bytes would be: a caller whose places may hold either puts a part that says which.
    """
    out = bytearray()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        out += len(data).to_bytes(4, "big")
        out += data
    return bytes(out)
