"""The policy room's table in the state store; migrations/state makes it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table

from gateway.store.tables import Exact, Instant, metadata

BUNDLES = Table(
    "bundles",
    metadata,
    Column("digest", Exact, primary_key=True),
    Column("files", LargeBinary, nullable=False),
    Column("kept", Instant, nullable=False),
)
"""One row a bundle that was in force or waits for an approval, never changed and never deleted. files: `packing.packed`.
kept: when it was kept first."""

OFFERS = Table(
    "offers",
    metadata,
    Column("digest", Exact, primary_key=True),
    Column("before", Exact, primary_key=True),
    Column("entry", BigInteger, nullable=False),
)
"""One row a state of a policy folder that was looked at, while which bundle was in force, and the entry that says what became of it."""

STANDING = Table(
    "standing",
    metadata,
    Column("log", Exact, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("hash", Exact, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)
"""Where a log's last activation stands, as far as it was read: `seq` is the last up to `upto`, 0 where there is none. Authenticated, so
that an older row can come back and only makes a start read more, and no other can be put there."""
