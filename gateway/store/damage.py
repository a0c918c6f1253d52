"""Ground: cells that hold what nobody here wrote into them. One such cell is about its row: it is no outage of the database.

SQLite takes a value of any type into almost any column, and bytes that are no UTF-8 into a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, exc, type_coerce
from sqlalchemy.types import NullType

from gateway.words.errors import Unavailable

_NO_TEXT = "Could not decode to UTF-8"  # what Python's driver says; it has no code of its own

Rows = list[Row[tuple[Any, ...]]]


class Damaged(Unavailable):
    """A cell does not hold what its column is for. Whoever can tell which record that is says so of it alone."""


def raw(table: FromClause, *names: str) -> list[ColumnElement[Any]]:
    """Gives columns, all unless some are named, whose values come as the driver reads them: none is converted, none raises for its type."""
    columns = [column for column in table.c if not names or column.name in names]
    return [type_coerce(column, NullType()).label(column.name) for column in columns]


def no_text(error: BaseException) -> bool:
    """Tells whether a statement failed for a text that is none: the database is there, and its other rows can be read."""
    return isinstance(error, exc.OperationalError) and str(error.orig).startswith(_NO_TEXT)


def each(read: Callable[[Sequence[str]], Rows], asked: Sequence[str]) -> tuple[Rows, list[str]]:
    """Gives what `read` gives for those asked for together, and beside it those that stand in a row with a text that is none."""
    if not asked:
        return [], []
    try:
        return read(asked), []
    except exc.OperationalError as error:
        if not no_text(error):
            raise
    if len(asked) == 1:
        return [], list(asked)
    half = len(asked) // 2
    left, right = each(read, asked[:half]), each(read, asked[half:])
    return left[0] + right[0], left[1] + right[1]
