"""Embedded upstream: the word `Filter` in SQL. Held to the word's own evaluation in Python, on both engines. No I/O.

Strings compare by code point: the columns are BINARY on SQLite and "C" on PostgreSQL, and both compare UTF-8 by bytes,
which is the order of code points. A null matches nothing but Absent; `Not` is two-valued, so its part is brought to false first.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, false, func, not_, null, or_, true, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from gateway.records.kinds import Form, Kind
from gateway.records.tables import element
from gateway.store import Exact
from gateway.words.decision import MAX_FACT_TEXT
from gateway.words.errors import Code, Refused
from gateway.words.filter import (
    EVERYTHING,
    NOTHING,
    Absent,
    And,
    Compare,
    Contains,
    Eq,
    Filter,
    In,
    Not,
    Or,
    Prefix,
    Scalar,
    Text,
    both,
    either,
    negated,
)

Sql = ColumnElement[bool]

_LARGEST = 2**63 - 1
_LAST = 0x10FFFF


class _found_at(FunctionElement[int]):  # noqa: N801  # used as a function
    """Where the second string begins within the first, from 1; 0 where it does not."""

    type = Integer()
    inherit_cache = True


@compiles(_found_at, "sqlite")
def _instr(what: _found_at, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(what.clauses, **options)})"


@compiles(_found_at, "postgresql")
def _strpos(what: _found_at, compiler: Any, **options: Any) -> str:
    return f"strpos({compiler.process(what.clauses, **options)})"


def render(what: Filter, kind: Kind) -> Sql:
    """Gives the condition on the kind's table.

    Raises Refused (FIELD_UNKNOWN) for a field that the kind has not, (VALUE_REFUSED) for a value that is not UTF-8.
    """
    match what:
        case And(parts):
            return and_(true(), *(render(part, kind) for part in parts))
        case Or(parts):
            return or_(false(), *(render(part, kind) for part in parts))
        case Not(part):
            return not_(func.coalesce(render(part, kind), false()))
        case Absent(name):
            return _Place(name, kind).column.is_(null())
        case Eq(name, value):
            return _Place(name, kind).equal((value,))
        case In(name, values):
            return _Place(name, kind).equal(values)
        case Compare(name, op, value):
            return _Place(name, kind).compare(op, value)
        case Prefix(name, value):
            return _Place(name, kind).prefix(value)
        case Contains(name, value):
            return _Place(name, kind).contains(value)
        case Text(name):
            return _Place(name, kind).text()


def settled(what: Filter, kind: Kind) -> Filter:
    """Gives the filter over the kind's own fields: one that it has not is absent from every record, and no value of it matches."""
    match what:
        case And(parts):
            return both([settled(part, kind) for part in parts])
        case Or(parts):
            return either([settled(part, kind) for part in parts])
        case Not(part):
            return negated(settled(part, kind))
    if what.field[:1] == "/" and what.field[1:] in kind.fields:
        return what
    return EVERYTHING if isinstance(what, Absent) else NOTHING


class _Place:
    """A field's column, and the questions that can be put to it."""

    def __init__(self, pointer: str, kind: Kind) -> None:
        field = kind.fields.get(pointer.removeprefix("/")) if pointer.startswith("/") else None
        if field is None:
            raise Refused(Code.FIELD_UNKNOWN, field=pointer)
        self.name, self.form = pointer, field.form
        # A list's column is asked as the text that it is: `s` stands before what is a string, `a` before what is a list.
        column: ColumnElement[Any] = kind.table.c[field.name]
        self.column = type_coerce(column, Exact) if field.form is Form.LIST else column
        self.mark = "s" if field.form is Form.LIST else ""

    def equal(self, values: tuple[Scalar, ...]) -> Sql:
        """The field is one of the values, type included."""
        if self.form is Form.NUMBER:
            numbers = [v for v in values if type(v) is int and -_LARGEST <= v <= _LARGEST]
            return self.column.in_(numbers) if numbers else false()
        # No stored string has a NUL (PostgreSQL keeps none), so that nothing equals one that has.
        texts = [self.mark + self._utf8(v) for v in values if isinstance(v, str) and "\0" not in v]
        if len(texts) == 1:
            return self.column == texts[0]
        return self.column.in_(texts) if texts else false()

    def compare(self, op: str, value: str | int) -> Sql:
        """The field stands in that order to the value, type included."""
        if self.form is Form.NUMBER:
            return self._number(op, value) if type(value) is int else false()
        if not isinstance(value, str):
            return false()
        head, nul, _ = self._utf8(value).partition("\0")
        if nul:  # a string without NUL is below `head + NUL + …` exactly when it is not above `head`
            op = "le" if op in ("lt", "le") else "gt"
        order = _ordered(self.column, op, self.mark + head)
        return and_(order, self._is_text()) if self.mark else order

    def _number(self, op: str, value: int) -> Sql:
        if abs(value) > _LARGEST:  # beyond every stored number, and beyond what the drivers take
            return self.column.is_not(null()) if (value > 0) == (op in ("lt", "le")) else false()
        return _ordered(self.column, op, value)

    def prefix(self, value: str) -> Sql:
        """The field is a string that begins so: a range, which an index serves."""
        if self.form is Form.NUMBER or "\0" in value:
            return false()
        start = self.mark + self._utf8(value)
        end = _after(start)
        if end is None:
            return self.column >= start
        return and_(self.column >= start, self.column < end)

    def contains(self, value: str) -> Sql:
        """The field is a string that holds the value, or a list that has it."""
        if self.form is Form.NUMBER or "\0" in value:
            return false()
        text = self._utf8(value)
        if not self.mark:
            return _found_at(self.column, text) > 0
        whole = and_(self._is_text(), _found_at(func.substr(self.column, 2), text) > 0)
        return or_(whole, and_(not_(self._is_text()), _found_at(self.column, element(text)) > 0))

    def text(self) -> Sql:
        """The field is a string that can be a fact. Both engines count characters, not bytes; neither keeps a NUL in a text."""
        if self.form is Form.NUMBER:
            return false()
        short = func.length(self.column) <= MAX_FACT_TEXT + len(self.mark)
        return and_(self._is_text(), short) if self.mark else short

    def _is_text(self) -> Sql:
        return func.substr(self.column, 1, 1) == self.mark

    def _utf8(self, value: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Refused(Code.VALUE_REFUSED, field=self.name) from error
        return value


def _ordered(column: ColumnElement[Any], op: str, value: str | int) -> Sql:
    match op:
        case "lt":
            return column < value
        case "le":
            return column <= value
        case "gt":
            return column > value
        case "ge":
            return column >= value
    raise Refused(Code.PARAMETER_MALFORMED, parameter=op)


def _after(prefix: str) -> str | None:
    """Gives the least string above all that begin with the prefix; None where there is none."""
    body = prefix.rstrip(chr(_LAST))
    if not body:
        return None
    last = ord(body[-1]) + 1
    return body[:-1] + chr(0xE000 if last == 0xD800 else last)  # surrogates are no characters
