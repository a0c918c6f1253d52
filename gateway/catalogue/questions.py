"""Step 3: reads a request's query parameters, only as the route lists them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NoReturn

from gateway.words.access import Call
from gateway.words.errors import Code, Refused
from gateway.words.filter import EVERYTHING, And, Compare, Contains, Eq, Filter, In, Prefix, Scalar
from gateway.words.json import Pattern
from gateway.words.resource import ParamSpec, ParamType, ParamUse
from gateway.words.work import Query, Sort

MAX_LIMIT = 500
MAX_SORT_KEYS = 4
MAX_IN_VALUES = 100
MAX_VALUE_CHARACTERS = 200
MAX_CURSOR_CHARACTERS = 2_000
MAX_EXPECTED_CHARACTERS = 400

_NUMBER = re.compile(r"[1-9][0-9]{0,2}")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,14}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# RFC 3339 section 5.6, in UTC; or the date alone. ASCII digits: `fromisoformat` would take others.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z)?")
# An opaque text of ours: base64url and what joins its parts.
_CURSOR = re.compile(r"[A-Za-z0-9._~=-]{1,2000}")
# A name that may be repeated to its sender: a word, not a value that slipped into the name's place.
_NAME = re.compile(r"[A-Za-z_@][A-Za-z_.:@-]{0,39}(\[[A-Za-z_]{0,16}\])?")

# What fits, as a caller may read it.
_TRUTH = "true or false"
_MOMENT = "YYYY-MM-DD or, in UTC, YYYY-MM-DDThh:mm:ssZ"
_EXPECTED = {ParamUse.LIMIT: f"1 to {MAX_LIMIT}", ParamUse.COUNT: _TRUTH}


def read_query(call: Call, params: Mapping[str, ParamSpec]) -> Query:
    """Gives a list's question.

    Raises Refused: PARAMETER_UNKNOWN and PARAMETER_MALFORMED, each naming the parameter and never its value.
    """
    if not call.query and not call.raw_query:
        return Query()
    reading = _Reading()
    for (name, value), spelled in zip(call.query, _spelled(call), strict=True):
        param = _known(name, params, reading.seen)
        if param.type is ParamType.TIME:
            value = _moment(param, value)
            spelled = (spelled[0], value)  # of these characters none has a second spelling in a query
        if reading.take(param, value):
            reading.passing.append(spelled)
    return reading.query()


def read_flags(call: Call, params: Mapping[str, ParamSpec]) -> None:
    """Checks the parameters of a route that is no list: flags that pass as they are. Raises as `read_query`."""
    if not call.query and not call.raw_query:
        return
    reading = _Reading()
    for (name, value), _ in zip(call.query, _spelled(call), strict=True):
        reading.take(_known(name, params, reading.seen), value)


def raw_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Gives pairs, each as the caller spelled it, as a query."""
    return "&".join(f"{name}={value}" for name, value in pairs)


def _spelled(call: Call) -> list[tuple[str, str]]:
    """Gives the pairs as spelled, one for each decoded one; the edge promises that each has its `=`."""
    pairs = []
    for part in call.raw_query.split("&"):
        name, equals, value = part.partition("=")
        if not equals:
            raise Refused(Code.TARGET_AMBIGUOUS)
        pairs.append((name, value))
    if len(pairs) != len(call.query):
        raise Refused(Code.TARGET_AMBIGUOUS)
    return pairs


def _known(name: str, params: Mapping[str, ParamSpec], seen: set[str]) -> ParamSpec:
    param = params.get(name)
    if param is None:
        raise Refused(Code.PARAMETER_UNKNOWN, parameter=name if _NAME.fullmatch(name) else "?")
    if name in seen:
        _malformed(param)
    seen.add(name)
    return param


def _malformed(param: ParamSpec, expected: str = "") -> NoReturn:
    said = {"expected": expected} if expected else {}
    raise Refused(Code.PARAMETER_MALFORMED, parameter=param.name, **said)


class _Reading:
    """One query being read, parameter by parameter."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.passing: list[tuple[str, str]] = []
        self._filters: list[Filter] = []
        self._uses: set[Pattern] = set()
        self._sort: tuple[Sort, ...] = ()
        self._limit = 50
        self._cursor: str | None = None
        self._count = False

    def take(self, param: ParamSpec, value: str) -> bool:
        """Reads one parameter; True when it goes on to the upstream. The page is the gateway's own."""
        match param.use:
            case ParamUse.FILTER if param.field is not None:
                self._filters.append(_filter(param, param.field, value))
                self._uses.add(param.field)
                return True
            case ParamUse.SORT:
                self._sort = _sort(param, value)
                self._uses.update(key.field for key in self._sort)
                return True
            case ParamUse.PASS if value in param.values:
                return True
            case ParamUse.LIMIT if _NUMBER.fullmatch(value) and int(value) <= MAX_LIMIT:
                self._limit = int(value)
            case ParamUse.CURSOR if _CURSOR.fullmatch(value):
                self._cursor = value
            case ParamUse.COUNT if value in ("true", "false"):
                self._count = value == "true"
            case _:
                _malformed(param, _EXPECTED.get(param.use, "") or _listed(param))
        return False

    def query(self) -> Query:
        """Gives what was read."""
        return Query(
            passing=tuple(self.passing),
            uses=frozenset(self._uses),
            filter=_joined(self._filters),
            sort=self._sort,
            limit=self._limit,
            cursor=self._cursor,
            count=self._count,
        )


def _joined(filters: list[Filter]) -> Filter:
    if not filters:
        return EVERYTHING
    return filters[0] if len(filters) == 1 else And(tuple(filters))


def _named(param: ParamSpec, names: list[str]) -> Iterator[Pattern]:
    if len(set(names)) != len(names):
        _malformed(param)
    for name in names:
        if name not in param.names:
            _malformed(param)
        yield param.names[name]


def _sort(param: ParamSpec, value: str) -> tuple[Sort, ...]:
    keys = value.split(",")
    if len(keys) > MAX_SORT_KEYS:
        _malformed(param)
    fields = _named(param, [key.removeprefix("-") for key in keys])
    return tuple(Sort(field, key.startswith("-")) for field, key in zip(fields, keys, strict=True))


def _filter(param: ParamSpec, field: Pattern, value: str) -> Filter:
    match param.op:
        case "eq":
            return Eq(field, _value(param, value))
        case "in":
            values = value.split(",")
            if len(values) > MAX_IN_VALUES or len(set(values)) != len(values):
                _malformed(param)
            return In(field, tuple(_value(param, one) for one in values))
        case "prefix":
            return Prefix(field, _text(param, value))
        case "contains":
            return Contains(field, _text(param, value))
        case _:
            return Compare(field, param.op, _ordered(param, value))


def _value(param: ParamSpec, value: str) -> Scalar:
    if param.type is ParamType.BOOLEAN:
        if value not in ("true", "false"):
            _malformed(param, _TRUTH)
        return value == "true"
    return _ordered(param, value)


def _ordered(param: ParamSpec, value: str) -> str | int:
    if param.type is ParamType.INTEGER:
        if not _INTEGER.fullmatch(value):
            _malformed(param, "a whole number")
        return int(value)
    return _text(param, value)


def _text(param: ParamSpec, value: str) -> str:
    if param.values and value not in param.values:
        _malformed(param, _listed(param))
    if not 0 < len(value) <= MAX_VALUE_CHARACTERS or _CONTROL.search(value):
        _malformed(param)
    return value


def _listed(param: ParamSpec) -> str:
    """Gives the values that the catalogue lists for a parameter: the words of the route itself, and none of any record's."""
    words = ", ".join(sorted(param.values))
    return words if len(words) <= MAX_EXPECTED_CHARACTERS else ""


def _moment(param: ParamSpec, value: str) -> str:
    """Gives a date as it is, and a moment with all six digits of its second: so that the order of texts is that of time."""
    if not _TIME.fullmatch(value):
        _malformed(param, _MOMENT)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        _malformed(param, _MOMENT)
    if "T" not in value:
        return value
    whole, _, fraction = value.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<6}Z"
