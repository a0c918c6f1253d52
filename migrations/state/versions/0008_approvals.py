"""What one person files and another confirms (gateway/approvals/tables.py), and where the log says which bundle is in force
(gateway/policy/kept/tables.py)."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# Columns that never change, then those that are set once. `IS NOT` and `IS DISTINCT FROM` count NULL as a value.
FIXED = ("id", "kind", "before", "after", "digest", "filed_by", "filed_at", "until", "intent")
ONCE = ("confirmed_by", "confirmed_at", "confirm_intent", "executed", "lapsed_at")
# A state that no row may be in: done without a confirmation, half a confirmation, done and lapsed, born as anything but filed.
WRONG = (
    "(NEW.executed IS NOT NULL AND (NEW.confirmed_by IS NULL OR NEW.lapsed_at IS NOT NULL)) "
    "OR (NEW.confirmed_by IS NULL) <> (NEW.confirmed_at IS NULL) "
    "OR (NEW.confirmed_by IS NULL) <> (NEW.confirm_intent IS NULL)"
)
# What lapsed is not confirmed after it.
LATE = "(OLD.lapsed_at IS NOT NULL AND OLD.confirmed_by IS NULL AND NEW.confirmed_by IS NOT NULL)"
SAID = "an approval only goes forward"


def exact(name: str, *, nullable: bool = False) -> sa.Column[str]:
    """Text that compares by code point on both engines."""
    collation = "C" if op.get_bind().dialect.name == "postgresql" else "BINARY"
    return sa.Column(name, sa.Text(collation=collation), nullable=nullable)


def upgrade() -> None:
    """Makes the tables, and what refuses to change what was filed, to confirm or do it twice, and to take it away."""
    op.create_table(
        "approvals",
        exact("id"),
        exact("kind"),
        exact("before"),
        exact("after"),
        exact("digest"),
        exact("filed_by"),
        sa.Column("filed_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("intent", sa.BigInteger, nullable=False),
        exact("confirmed_by", nullable=True),
        sa.Column("confirmed_at", sa.BigInteger),
        sa.Column("confirm_intent", sa.BigInteger),
        sa.Column("executed", sa.BigInteger),
        sa.Column("lapsed_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
        sa.CheckConstraint("confirmed_by <> filed_by", name="ck_approvals_two_persons"),
    )
    op.create_index("ix_approvals_intent", "approvals", ["intent"], unique=True)
    op.create_index("ix_approvals_confirm_intent", "approvals", ["confirm_intent"], unique=True)
    op.create_table(
        "offers",
        exact("digest"),
        exact("before"),
        sa.Column("entry", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", "before", name="pk_offers"),
    )
    op.create_table(
        "standing",
        exact("log"),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("upto", sa.BigInteger, nullable=False),
        exact("hash"),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", name="pk_standing"),
    )
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    fixed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in FIXED)
    once = " OR ".join(f"(OLD.{name} IS NOT NULL AND NEW.{name} IS NOT OLD.{name})" for name in ONCE)
    born = " OR ".join(f"NEW.{name} IS NOT NULL" for name in ONCE)
    said = f"BEGIN SELECT RAISE(ABORT, '{SAID}'); END"
    op.execute(
        f"CREATE TRIGGER approvals_forward BEFORE UPDATE ON approvals WHEN {fixed} OR {once} OR {WRONG} OR {LATE} {said}"
    )
    op.execute(f"CREATE TRIGGER approvals_born BEFORE INSERT ON approvals WHEN {born} {said}")
    op.execute(f"CREATE TRIGGER approvals_stay BEFORE DELETE ON approvals {said}")


def _guard_postgresql() -> None:
    fixed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED)
    once = " OR ".join(
        f"(OLD.{name} IS NOT NULL AND NEW.{name} IS DISTINCT FROM OLD.{name})" for name in ONCE
    )
    born = " OR ".join(f"NEW.{name} IS NOT NULL" for name in ONCE)
    refused = f"RAISE EXCEPTION '{SAID}' USING ERRCODE = '23001'; END IF; "
    op.execute(
        "CREATE FUNCTION approvals_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP NOT IN ('INSERT', 'UPDATE') THEN {refused}"
        f"IF TG_OP = 'INSERT' THEN IF {born} THEN {refused}RETURN NEW; END IF; "
        f"IF {fixed} OR {once} OR {WRONG} OR {LATE} THEN {refused}RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER approvals_forward BEFORE INSERT OR UPDATE OR DELETE ON approvals "
        "FOR EACH ROW EXECUTE FUNCTION approvals_guard()"
    )
    op.execute(
        "CREATE TRIGGER approvals_stay BEFORE TRUNCATE ON approvals "
        "FOR EACH STATEMENT EXECUTE FUNCTION approvals_guard()"
    )
