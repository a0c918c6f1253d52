"""JSON read in exactly one way, on both sides: callers' bodies and upstreams' answers (steps 1 and 7). Pure.

Two readers may differ on a document and still both be right (RFC 8259 sections 4 and 6: duplicate names, large numbers).
A gateway that decides on one reading and forwards another is no gateway, so such a document is refused.
"""

from __future__ import annotations

import json
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
_CONTAINERS: Final = (list, dict)
_CHECKED: Final = (list, dict, int)


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
    deep = data.count(b"[") + data.count(b"{") > max_depth
    # An integer without so long a run of digits is in range for every max_integer that may be asked for.
    if deep or _LONG_RUN in data.translate(_DIGITS):
        _check(value, max_depth, max_integer)
    # Why equality proves that no name stands twice: a dict holds each name once, so the bytes that orjson writes of it hold
    # each once; if those are the very bytes that came, theirs do too. The same argument covers numbers out of a double's
    # range and integers that became floats: they are written differently from how they came.
    if orjson.dumps(value) != data:
        return _strict(data, max_integer)
    return cast(Json, value)


def dump(value: Json) -> bytes:
    """Gives the compact UTF-8 bytes of a value that `parse` could have given; `parse(dump(v)) == v`.

    Raises TypeError for what JSON cannot carry (a lone surrogate, an integer beyond 64 bits): such a value is our own defect.
    """
    return orjson.dumps(value)


def _refuse() -> NoReturn:
    # The parser's own text quotes the document, which may hold personal data: the cause is cut.
    raise Refused(Code.BODY_MALFORMED) from None


def _check(value: Json, depth: int, limit: int) -> None:
    """Raises Refused where the value is deeper than `depth` or holds an integer beyond ± `limit`. Recurses `depth` deep at most."""
    if isinstance(value, int) and not -limit <= value <= limit:
        _refuse()
    if isinstance(value, _CONTAINERS):
        if depth == 0:
            _refuse()
        for member in value.values() if isinstance(value, dict) else value:
            if isinstance(member, _CHECKED):
                _check(member, depth - 1, limit)


def _strict(data: bytes, max_integer: int) -> Json:
    """Reads again, member by member. `data` is known to be RFC 8259 in UTF-8 and not deeper than allowed."""

    def members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) != len(pairs):
            _refuse()
        return found

    def integer(text: str) -> int:
        # The length first: converting thousands of digits is slow, and Python refuses it with an error of its own.
        if len(text) > _MAX_DIGITS or not -max_integer <= int(text) <= max_integer:
            _refuse()
        return int(text)

    def number(text: str) -> float:
        read = float(text)
        if read == 0 and any(digit in "123456789" for digit in text.lower().partition("e")[0]):
            _refuse()
        return read

    decoder = json.JSONDecoder(object_pairs_hook=members, parse_int=integer, parse_float=number)
    return cast(Json, decoder.decode(data.decode("utf-8")))
