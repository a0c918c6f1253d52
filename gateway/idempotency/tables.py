"""The idempotency room's table in the state store; migrations/state makes it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table

from gateway.store.tables import Instant, metadata

IDEMPOTENCY_KEY = Table(
    "idempotency_key",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("principal", LargeBinary, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("intent", BigInteger, nullable=False),
    Column("expires", Instant, nullable=False),
)
"""One row a key, written between a change's intent and its being forwarded. key, principal, request, salt: as in `words.claim.Claim`.

intent: the log's number of that intent. What became of it stands in the log and nowhere else: a row holds no outcome.
"""
