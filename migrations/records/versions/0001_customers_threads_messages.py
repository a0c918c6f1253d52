"""Customers, threads, messages, and the keys under which they were created."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def exact(name: str, *, null: bool = True) -> sa.Column[str]:
    """Text that compares by code point on both engines."""
    collation = "C" if op.get_bind().dialect.name == "postgresql" else "BINARY"
    return sa.Column(name, sa.Text(collation=collation), nullable=null)


def own(*names: str) -> list[sa.Column[str]]:
    """The columns of a record that the store writes, then its own fields."""
    return [
        exact("id", null=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        exact("created_at", null=False),
        exact("updated_at", null=False),
        *(exact(name) for name in names),
    ]


def upgrade() -> None:
    """Makes the four tables and the indexes that lists are read by."""
    op.create_table(
        "customers",
        *own("name", "phone", "email", "id_number", "bank_card", "address", "birth_date", "note"),
        *(exact(name) for name in ("unit", "region", "owner", "level", "tags")),
        sa.PrimaryKeyConstraint("id", name="pk_customers"),
    )
    op.create_table(
        "threads",
        *own("title", "channel", "status", "assignee", "participants", "unit", "region", "tags"),
        exact("customer_id", null=False),
        sa.PrimaryKeyConstraint("id", name="pk_threads"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_threads_customer_id"),
    )
    op.create_table(
        "messages",
        *own("unit", "region", "author_kind", "author", "body", "sent_at"),
        exact("thread_id", null=False),
        exact("customer_id", null=False),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name="fk_messages_thread_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_messages_customer_id"),
    )
    op.create_table(
        "creation_keys",
        exact("key", null=False),
        exact("kind", null=False),
        exact("record_id", null=False),
        sa.PrimaryKeyConstraint("key", name="pk_creation_keys"),
    )
    for table, columns in (
        ("customers", ("unit", "id")),
        ("customers", ("updated_at", "id")),
        ("threads", ("customer_id", "id")),
        ("threads", ("unit", "id")),
        ("threads", ("updated_at", "id")),
        ("messages", ("thread_id", "id")),
        ("messages", ("thread_id", "sent_at", "id")),
        ("messages", ("customer_id", "id")),
    ):
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
