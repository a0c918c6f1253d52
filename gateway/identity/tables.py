"""The identity room's table in the state store; migrations/state makes it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from gateway.store.tables import Exact, Instant, metadata

API_KEYS = Table(
    "api_keys",
    metadata,
    Column("id", Exact, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("application", Exact, nullable=False),
    Column("roles", Text, nullable=False),
    Column("purposes", Text, nullable=False),
    Column("created", Instant, nullable=False),
    Column("not_after", Instant, nullable=False),
    Column("intent", BigInteger, nullable=False),
    Column("confirmed_at", Instant),
    Column("revoked_at", Instant),
    Column("revoke_intent", BigInteger),
)
"""One row a key. intent, revoke_intent: the log's numbers of the entries that say why the row is so. Both triggers that the
migration makes hold on either engine: a row's identity never changes, and what is revoked stays revoked."""
