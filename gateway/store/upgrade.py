"""Ground: runs a tree of migrations in one transaction. The only module that imports Alembic; `schema.py` decides whether it is needed."""

from __future__ import annotations

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from gateway.store.schema import Tree, may_not_migrate, pending, version_of
from gateway.store.store import Store
from gateway.words.errors import Misconfigured

_INSUFFICIENT_PRIVILEGE = "42501"  # PostgreSQL, appendix A


async def upgrade(store: Store, tree: Tree) -> None:
    """Applies every pending revision. Promises as `schema.migrate`. Raises Misconfigured where this login may not."""
    try:
        await _upgrade(store, tree)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _INSUFFICIENT_PRIVILEGE:
            raise
        raise may_not_migrate(tree) from error


async def _upgrade(store: Store, tree: Tree) -> None:
    async with store.transaction() as connection:
        if store.dialect == "postgresql":
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text("SET LOCAL lock_timeout = 0"))
            # Held until the transaction ends; whoever waits finds the work done. The key is the tree's name within this database.
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"gatehouse:{tree.name}"}
            )
            if store.location.schema is not None:
                await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {store.location.schema}"))
        await connection.run_sync(_apply, tree)


def _apply(connection: Connection, tree: Tree) -> None:
    if not pending(version_of(connection, tree), tree.revisions(), tree):
        return
    config = Config()
    config.set_main_option("script_location", str(tree.folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = tree.version_table
    command.upgrade(config, "head")


def run_environment() -> None:
    """What each tree's `env.py` calls. Raises Misconfigured under the `alembic` command: our stores migrate when they are opened."""
    attributes = context.config.attributes
    if "connection" not in attributes:
        raise Misconfigured(
            "migrations run in the program's own transaction: start it, or call gateway.store.migrate"
        )
    context.configure(
        connection=attributes["connection"],
        version_table=attributes["version_table"],
        transactional_ddl=True,  # true of SQLite as well once BEGIN is sent by us
    )
    with context.begin_transaction():
        context.run_migrations()
