"""Threads and messages repeat their customer's level and owner, so that who may not see him sees nothing of theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the columns and fills them from the customers."""
    collation = "C" if op.get_bind().dialect.name == "postgresql" else "BINARY"
    for table in ("threads", "messages"):
        for name in ("level", "owner"):
            op.add_column(table, sa.Column(name, sa.Text(collation=collation)))
        op.execute(
            f"UPDATE {table} SET (level, owner) = "  # noqa: S608  # names of our own tables
            f"(SELECT c.level, c.owner FROM customers c WHERE c.id = {table}.customer_id)"
        )
