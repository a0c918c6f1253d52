"""API keys: a keyed hash of each secret, what it is bound to, and the entries that say why."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# Columns that never change, then the two that are set once. `IS NOT` and `IS DISTINCT FROM` count NULL as a value.
FIXED = ("id", "digest", "application", "roles", "purposes", "created", "not_after", "intent")
ONCE = ("confirmed_at", "revoked_at", "revoke_intent")


def exact(name: str) -> sa.Column[str]:
    """Text that compares by code point on both engines."""
    collation = "C" if op.get_bind().dialect.name == "postgresql" else "BINARY"
    return sa.Column(name, sa.Text(collation=collation), nullable=False)


def upgrade() -> None:
    """Makes the table, and what refuses to un-revoke a key or to change what it is bound to."""
    op.create_table(
        "api_keys",
        exact("id"),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        exact("application"),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("purposes", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("intent", sa.BigInteger, nullable=False),
        sa.Column("confirmed_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("revoke_intent", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    fixed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in FIXED)
    once = " OR ".join(f"(OLD.{name} IS NOT NULL AND NEW.{name} IS NOT OLD.{name})" for name in ONCE)
    op.execute(
        f"CREATE TRIGGER api_keys_forward BEFORE UPDATE ON api_keys WHEN {fixed} OR {once} "
        "BEGIN SELECT RAISE(ABORT, 'a key only goes forward'); END"
    )
    op.execute(
        "CREATE TRIGGER api_keys_stay BEFORE DELETE ON api_keys "
        "BEGIN SELECT RAISE(ABORT, 'a key is revoked, never deleted'); END"
    )


def _guard_postgresql() -> None:
    fixed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED)
    once = " OR ".join(
        f"(OLD.{name} IS NOT NULL AND NEW.{name} IS DISTINCT FROM OLD.{name})" for name in ONCE
    )
    op.execute(
        "CREATE FUNCTION api_keys_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP <> 'UPDATE' THEN RAISE EXCEPTION 'a key is revoked, never deleted' USING ERRCODE = '23001'; END IF; "
        f"IF {fixed} OR {once} THEN RAISE EXCEPTION 'a key only goes forward' USING ERRCODE = '23001'; END IF; "
        "RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER api_keys_forward BEFORE UPDATE OR DELETE ON api_keys "
        "FOR EACH ROW EXECUTE FUNCTION api_keys_guard()"
    )
    op.execute(
        "CREATE TRIGGER api_keys_stay BEFORE TRUNCATE ON api_keys "
        "FOR EACH STATEMENT EXECUTE FUNCTION api_keys_guard()"
    )
