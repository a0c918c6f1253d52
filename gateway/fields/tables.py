"""Step 8's own tables in the state store: data subjects, their data keys, and which record opens with what (migrations 0001, 0002)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    LargeBinary,
    Table,
    UniqueConstraint,
)

from gateway.store.tables import Exact, Instant, metadata

SUBJECT = Table(
    "subject",
    metadata,
    Column("id", Exact, primary_key=True),
    Column("pseudonym", Exact, unique=True),  # random, 128 bits; null once destroyed with the keys
    Column("created", Instant, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)

DATA_KEY = Table(
    "data_key",
    metadata,
    Column("key", LargeBinary, primary_key=True),  # 16 bytes, random
    Column("subject", Exact, ForeignKey("subject.id"), nullable=False),
    Column("cls", Exact, nullable=False),
    Column("version", BigInteger, nullable=False),  # counts from 1 within (subject, cls)
    Column("kek_version", BigInteger, nullable=False),
    Column("wrapped", LargeBinary),  # null once destroyed
    Column("created", Instant, nullable=False),
    Column("destroyed_at", Instant),
    UniqueConstraint("subject", "cls", "version"),
)

BINDING = Table(
    "binding",
    metadata,
    Column("seal", Exact, primary_key=True),
    Column("upstream", Exact, nullable=False),
    Column("resource", Exact, nullable=False),
    # The evidence token of (upstream, resource, record id): an id may be an e-mail address, so it does not stand here in clear.
    Column("ref", Exact, unique=True),
    Column("place", LargeBinary, nullable=False),  # record id and parent, sealed under the root's own key
    Column("subject", Exact, ForeignKey("subject.id"), nullable=False),
    Column("founds", Boolean, nullable=False),
    Column("state", Exact, nullable=False),
    Column("marker", Exact),
    Column("created", Instant, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    CheckConstraint("state IN ('pending', 'bound')", name="state"),
    CheckConstraint("(state = 'bound') = (ref IS NOT NULL)", name="bound_has_ref"),
)
