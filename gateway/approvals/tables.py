"""The approvals room's table in the state store; migrations/state makes it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table

from gateway.store.tables import Exact, Instant, metadata

APPROVALS = Table(
    "approvals",
    metadata,
    Column("id", Exact, primary_key=True),
    Column("kind", Exact, nullable=False),
    Column("before", Exact, nullable=False),
    Column("after", Exact, nullable=False),
    Column("digest", Exact, nullable=False),
    Column("filed_by", Exact, nullable=False),
    Column("filed_at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("intent", BigInteger, nullable=False),
    Column("confirmed_by", Exact),
    Column("confirmed_at", Instant),
    Column("confirm_intent", BigInteger),
    Column("executed", BigInteger),
    Column("lapsed_at", Instant),
)
"""One row a statement that was filed. A constraint refuses that one person files and confirms; triggers refuse that anything which was
said is changed, that what lapsed is confirmed, that what nobody confirmed is done, and that a row is taken away."""
