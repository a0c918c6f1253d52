"""The policy room's table in the state store; migrations/state makes it."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, Table

from gateway.store.tables import Exact, Instant, metadata

BUNDLES = Table(
    "bundles",
    metadata,
    Column("digest", Exact, primary_key=True),
    Column("files", LargeBinary, nullable=False),
    Column("kept", Instant, nullable=False),
)
"""One row a bundle that was in force, never changed and never deleted. files: `packing.packed`. kept: when it was kept first."""
