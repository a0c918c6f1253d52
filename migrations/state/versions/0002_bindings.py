"""Which record opens with what, fixed once bound (gateway/fields/tables.py)."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# What never changes, and what ends with the binding to a record.
_SQLITE = (
    """CREATE TRIGGER binding_fixed BEFORE UPDATE ON binding
    WHEN OLD.state = 'bound' OR NEW.seal <> OLD.seal OR NEW.upstream <> OLD.upstream OR NEW.resource <> OLD.resource
      OR NEW.subject <> OLD.subject OR NEW.founds <> OLD.founds
    BEGIN SELECT RAISE(ABORT, 'a binding is fixed'); END""",
    """CREATE TRIGGER binding_kept BEFORE DELETE ON binding
    WHEN OLD.state = 'bound'
    BEGIN SELECT RAISE(ABORT, 'a binding is kept'); END""",
)
_POSTGRESQL = (
    """CREATE FUNCTION binding_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP <> 'TRUNCATE' THEN
        IF OLD.state <> 'bound' AND TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        IF OLD.state <> 'bound' AND (NEW.seal, NEW.upstream, NEW.resource, NEW.subject, NEW.founds)
          IS NOT DISTINCT FROM (OLD.seal, OLD.upstream, OLD.resource, OLD.subject, OLD.founds) THEN RETURN NEW; END IF;
      END IF;
      RAISE EXCEPTION 'a binding is fixed' USING ERRCODE = 'restrict_violation';
    END $$""",
    "CREATE TRIGGER binding_fixed BEFORE UPDATE OR DELETE ON binding FOR EACH ROW EXECUTE FUNCTION binding_fixed()",
    "CREATE TRIGGER binding_kept BEFORE TRUNCATE ON binding FOR EACH STATEMENT EXECUTE FUNCTION binding_fixed()",
)


def exact(name: str, *, null: bool = False) -> sa.Column[str]:
    """Text that compares by code point on both engines."""
    collation = "C" if op.get_bind().dialect.name == "postgresql" else "BINARY"
    return sa.Column(name, sa.Text(collation=collation), nullable=null)


def upgrade() -> None:
    """Makes the table and what keeps its rows as they are."""
    op.create_table(
        "binding",
        *(exact(name) for name in ("seal", "upstream", "resource")),
        exact("ref", null=True),
        sa.Column("place", sa.LargeBinary, nullable=False),
        exact("subject"),
        sa.Column("founds", sa.Boolean, nullable=False),
        exact("state"),
        exact("marker", null=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seal", name="pk_binding"),
        sa.UniqueConstraint("ref", name="uq_binding_ref"),
        sa.ForeignKeyConstraint(["subject"], ["subject.id"], name="fk_binding_subject"),
        sa.CheckConstraint("state IN ('pending', 'bound')", name="ck_binding_state"),
        sa.CheckConstraint("(state = 'bound') = (ref IS NOT NULL)", name="ck_binding_bound_has_ref"),
    )
    op.create_index("ix_binding_subject", "binding", ["subject"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)
