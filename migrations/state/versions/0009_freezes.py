"""Credentials and persons that are frozen because a decoy was touched with them (gateway/identity/tables.py)."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"

# Columns that never change, then the two that are set once. `IS NOT` and `IS DISTINCT FROM` count NULL as a value.
FIXED = ("intent", "who", "since")
ONCE = ("lifted_at", "lift_intent")


def upgrade() -> None:
    """Makes the table, and what refuses to forget a freeze or to move it to somebody else."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "freezes",
        sa.Column("intent", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("who", sa.Text(collation="C" if postgresql else "BINARY"), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("lifted_at", sa.BigInteger),
        sa.Column("lift_intent", sa.BigInteger),
        sa.PrimaryKeyConstraint("intent", name="pk_freezes"),
    )
    op.create_index("ix_freezes_who", "freezes", ["who"])
    if postgresql:
        _guard_postgresql()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    fixed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in FIXED)
    once = " OR ".join(f"(OLD.{name} IS NOT NULL AND NEW.{name} IS NOT OLD.{name})" for name in ONCE)
    op.execute(
        f"CREATE TRIGGER freezes_forward BEFORE UPDATE ON freezes WHEN {fixed} OR {once} "
        "BEGIN SELECT RAISE(ABORT, 'a freeze only goes forward'); END"
    )
    op.execute(
        "CREATE TRIGGER freezes_stay BEFORE DELETE ON freezes "
        "BEGIN SELECT RAISE(ABORT, 'a freeze is lifted, never deleted'); END"
    )


def _guard_postgresql() -> None:
    fixed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED)
    once = " OR ".join(
        f"(OLD.{name} IS NOT NULL AND NEW.{name} IS DISTINCT FROM OLD.{name})" for name in ONCE
    )
    op.execute(
        "CREATE FUNCTION freezes_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP <> 'UPDATE' THEN RAISE EXCEPTION 'a freeze is lifted, never deleted' USING ERRCODE = '23001'; END IF; "
        f"IF {fixed} OR {once} THEN RAISE EXCEPTION 'a freeze only goes forward' USING ERRCODE = '23001'; END IF; "
        "RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER freezes_forward BEFORE UPDATE OR DELETE ON freezes "
        "FOR EACH ROW EXECUTE FUNCTION freezes_guard()"
    )
    op.execute(
        "CREATE TRIGGER freezes_stay BEFORE TRUNCATE ON freezes "
        "FOR EACH STATEMENT EXECUTE FUNCTION freezes_guard()"
    )
