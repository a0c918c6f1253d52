"""Ground: what a start would refuse about a store, looked at without migrating or making anything. For `gatehouse doctor`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TypeVar

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from gateway.store.location import Location
from gateway.store.schema import Tree, may_not_migrate, pending, version_of
from gateway.store.sqlite import configure
from gateway.store.store import open_store, translated
from gateway.words.errors import Misconfigured

T = TypeVar("T")


def inspect_file(path: Path, tree: Tree) -> None:
    """Looks at one SQLite store. Raises Misconfigured: no store, in another text encoding, newer than this program."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with closing(sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True)) as connection:
            (encoding,) = connection.execute("PRAGMA encoding").fetchone()
            there = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (tree.version_table,)
            ).fetchone()
            rows = (
                connection.execute(f"SELECT version_num FROM {tree.version_table}").fetchall()  # noqa: S608  # the tree's own name
                if there
                else []
            )
    except sqlite3.Error as error:
        raise Misconfigured(
            f"{path.name} cannot be read: it is no SQLite file, or damaged; restore all three"
        ) from error
    if encoding != "UTF-8":
        raise Misconfigured(f"{path.name} is not in UTF-8: strings would not compare by code point")
    pending(rows[0][0] if rows else None, tree.revisions(), tree)


def try_folder(folder: Path) -> None:
    """Makes a SQLite file in the folder, asks for every pragma of ours, and takes the file away. Raises Misconfigured, OSError."""
    with NamedTemporaryFile(dir=folder, prefix=".doctor-", suffix=".sqlite") as file:
        try:
            with closing(sqlite3.connect(file.name, isolation_level=None)) as connection:
                configure(connection.cursor())
        except sqlite3.Error as error:
            raise Misconfigured("SQLite cannot make a file in the home folder: use a local disk") from error
        finally:
            for beside in ("-wal", "-shm", "-journal"):
                Path(file.name + beside).unlink(missing_ok=True)


def look_at_file(path: Path, tree: Tree, look: Callable[[Connection], T]) -> T | None:
    """Gives what `look` gives of a SQLite store, which it cannot change; None where there is none at this program's schema.

    Raises Unavailable where it cannot be read.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    uri = path.resolve().as_uri() + "?mode=ro"
    engine = create_engine(
        "sqlite://", creator=partial(sqlite3.connect, uri, uri=True), poolclass=NullPool, hide_parameters=True
    )
    with translated(), engine.connect() as connection:
        return _looked(connection, tree, look)


async def look_at_schema(location: Location, tree: Tree, look: Callable[[Connection], T]) -> T | None:
    """The same of a PostgreSQL store, as the login that will serve."""
    store = await open_store(location, pool_size=1)
    try:
        return await store.read(lambda connection: _looked(connection, tree, look))
    finally:
        await store.close()


def _looked(connection: Connection, tree: Tree, look: Callable[[Connection], T]) -> T | None:
    return look(connection) if version_of(connection, tree) == tree.revisions()[-1] else None


async def inspect_schema(location: Location, tree: Tree) -> None:
    """Looks at one PostgreSQL store, as the login that will serve.

    Raises Misconfigured: a server that does not keep our promises, a schema newer than this program, one that this login may not
    migrate, rows that it may not read or write. Raises Unavailable where the server does not answer.
    """
    known = tree.revisions()
    store = await open_store(location, pool_size=1)
    try:
        current = await store.read(lambda connection: version_of(connection, tree))
        if pending(current, known, tree):
            if not await store.read(_may_migrate):
                raise may_not_migrate(tree)
            return
        closed = await store.read(lambda connection: _closed(connection, tree))
    finally:
        await store.close()
    if closed:
        raise Misconfigured(
            f"this login may not read and write {', '.join(closed)} of the {tree.name} store: grant it (tools/roles.sql)"
        )


def _may_migrate(connection: Connection) -> bool:
    """Whether this login owns the schema, or none is there, and may make one: the server asks for that even where there is one."""
    return bool(
        connection.execute(
            text(
                "SELECT has_database_privilege(current_database(), 'CREATE') AND NOT EXISTS (SELECT 1 FROM pg_namespace"
                " WHERE nspname = split_part(current_setting('search_path'), ',', 1) AND NOT pg_has_role(nspowner, 'USAGE'))"
            )
        ).scalar_one()
    )


def _closed(connection: Connection, tree: Tree) -> list[str]:
    rows = connection.execute(
        text(
            "SELECT tablename FROM pg_tables, LATERAL (SELECT format('%I.%I', schemaname, tablename) AS full_name) AS f"
            " WHERE schemaname = current_schema() AND tablename <> :version AND NOT (has_table_privilege(full_name, 'SELECT')"
            " AND has_table_privilege(full_name, 'INSERT') AND has_table_privilege(full_name, 'UPDATE')"
            " AND has_table_privilege(full_name, 'DELETE')) ORDER BY 1"
        ),
        {"version": tree.version_table},
    )
    return [row[0] for row in rows]
