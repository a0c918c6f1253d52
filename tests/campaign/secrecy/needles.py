"""One search for many values at once, in every form that a value takes on its way into a file, a line or a page.

A form's first eight bytes are looked up at each place of the data, so that a hundred thousand forms cost no more than one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

_WINDOW = 8
_PACKED_BYTES = 16 * 2**20
_INFLATED_BYTES = 64 * 2**20
_STREAMS = (b"\x1f\x8b\x08", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


@dataclass(frozen=True)
class Found:
    """One value where it should not be. label: whose and which. where: the sink, and the stream in it if it was packed."""

    where: str
    label: str
    form: str


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """Gives every form of a value with its name; the same bytes may come under several names."""
    plain = value.encode()
    yield "utf-8", plain
    for name in ("utf-16-le", "utf-16-be"):
        yield name, value.encode(name)
    escaped = json.dumps(value)[1:-1]
    yield "json", escaped.encode()
    yield (
        "json, upper case",
        json.dumps(value)[1:-1].replace("\\u", "\0").upper().replace("\0", "\\u").encode(),
    )
    yield "json of utf-8", json.dumps(value, ensure_ascii=False)[1:-1].encode()
    yield "bytes' repr", repr(plain)[2:-1].encode()
    for name, text in (
        ("percent", quote(value, safe="")),
        ("form", quote_plus(value)),
        ("path", quote(value)),
    ):
        yield name, text.encode()
        yield f"{name}, lower case", _lower_triplets(text).encode()
    yield "xml", "".join(c if c.isascii() else f"&#{ord(c)};" for c in value).encode()
    for shift in range(3):
        packed = base64.b64encode(b"\0" * shift + plain)
        # Letters that hold bits of a neighbour's bytes are anybody's.
        first, last = (shift * 8 + 5) // 6, (shift + len(plain)) * 8 // 6
        yield f"base64+{shift}", packed[first:last]
        yield f"base64url+{shift}", packed[first:last].translate(bytes.maketrans(b"+/", b"-_"))
    for name, data in (("", plain), (" of utf-16", value.encode("utf-16-le"))):
        yield f"hex{name}", data.hex().encode()
        yield f"hex{name}, upper case", data.hex().upper().encode()
    for hashed in ("sha256", "sha1", "md5"):
        digest = hashlib.new(hashed, plain).digest()
        yield hashed, digest
        yield f"{hashed} hex", digest.hex().encode()
        yield f"{hashed} hex, upper case", digest.hex().upper().encode()
        yield f"{hashed} base64", base64.b64encode(digest).rstrip(b"=")
        yield f"{hashed} base64url", base64.urlsafe_b64encode(digest).rstrip(b"=")


def _lower_triplets(text: str) -> str:
    parts = text.split("%")
    return parts[0] + "".join("%" + part[:2].lower() + part[2:] for part in parts[1:])


class Search:
    """Looks for all values of all people. values: label → value, each so long that it is nobody else's by chance."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._by_window: dict[int, list[tuple[bytes, str, str]]] = {}
        for label, value in values.items():
            met: set[bytes] = set()
            for form, needle in forms(value):
                if len(needle) < _WINDOW:
                    raise ValueError(f"{label} is too short to be looked for as {form}")
                if needle not in met:
                    met.add(needle)
                    window = int.from_bytes(needle[:_WINDOW], sys.byteorder)
                    self._by_window.setdefault(window, []).append((needle, label, form))
        self._windows = frozenset(self._by_window)
        self.forms = sum(len(needles) for needles in self._by_window.values())

    def find(self, where: str, data: bytes) -> Iterator[Found]:
        """Gives everything that stands in the data, or in gzip and zlib streams in it, once a label and form."""
        for name, part in _unpacked(where, data):
            for window in self._met(part):
                for needle, label, form in self._by_window[window]:
                    if needle in part:
                        yield Found(name, label, form)

    def _met(self, part: bytes) -> set[int]:
        """Gives the windows that stand somewhere in the part: eight passes, each over every eighth place, none of them in Python."""
        met: set[int] = set()
        view = memoryview(part)
        for shift in range(_WINDOW):
            whole = (len(part) - shift) // _WINDOW * _WINDOW
            if whole > 0:
                met |= self._windows.intersection(view[shift : shift + whole].cast("Q"))
        return met


def _unpacked(where: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Gives the data, and each stream in it that can be inflated to more than nothing, in as much as it goes."""
    yield where, data
    for magic in _STREAMS:
        at = data.find(magic)
        while at >= 0:
            inflated = _inflate(memoryview(data)[at : at + _PACKED_BYTES], gzip=magic[0] == 0x1F)
            if len(inflated) >= _WINDOW:
                yield f"{where}, packed", inflated
            at = data.find(magic, at + 1)


def _inflate(data: memoryview, *, gzip: bool) -> bytes:
    packed = zlib.decompressobj(31 if gzip else 15)
    try:
        return packed.decompress(data, _INFLATED_BYTES)
    except zlib.error:
        return b""
