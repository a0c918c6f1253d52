"""Secrets of clients: an API key's row whose proof is a secret that is exchanged for tokens (gateway/identity/tables.py)."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# Columns that never change, then the two that are set once. `IS NOT` and `IS DISTINCT FROM` count NULL as a value.
FIXED = ("id", "client", "hash", "created", "overlap_seconds", "intent")
ONCE = ("ended_at", "end_intent")


def exact(name: str) -> sa.Column[str]:
    """Text that compares by code point on both engines."""
    collation = "C" if op.get_bind().dialect.name == "postgresql" else "BINARY"
    return sa.Column(name, sa.Text(collation=collation), nullable=False)


def upgrade() -> None:
    """Makes the table, and what refuses to give an ended secret back or to put another in its place."""
    op.create_table(
        "client_secrets",
        exact("id"),
        exact("client"),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("overlap_seconds", sa.BigInteger, nullable=False),
        sa.Column("intent", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_intent", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_client_secrets"),
    )
    op.create_index("ix_client_secrets_client", "client_secrets", ["client"])
    op.create_index("ix_client_secrets_intent", "client_secrets", ["intent"], unique=True)
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    fixed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in FIXED)
    once = " OR ".join(f"(OLD.{name} IS NOT NULL AND NEW.{name} IS NOT OLD.{name})" for name in ONCE)
    op.execute(
        f"CREATE TRIGGER client_secrets_forward BEFORE UPDATE ON client_secrets WHEN {fixed} OR {once} "
        "BEGIN SELECT RAISE(ABORT, 'a secret only goes forward'); END"
    )
    op.execute(
        "CREATE TRIGGER client_secrets_stay BEFORE DELETE ON client_secrets "
        "BEGIN SELECT RAISE(ABORT, 'a secret is ended, never deleted'); END"
    )


def _guard_postgresql() -> None:
    fixed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED)
    once = " OR ".join(
        f"(OLD.{name} IS NOT NULL AND NEW.{name} IS DISTINCT FROM OLD.{name})" for name in ONCE
    )
    op.execute(
        "CREATE FUNCTION client_secrets_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP <> 'UPDATE' THEN RAISE EXCEPTION 'a secret is ended, never deleted' USING ERRCODE = '23001'; END IF; "
        f"IF {fixed} OR {once} THEN RAISE EXCEPTION 'a secret only goes forward' USING ERRCODE = '23001'; END IF; "
        "RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER client_secrets_forward BEFORE UPDATE OR DELETE ON client_secrets "
        "FOR EACH ROW EXECUTE FUNCTION client_secrets_guard()"
    )
    op.execute(
        "CREATE TRIGGER client_secrets_stay BEFORE TRUNCATE ON client_secrets "
        "FOR EACH STATEMENT EXECUTE FUNCTION client_secrets_guard()"
    )
