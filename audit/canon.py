"""Canonical bytes (RFC 8785) of the values that an entry may hold: str, int, bool, null, list, object. No floats.

orjson escapes as RFC 8785 section 3.2.2.2 asks; its key order is by code point, which differs from the standard's
UTF-16 order (section 3.2.3) only where a key holds a character beyond U+FFFF. Those bytes take the slow path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from audit.errors import EventRefused
from audit.event import Json

MAX_INTEGER = 2**53 - 1  # RFC 8785 section 3.2.2.3: beyond it another reader would see another number
MAX_DEPTH = 16
_LEAVES = frozenset({str, bool, type(None)})
_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]")  # lead bytes of four-byte UTF-8


def canonical(value: Json) -> bytes:
    """The RFC 8785 bytes of `value`.

    Raises: EventRefused for a float, an integer beyond ±(2^53 - 1), a lone surrogate, a key that is no string,
    nesting deeper than 16, or any other type. The message names the type and never the value.
    Promises: equal values give equal bytes, whatever the order of their keys.
    """
    return dumps(plain(value))


def dumps(value: Json) -> bytes:
    """The RFC 8785 bytes of a value that `plain` made."""
    try:
        out = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
        if not out.isascii() and _BEYOND_BMP.search(out):
            out = orjson.dumps(_in_utf16_order(value), option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        # Its text can quote the value, so it is not kept as the cause.
        raise EventRefused("a string of the event is not valid Unicode") from None
    return out


def plain(value: Json, depth: int = 0) -> Json:
    """A copy of `value` of dict, list, str, int, bool and None only; a StrEnum becomes its text. Raises as `canonical`."""
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise EventRefused("an integer of the event is beyond 2^53 - 1")
        return value
    if depth >= MAX_DEPTH:
        raise EventRefused("the event nests too deep")
    if kind is list or kind is tuple:
        # Leaves are passed here and below without a call each: this runs on every request.
        return [item if type(item) in _LEAVES else plain(item, depth + 1) for item in value]
    if kind is dict or isinstance(value, Mapping):
        return _plain_mapping(value, depth + 1)
    if isinstance(value, str):
        return str.__str__(value)
    raise EventRefused(f"an entry cannot hold a {kind.__name__}")


def _plain_mapping(value: Mapping[str, Json], depth: int) -> dict[str, Json]:
    copy = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise EventRefused(f"an entry's key cannot be a {type(key).__name__}")
        name = key if type(key) is str else str.__str__(key)
        copy[name] = item if type(item) in _LEAVES else plain(item, depth)
    return copy


def _in_utf16_order(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _in_utf16_order(value[key]) for key in sorted(value, key=_utf16)}
    if isinstance(value, list):
        return [_in_utf16_order(item) for item in value]
    return value


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")
