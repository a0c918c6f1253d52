"""Embedded upstream: its three kinds of record, field by field. Everything else here is driven by these values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from sqlalchemy import Table

from gateway.records import tables


class Form(StrEnum):
    """What a field's value looks like."""

    TEXT = "text"  # any string, an envelope as well as a name
    LIST = "list"  # a list of strings, or one string
    INSTANT = "instant"  # a moment in UTC, RFC 3339
    CHOICE = "choice"  # one of `choices`
    NUMBER = "number"  # set by the store only


@dataclass(frozen=True, slots=True)
class Field:
    """One field. required: not null. fixed: given at creation, then never changed (a record does not change hands). own: the store's."""

    name: str
    form: Form = Form.TEXT
    choices: frozenset[str] = frozenset()
    default: str | None = None
    required: bool = False
    fixed: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record. sortable: what a list may be ordered by; no field that may be sealed, a cursor would carry its value."""

    name: str
    prefix: str
    collection: str
    table: Table
    fields: Mapping[str, Field]
    sortable: frozenset[str]


def _kind(name: str, prefix: str, table: Table, fields: tuple[Field, ...], sortable: tuple[str, ...]) -> Kind:
    own = tuple(Field(n, Form.INSTANT, own=True) for n in ("created_at", "updated_at"))
    every = (Field("id", own=True), *fields, Field("version", Form.NUMBER, own=True), *own)
    return Kind(
        name,
        prefix,
        table.name,
        table,
        MappingProxyType({field.name: field for field in every}),
        frozenset({"id", "version", "created_at", "updated_at", *sortable}),
    )


FROM_CUSTOMER = ("level", "owner")
"""What a thread repeats of its customer, so that what is decided by it is decided alike; the store keeps both alike."""

FROM_THREAD = ("unit", "region", *FROM_CUSTOMER)
"""What a message repeats of its thread, likewise."""

CUSTOMER = _kind(
    "customer",
    "cus",
    tables.customers,
    (
        Field("name", required=True),
        *(Field(n) for n in ("phone", "email", "id_number", "bank_card", "address", "birth_date", "note")),
        *(Field(n) for n in ("unit", "region", "owner", "level")),
        Field("tags", Form.LIST),
    ),
    ("unit", "region", "owner", "level"),
)

THREAD = _kind(
    "thread",
    "thr",
    tables.threads,
    (
        Field("customer_id", required=True, fixed=True),
        Field("title"),
        Field("channel"),
        Field("status", Form.CHOICE, frozenset({"open", "pending", "closed"}), default="open", required=True),
        Field("assignee"),
        Field("participants", Form.LIST),
        Field("unit"),
        Field("region"),
        *(Field(name, fixed=True) for name in FROM_CUSTOMER),  # fixed for callers: they follow the customer's
        Field("tags", Form.LIST),
    ),
    ("customer_id", "channel", "status", "assignee", "unit", "region"),
)

MESSAGE = _kind(
    "message",
    "msg",
    tables.messages,
    (
        Field("thread_id", required=True, fixed=True),
        Field("customer_id", required=True, fixed=True),
        *(Field(name, fixed=True) for name in FROM_THREAD),  # fixed for callers: they follow the thread's
        Field("author_kind", Form.CHOICE, frozenset({"customer", "staff"}), required=True),
        Field("author"),
        Field("body", required=True),
        Field("sent_at", Form.INSTANT, required=True, fixed=True),
    ),
    ("sent_at", "author_kind", "unit", "region"),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (CUSTOMER, THREAD, MESSAGE)})
