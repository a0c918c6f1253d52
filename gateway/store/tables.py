"""Ground: what the tables of the state store share. Rooms declare theirs on `metadata`, in their own `tables.py`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Dialect, MetaData, Table, Text, TextClause, TypeDecorator, bindparam, text
from sqlalchemy.types import TypeEngine

from gateway.store.damage import Damaged

# Every constraint has the same name on both engines, so that a migration can name it.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)
"""The state store: identity, catalogue, keys, bindings, jobs. The records store and the log have their own."""


def insert_unless_there(table: Table) -> TextClause:
    """Gives the insert of a whole row that does nothing where a constraint of the table says that the row is there.

    Both engines read the same text; through SQLAlchemy's own constructs each start would load the other engine's dialect.
    """
    names = [column.name for column in table.columns]
    values = ", ".join(f":{name}" for name in names)
    clause = text(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({values}) ON CONFLICT DO NOTHING")  # noqa: S608 - names of our own tables
    return clause.bindparams(*(bindparam(column.name, type_=column.type) for column in table.columns))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Exact(TypeDecorator[str]):
    """Text that compares and sorts by code point on both engines, as Python does: BINARY on SQLite, "C" on PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        return dialect.type_descriptor(Text(collation="C" if dialect.name == "postgresql" else "BINARY"))


class Instant(TypeDecorator[datetime]):
    """A moment in UTC, kept as whole microseconds since 1970 in a 64-bit integer: the same order and precision on both engines."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002  # SQLAlchemy's signature
        """Raises ValueError for a moment without a zone: that is a bug here, never an input."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # as above
        """Gives the moment back in UTC. Raises Damaged for what is none."""
        if value is None:
            return None
        moment = moment_of(value)
        if moment is None:
            raise Damaged
        return moment


def moment_of(stored: object) -> datetime | None:
    """Gives the moment that a column of `Instant` holds, None for anything else that stands there."""
    if type(stored) is not int:
        return None
    try:
        return _EPOCH + stored * _MICROSECOND
    except OverflowError:
        return None
