"""Embedded upstream: its tables. What may be sealed is text without a length, compared by code point, never looked into."""

from __future__ import annotations

import orjson
from sqlalchemy import BigInteger, Column, Dialect, ForeignKey, Index, MetaData, Table, TypeDecorator

from gateway.store import NAMING, Damaged, Exact

metadata = MetaData(naming_convention=NAMING)

Listed = str | list[str]
_TEXT = frozenset({str})


class Listing(TypeDecorator[Listed]):
    """A list of strings, or one opaque string in its place (a list that was sealed whole).

    Shape: `s` and the string; or `a` and a JSON array whose elements stand each between line feeds. JSON escapes a line feed
    within a string, so that a line `"x"` is found exactly where x is an element (see `filter.py`).
    """

    impl = Exact
    cache_ok = True

    def process_bind_param(self, value: Listed | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # SQLAlchemy's signature
        """Gives the stored text."""
        if value is None or isinstance(value, str):
            return value if value is None else "s" + value
        return "a[" + ",".join(element(one) for one in value) + "]"

    def process_result_value(self, value: str | None, dialect: Dialect) -> Listed | None:  # noqa: ARG002  # as above
        """Gives what was stored. Raises Damaged for what this type never stored."""
        if value is None:
            return None
        if type(value) is not str or value[:1] not in ("s", "a"):
            raise Damaged
        if value[0] == "s":
            return value[1:]
        try:
            listed: list[str] = orjson.loads(value[1:])
        except orjson.JSONDecodeError:
            raise Damaged from None
        if type(listed) is not list or not _TEXT.issuperset(map(type, listed)):
            raise Damaged
        return listed


def element(one: str) -> str:
    """Gives an element as it stands within a stored list."""
    return f"\n{orjson.dumps(one).decode()}\n"


def _text(*names: str) -> list[Column[str]]:
    return [Column(name, Exact) for name in names]


def _own() -> list[Column[str] | Column[int]]:
    return [
        Column("id", Exact, primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("created_at", Exact, nullable=False),
        Column("updated_at", Exact, nullable=False),
    ]


customers = Table(
    "customers",
    metadata,
    *_own(),
    *_text("name", "phone", "email", "id_number", "bank_card", "address", "birth_date", "note"),
    *_text("unit", "region", "owner", "level"),
    Column("tags", Listing),
)

threads = Table(
    "threads",
    metadata,
    *_own(),
    Column("customer_id", Exact, ForeignKey("customers.id"), nullable=False),
    *_text("title", "channel", "status", "assignee", "unit", "region", "level", "owner"),
    Column("participants", Listing),
    Column("tags", Listing),
)

messages = Table(
    "messages",
    metadata,
    *_own(),
    Column("thread_id", Exact, ForeignKey("threads.id"), nullable=False),
    Column("customer_id", Exact, ForeignKey("customers.id"), nullable=False),
    *_text("unit", "region", "level", "owner", "author_kind", "author", "body", "sent_at"),
)

# A key outlives its record: a create that is repeated after a deletion must not bring the record back.
creation_keys = Table(
    "creation_keys",
    metadata,
    Column("key", Exact, primary_key=True),
    Column("kind", Exact, nullable=False),
    Column("record_id", Exact, nullable=False),
)

for _table, _columns in (
    (customers, ("unit", "id")),
    (customers, ("updated_at", "id")),
    (threads, ("customer_id", "id")),
    (threads, ("unit", "id")),
    (threads, ("updated_at", "id")),
    (messages, ("thread_id", "id")),
    (messages, ("thread_id", "sent_at", "id")),
    (messages, ("customer_id", "id")),
):
    Index(f"ix_{_table.name}_{'_'.join(_columns)}", *(_table.c[name] for name in _columns))
