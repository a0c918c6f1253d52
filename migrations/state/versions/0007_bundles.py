"""Bundles that were in force, by their digest: what a recorded decision is made again with (gateway/policy/kept/tables.py)."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Makes the table, and what refuses to put something else in the place of a bundle or to take it away."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "bundles",
        sa.Column("digest", sa.Text(collation="C" if postgresql else "BINARY"), nullable=False),
        sa.Column("files", sa.LargeBinary, nullable=False),
        sa.Column("kept", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_bundles"),
    )
    if postgresql:
        _guard_postgresql()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    for what in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER bundles_no_{what.lower()} BEFORE {what} ON bundles "
            "BEGIN SELECT RAISE(ABORT, 'a bundle is kept as it was'); END"
        )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION bundles_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'a bundle is kept as it was' USING ERRCODE = '23001'; END $$"
    )
    op.execute(
        "CREATE TRIGGER bundles_kept BEFORE UPDATE OR DELETE ON bundles "
        "FOR EACH ROW EXECUTE FUNCTION bundles_guard()"
    )
    op.execute(
        "CREATE TRIGGER bundles_stay BEFORE TRUNCATE ON bundles "
        "FOR EACH STATEMENT EXECUTE FUNCTION bundles_guard()"
    )
