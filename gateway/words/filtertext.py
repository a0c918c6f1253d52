"""The word `Filter` as a text, for an upstream that takes one whole: base64url of JSON, `["and", […], […]]`, `["eq", "/unit", "x"]`.

What `written` gives, `read` takes, and the other way round; anything else is refused.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from gateway.words.filter import Absent, And, Compare, Contains, Eq, Filter, In, Not, Or, Prefix, Text

MAX_TEXT = 6_000
"""Characters: half of what a request's target may have, and of a size that a database compares with at once."""
MAX_DEPTH = 40
_ORDERS = ("lt", "le", "gt", "ge")
_JOINED: dict[type, str] = {And: "and", Or: "or"}
_SINGLE: dict[type, str] = {Absent: "absent", Text: "text"}
_STRING: dict[type, str] = {Prefix: "prefix", Contains: "contains"}


class Unwritten(Exception):
    """The filter is too long or too deep to be sent, or the text is none that `written` gives. Says nothing of what it holds."""


def written(what: Filter) -> str:
    """Gives the filter's text. Raises Unwritten for one that is too long, too deep, or names what is no text in UTF-8."""
    try:
        plain = json.dumps(_plain(what, MAX_DEPTH), ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise Unwritten from None
    text = urlsafe_b64encode(plain).rstrip(b"=").decode()
    if len(text) > MAX_TEXT:
        raise Unwritten
    return text


def read(text: str) -> Filter:
    """Gives the filter of a text. Raises Unwritten."""
    if len(text) > MAX_TEXT:
        raise Unwritten
    try:
        plain = json.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        what = _filter(plain, MAX_DEPTH)
    except (ValueError, RecursionError):  # no base64, no UTF-8, no JSON
        raise Unwritten from None
    if written(what) != text:  # a second spelling
        raise Unwritten
    return what


def _plain(what: Filter, depth: int) -> list[Any]:
    if not depth:
        raise Unwritten
    match what:
        case And(parts) | Or(parts):
            return [_JOINED[type(what)], *(_plain(part, depth - 1) for part in parts)]
        case Not(part):
            return ["not", _plain(part, depth - 1)]
        case Eq(field, value):
            return ["eq", field, value]
        case In(field, values):
            return ["in", field, *values]
        case Compare(field, op, value):
            return [op, field, value]
        case Prefix(field, value) | Contains(field, value):
            return [_STRING[type(what)], field, value]
        case Absent(field) | Text(field):
            return [_SINGLE[type(what)], field]


def _filter(plain: object, depth: int) -> Filter:
    if not depth:
        raise Unwritten
    match plain:
        case ["and", *parts]:
            return And(tuple(_filter(part, depth - 1) for part in parts))
        case ["or", *parts]:
            return Or(tuple(_filter(part, depth - 1) for part in parts))
        case ["not", part]:
            return Not(_filter(part, depth - 1))
        case ["eq", str() as field, str() | int() as value]:
            return Eq(field, value)
        case ["in", str() as field, *values] if all(isinstance(value, str | int) for value in values):
            return In(field, tuple(value for value in values if isinstance(value, str | int)))
        case [str() as op, str() as field, str() | int() as value] if op in _ORDERS:
            return Compare(field, op, value)
        case ["prefix", str() as field, str() as value]:
            return Prefix(field, value)
        case ["contains", str() as field, str() as value]:
            return Contains(field, value)
        case ["absent", str() as field]:
            return Absent(field)
        case ["text", str() as field]:
            return Text(field)
    raise Unwritten
