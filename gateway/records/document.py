"""Embedded upstream: from a body's bytes to a document that may be stored. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NoReturn

from gateway.records.kinds import Field, Form, Kind
from gateway.records.problem import Problem
from gateway.words.json import Json

MAX_VALUE_BYTES = 64 * 1024

Document = dict[str, Json]
"""Every field of the kind, null where it has no value."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def parse(body: bytes) -> Document:
    """Reads one JSON object. Raises Problem(body) for a member named twice, NaN, bytes that are not UTF-8, too deep a nesting."""
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError too
        raise Problem("body") from error
    if not isinstance(document, dict):
        raise Problem("body")
    return document


def _once(pairs: list[tuple[str, Json]]) -> Document:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Problem("body")
    return document


def _refuse(_name: str) -> NoReturn:
    raise Problem("body")


def created(kind: Kind, given: Mapping[str, Json], implied: Mapping[str, Json], now: datetime) -> Document:
    """Gives a new record's document, without the store's own fields. `implied` are fields that the place or the parent settles.

    Raises Problem: field-unknown, field-value, field-required, field-read-only (an own field, or another value than the implied one).
    """
    for name, value in given.items():
        if _field(kind, name).own or (name in implied and implied[name] != value):
            raise Problem("field-read-only", field=name)
    values = {**given, **implied}
    document: Document = {}
    for field in _writable(kind):
        value = values.get(field.name)
        if value is None:
            value = instant(now) if field.form is Form.INSTANT else field.default
        document[field.name] = _checked(field, value)
    return document


def replaced(kind: Kind, given: Mapping[str, Json], current: Mapping[str, Json]) -> Document:
    """Gives what PUT makes of a record: fields that are not given become null, save those that never change. No default takes their
    place: whoever decided on this change decided on what was given.

    Raises Problem: field-unknown, field-value, field-required, field-read-only (a field that never changes, with another value).
    """
    _unchanged(kind, given, current)
    return {
        field.name: current[field.name] if field.fixed else _checked(field, given.get(field.name))
        for field in _writable(kind)
    }


def merged(kind: Kind, given: Mapping[str, Json], current: Mapping[str, Json]) -> Document:
    """Gives what PATCH makes of a record (RFC 7396): what is named is set, null clears, the rest stays. Raises as `replaced`."""
    _unchanged(kind, given, current)
    return {
        field.name: _checked(field, given[field.name])
        if field.name in given and not field.fixed
        else current[field.name]
        for field in _writable(kind)
    }


def instant(moment: datetime) -> str:
    """Gives a moment as every record states it: UTC, microseconds, always as long, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _unchanged(kind: Kind, given: Mapping[str, Json], current: Mapping[str, Json]) -> None:
    # What a caller read and sends back unchanged must change nothing: own fields may be named, with their present value.
    for name, value in given.items():
        field = _field(kind, name)
        fixed = field.own or field.fixed
        if fixed and (type(value) is not type(current[name]) or value != current[name]):
            raise Problem("field-read-only", field=name)


def _field(kind: Kind, name: str) -> Field:
    field = kind.fields.get(name)
    if field is None:
        # The name is the caller's and may be anything, a value as well: it is not repeated.
        raise Problem("field-unknown")
    return field


def _writable(kind: Kind) -> list[Field]:
    return [field for field in kind.fields.values() if not field.own]


def _checked(field: Field, value: Json) -> Json:
    if value is None:
        if field.required:
            raise Problem("field-required", field=field.name)
        return None
    if field.form is Form.LIST and isinstance(value, list):
        if sum(_size(field, one) for one in value) > MAX_VALUE_BYTES:
            raise Problem("field-value", field=field.name)
        return value
    _size(field, value)
    if field.form is Form.CHOICE and value not in field.choices:
        raise Problem("field-value", field=field.name)
    return value if field.form is not Form.INSTANT else moment_of(field, str(value))


def _size(field: Field, value: Json) -> int:
    """Gives the size of a string that can be stored as it is: UTF-8 without NUL (PostgreSQL keeps none), 64 KiB at most."""
    if not isinstance(value, str) or "\0" in value:
        raise Problem("field-value", field=field.name)
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:  # a lone surrogate
        raise Problem("field-value", field=field.name) from error
    if size > MAX_VALUE_BYTES:
        raise Problem("field-value", field=field.name)
    return size + 4  # with its quotes, a comma and a line feed


def moment_of(field: Field, value: str) -> str:
    """Gives a moment (RFC 3339 section 5.6, any offset) as `instant` states it. Raises Problem(field-value)."""
    if not _INSTANT.fullmatch(value):
        raise Problem("field-value", field=field.name)
    try:
        return instant(datetime.fromisoformat(value))
    except (ValueError, OverflowError) as error:  # the 30th of February; year 1 east of Greenwich
        raise Problem("field-value", field=field.name) from error
