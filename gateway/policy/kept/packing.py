"""A bundle's files as one value, format 1: what the gateway keeps of every bundle that was in force. Pure.

The ZLIB stream (RFC 1950) of the JSON `{"files": {name: base64, …}, "format": 1}`. Names are below the policy folder, with `/` between.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping

FORMAT = 1
MOST_BYTES = 256 * 1024 * 1024
"""What is unpacked at most: a row is data, and a few bytes of it can be made to stand for terabytes."""
_NAME = re.compile(r"(?:[\w-][\w.-]*/)?[\w-][\w.-]*", re.ASCII)


class Unpackable(ValueError):
    """It is no bundle of this format. Says nothing of it."""


def packed(files: Mapping[str, bytes]) -> bytes:
    """Gives the bytes that stand for the files."""
    coded = {name: base64.b64encode(data).decode("ascii") for name, data in files.items()}
    text = json.dumps({"format": FORMAT, "files": coded}, sort_keys=True, separators=(",", ":"))
    return zlib.compress(text.encode(), level=9)


def unpacked(data: bytes) -> dict[str, bytes]:
    """Gives the files by name. Raises Unpackable for anything that `packed` does not make, and for a name that leads elsewhere."""
    inflating = zlib.decompressobj()
    try:
        text = inflating.decompress(data, MOST_BYTES)
        if not inflating.eof or inflating.unused_data:
            raise Unpackable
        found = json.loads(text)
        if not isinstance(found, dict) or found.get("format") != FORMAT or set(found) != {"format", "files"}:
            raise Unpackable
        return {
            _fitting(name): base64.b64decode(coded, validate=True) for name, coded in found["files"].items()
        }
    except (zlib.error, ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise Unpackable from None


def _fitting(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Unpackable
    return name
