"""Embedded upstream: from a list's query string to filter, order and place. No I/O."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from sqlalchemy import ColumnElement, UnaryExpression, and_, false, null, or_

from gateway.records.document import moment_of
from gateway.records.filter import settled
from gateway.records.kinds import Field, Form, Kind
from gateway.records.problem import Problem
from gateway.words.filter import EVERYTHING, And, Compare, Contains, Eq, Filter, In, Prefix
from gateway.words.filtertext import Unwritten, read

DEFAULT_LIMIT, MAX_LIMIT, MAX_SORTS = 50, 500, 3

_FILTER = re.compile(r"([a-z_]+)(?:\[(in|lt|le|gt|ge|prefix|contains)\])?")
_LIMIT = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)

Place = tuple[str | int | None, ...]
"""Where a page ended: the last record's value of each sort key, its id last."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of an order."""

    field: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A list's question. sorts ends with the id, so that the order is total. digest: of all that a cursor belongs to.

    within: what the list is narrowed to besides; a cursor names a place in the order, and holds whatever a list is narrowed to.
    places: whoever asks is told where the list goes on after each single item.
    """

    filter: Filter
    sorts: tuple[Sort, ...]
    limit: int
    after: Place | None
    count: bool
    digest: str
    within: Filter = EVERYTHING
    places: bool = False


def parse(raw: bytes, kind: Kind, scope: str = "") -> Listing:
    """Reads `limit`, `cursor`, `sort`, `count`, `within` (a filter whole, `filtertext`), `places` and filters `field`,
    `field[in|lt|le|gt|ge|prefix|contains]`; `scope` is the parent's id.

    Raises Problem: parameter-unknown, parameter-value (twice the same, not UTF-8, out of range), cursor.
    """
    given = pairs(raw)
    limit = given.pop("limit", str(DEFAULT_LIMIT))
    cursor = given.pop("cursor", None)
    sorts = _sorts(given.pop("sort", "id"), kind)
    count, places = given.pop("count", "false"), given.pop("places", "false")
    within = _within(given.pop("within", None), kind)
    if not _LIMIT.fullmatch(limit) or int(limit) > MAX_LIMIT:
        raise Problem("parameter-value", field="limit")
    for name, said in (("count", count), ("places", places)):
        if said not in ("true", "false"):
            raise Problem("parameter-value", field=name)
    where = And(tuple(_filter(name, value, kind) for name, value in sorted(given.items())))
    # A cursor continues one list: same kind, parent, filter and order. Not a secret, so no key; a mix-up is refused.
    digested = orjson.dumps(
        [kind.name, scope, sorted(given.items()), [(s.field, s.descending) for s in sorts]]
    )
    digest = hashlib.sha256(digested).hexdigest()[:16]
    after = None if cursor is None else _place(cursor, sorts, digest, kind)
    return Listing(where, sorts, int(limit), after, count == "true", digest, within, places == "true")


def _within(text: str | None, kind: Kind) -> Filter:
    if text is None:
        return EVERYTHING
    try:
        what = read(text)
    except Unwritten:
        raise Problem("parameter-value", field="within") from None
    return settled(what, kind)


def pairs(raw: bytes) -> dict[str, str]:
    """Gives the query's parameters. Raises Problem(parameter-value) where one stands twice or is not UTF-8."""
    try:
        found = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw), errors="strict"
        )
    except ValueError as error:
        raise Problem("parameter-value") from error
    given = dict(found)
    if len(given) != len(found):
        raise Problem("parameter-value")
    return given


def _sorts(given: str, kind: Kind) -> tuple[Sort, ...]:
    sorts = tuple(Sort(name.removeprefix("-"), name.startswith("-")) for name in given.split(","))
    names = [sort.field for sort in sorts]
    if len(sorts) > MAX_SORTS or len(set(names)) != len(names) or not kind.sortable.issuperset(names):
        raise Problem("parameter-value", field="sort")
    return sorts if names[-1] == "id" else (*sorts, Sort("id", sorts[-1].descending))


def _filter(name: str, value: str, kind: Kind) -> Filter:
    matched = _FILTER.fullmatch(name)
    field = kind.fields.get(matched[1]) if matched else None
    if matched is None or field is None:
        raise Problem("parameter-unknown")
    pointer, op = f"/{field.name}", matched[2]
    match op:
        case None:
            return Eq(pointer, _scalar(value, field, name))
        case "in":
            return In(pointer, tuple(_scalar(one, field, name) for one in value.split(",")))
        case "prefix":
            return Prefix(pointer, value)
        case "contains":
            return Contains(pointer, value)
    return Compare(pointer, op, _scalar(value, field, name))


def _scalar(value: str, field: Field, name: str) -> str | int:
    if field.form is Form.INSTANT:
        return _moment(value, field, name)
    if field.form is not Form.NUMBER:
        return value
    if not _NUMBER.fullmatch(value):
        raise Problem("parameter-value", field=name)
    return int(value)


def _moment(value: str, field: Field, name: str) -> str:
    # A day alone stands before each of its moments in the order of text, which is what `ge` and `lt` mean by it.
    if _DAY.fullmatch(value):
        return value
    try:
        return moment_of(field, value)
    except Problem as error:
        raise Problem("parameter-value", field=name) from error


def cursor_of(listing: Listing, last: Place) -> str:
    """Gives the opaque text for the place after which the next page begins."""
    return urlsafe_b64encode(orjson.dumps([listing.digest, *last])).rstrip(b"=").decode()


def place_of(record: Mapping[str, Any], sorts: tuple[Sort, ...]) -> Place:
    """Gives the place of a record in the order."""
    return tuple(record[sort.field] for sort in sorts)


def _place(cursor: str, sorts: tuple[Sort, ...], digest: str, kind: Kind) -> Place:
    try:
        said = orjson.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (ValueError, Base64Error) as error:
        raise Problem("cursor") from error
    if not isinstance(said, list) or len(said) != len(sorts) + 1 or said[0] != digest:
        raise Problem("cursor")
    place = tuple(said[1:])
    for sort, value in zip(sorts, place, strict=True):
        number = kind.fields[sort.field].form is Form.NUMBER
        if not (type(value) is int and abs(value) < 2**63 if number else _textual(value, sort)):
            raise Problem("cursor")
    return place


def _textual(value: object, sort: Sort) -> bool:
    return (isinstance(value, str) and "\0" not in value) or (value is None and sort.field != "id")


def ordering(sorts: tuple[Sort, ...], kind: Kind) -> list[UnaryExpression[object]]:
    """Gives ORDER BY. Null stands below every value, on both engines."""
    return [
        kind.table.c[s.field].desc().nulls_last()
        if s.descending
        else kind.table.c[s.field].asc().nulls_first()
        for s in sorts
    ]


def beyond(sorts: tuple[Sort, ...], after: Place, kind: Kind) -> ColumnElement[bool]:
    """Gives the condition for records that stand after the place in the order of `sorts`. Raises nothing."""
    column, value, descending = kind.table.c[sorts[0].field], after[0], sorts[0].descending
    same: ColumnElement[bool] = column.is_(null()) if value is None else column == value
    past: ColumnElement[bool]
    if value is None:
        past = false() if descending else column.is_not(null())
    else:
        past = or_(column < value, column.is_(null())) if descending else column > value
    if len(sorts) == 1:
        return past
    return or_(past, and_(same, beyond(sorts[1:], after[1:], kind)))
