"""Data subjects and their data keys (gateway/fields/tables.py)."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def exact(name: str, *, null: bool = False) -> sa.Column[str]:
    """Text that compares by code point on both engines."""
    collation = "C" if op.get_bind().dialect.name == "postgresql" else "BINARY"
    return sa.Column(name, sa.Text(collation=collation), nullable=null)


def upgrade() -> None:
    """Makes the two tables."""
    op.create_table(
        "subject",
        exact("id"),
        exact("pseudonym", null=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subject"),
        sa.UniqueConstraint("pseudonym", name="uq_subject_pseudonym"),
    )
    op.create_table(
        "data_key",
        sa.Column("key", sa.LargeBinary, nullable=False),
        exact("subject"),
        exact("cls"),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("kek_version", sa.BigInteger, nullable=False),
        sa.Column("wrapped", sa.LargeBinary),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("destroyed_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("key", name="pk_data_key"),
        sa.UniqueConstraint("subject", "cls", "version", name="uq_data_key_subject"),
        sa.ForeignKeyConstraint(["subject"], ["subject.id"], name="fk_data_key_subject"),
    )
