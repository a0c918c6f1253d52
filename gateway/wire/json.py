"""JSON read in exactly one way, on both sides: callers' bodies and upstreams' answers (steps 1 and 7). Pure.

Two readers may differ on a document and still both be right (RFC 8259 sections 4 and 6: duplicate names, large numbers).
A gateway that decides on one reading and forwards another is no gateway, so such a document is refused.
"""

from __future__ import annotations

import math
import re
from typing import Final, NoReturn, cast

import orjson

from gateway.words.errors import Code, Refused
from gateway.words.json import Json

MAX_DEPTH: Final = 64
MAX_SAFE_INTEGER: Final = 2**53 - 1
"""The largest integer that every reader keeps (RFC 7493 section 2.2)."""
MAX_INT64: Final = 2**63 - 1
"""The largest `max_integer`: what an upstream that numbers its rows with 64 bits needs."""

# Any digit becomes "0", so that one substring search finds a number long enough to be out of range.
_DIGITS: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))
_LONG_RUN: Final = b"0" * len(str(MAX_SAFE_INTEGER))
_MAX_DIGITS: Final = len(str(MAX_INT64)) + 1
_SHORT: Final = len("1e100")
_NOT_ZERO: Final = re.compile(rb"-?[0.]*[1-9]")
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
# An exponent that can bring a number of few digits out of a double's range; _NUMBERS leaves of a document its numbers, and blanks.
_EXPONENT: Final = re.compile(rb"[eE][+-]?[0-9]{3}")
_NUMBERS: Final = bytes(byte if byte in b"0123456789.eE+-" else 0x20 for byte in range(256))
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def parse(data: bytes, *, max_depth: int = MAX_DEPTH, max_integer: int = MAX_SAFE_INTEGER) -> Json:
    """Gives the one value that `data` says.

    max_depth:   arrays and objects one inside the other, at most 64; a scalar has depth 0.
    max_integer: integers beyond ± this are refused. A reader with doubles loses digits above 2^53 - 1, so for callers' bodies
                 it stays there; the reader of an upstream with 64-bit ids may say MAX_INT64.
    Raises Refused(BODY_MALFORMED), and nothing else: not RFC 8259, a byte order mark, invalid UTF-8, lone surrogates, NaN or
    Infinity, bytes after the value, duplicate names, too deep, integers out of range, numbers that a double takes for infinite
    or (written other than zero) for zero. A fraction with more digits than a double has is read as the nearest double, as
    every reader does.
    """
    if not (MAX_SAFE_INTEGER <= max_integer <= MAX_INT64 and 0 <= max_depth <= MAX_DEPTH):
        raise ValueError("max_integer lies between 2^53 - 1 and 2^63 - 1, max_depth between 0 and 64")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        _refuse()
    written = orjson.dumps(value)
    nested = data.count(b"[") + data.count(b"{") > max_depth
    # An integer without so long a run of digits is in range for every max_integer that may be asked for.
    long = _LONG_RUN in data.translate(_DIGITS)
    # Why equality proves that no name stands twice: a dict holds each name once, so the bytes that orjson writes of it hold
    # each once; if those are the very bytes that came, theirs do too. The same argument covers numbers out of a double's
    # range and integers that became floats: they are written differently from how they came.
    if written == data and not (nested or long):
        return cast(Json, value)
    # From here on what stands between the strings says it all. No step is taken for each value: whoever sends a megabyte of
    # small ones would have this process to himself.
    bare = _STRING.sub(b"", data)
    if nested and _deeper(bare, max_depth):
        _refuse()
    # A name that stood twice was written once, or not at all where it stood in a value that another took the place of.
    if written != data and bare.count(b":") != _STRING.sub(b"", written).count(b":"):
        _refuse()
    if long or _EXPONENT.search(bare):
        _check(bare.translate(_NUMBERS).split(), max_integer)
    return cast(Json, value)


def dump(value: Json) -> bytes:
    """Gives the compact UTF-8 bytes of a value that `parse` could have given; `parse(dump(v)) == v`.

    Raises TypeError for what JSON cannot carry (a lone surrogate, an integer beyond 64 bits): such a value is our own defect.
    """
    return orjson.dumps(value)


def _refuse() -> NoReturn:
    # The parser's own text quotes the document, which may hold personal data: the cause is cut.
    raise Refused(Code.BODY_MALFORMED) from None


def _deeper(bare: bytes, most: int) -> bool:
    """True where arrays and objects stand one inside the other more than `most` times: each round takes away those with nothing inside."""
    left = bare.translate(_SQUARE, _NO_BRACKET)
    for _ in range(most):
        if not left:
            return False
        left = left.replace(b"[]", b"")
    return bool(left)


def _check(numbers: list[bytes], limit: int) -> None:
    """Raises Refused for an integer beyond ± `limit`, and for what a double takes for infinite or (written other than zero) for zero."""
    floats = [one for one in numbers if len(one) >= _SHORT and (b"e" in one or b"." in one or b"E" in one)]
    reads = list(map(float, floats))
    if math.inf in reads or -math.inf in reads:
        _refuse()
    if 0 in reads and any(
        read == 0 and _NOT_ZERO.match(one) for one, read in zip(floats, reads, strict=True)
    ):
        _refuse()
    for one in numbers:
        if len(one) < len(_LONG_RUN) or b"e" in one or b"." in one or b"E" in one:
            continue
        # The length first: converting thousands of digits is slow, and Python refuses it with an error of its own.
        if len(one) > _MAX_DIGITS or not -limit <= int(one) <= limit:
            _refuse()
