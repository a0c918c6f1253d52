"""The identity room's tables in the state store; migrations/state makes them."""

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

CLIENT_SECRETS = Table(
    "client_secrets",
    metadata,
    Column("id", Exact, primary_key=True),
    Column("client", Exact, nullable=False),
    Column("hash", Text, nullable=False),
    Column("created", Instant, nullable=False),
    Column("overlap_seconds", BigInteger, nullable=False),
    Column("intent", BigInteger, nullable=False),
    Column("ended_at", Instant),
    Column("end_intent", BigInteger),
)
"""One row a secret. client: the id of the API key's row that says what it is for. overlap_seconds: how long the secrets before it
go on beside it. intent, end_intent, and what both triggers hold: as above."""

FREEZES = Table(
    "freezes",
    metadata,
    Column("intent", BigInteger, primary_key=True, autoincrement=False),
    Column("who", Exact, nullable=False),
    Column("since", Instant, nullable=False),
    Column("lifted_at", Instant),
    Column("lift_intent", BigInteger),
)
"""One row a freeze. who: a key's id or a person's, frozen while one of its rows is not lifted. Both triggers hold as above."""
