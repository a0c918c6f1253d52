"""Keys by which callers name their changes, and the intent that each stands for (gateway/idempotency/tables.py)."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Makes the table and its two indices: what has ended, and how many one principal has."""
    op.create_table(
        "idempotency_key",
        *(
            sa.Column(name, sa.LargeBinary, nullable=False)
            for name in ("key", "principal", "request", "salt")
        ),
        sa.Column("intent", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_idempotency_key"),
    )
    op.create_index("ix_idempotency_key_expires", "idempotency_key", ["expires"])
    op.create_index("ix_idempotency_key_principal", "idempotency_key", ["principal", "expires"])
