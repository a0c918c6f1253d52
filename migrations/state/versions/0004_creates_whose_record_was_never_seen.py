"""What the reconciler asks for each round: bindings that are still pending, the oldest first (gateway/fields/bindings.py)."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes the index: it holds the few rows that are pending, not those of every record."""
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_binding_pending", "binding", ["created"], sqlite_where=pending, postgresql_where=pending
    )
