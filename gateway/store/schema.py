"""Ground: is a store's schema the one that this program knows? Cheap: the answer at every start but the first costs one query.

A tree of migrations is a folder `migrations/<tree>/versions` of files `0001_what_is_now_true.py`, numbered without a gap; the
number is the revision. The trees go forward only. Only `upgrade.py` beside this file needs Alembic, which is slow to import.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from sqlalchemy import Connection, text

from gateway.shipped import shipped
from gateway.store.store import Store
from gateway.words.errors import Misconfigured

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.py")


@dataclass(frozen=True, slots=True)
class Tree:
    """One line of migrations: `name` (it names the version table too) and the folder that holds `env.py` and `versions`."""

    name: str
    folder: Path

    @classmethod
    def of(cls, name: str) -> Tree:
        """Gives the tree that ships with the program: `state` or `records`."""
        return cls(name, shipped("migrations") / name)

    @property
    def version_table(self) -> str:
        """Names the table with the one row that says where the schema stands."""
        return f"{self.name}_version"

    def revisions(self) -> tuple[str, ...]:
        """Gives the revisions in order, from the file names alone.

        Raises Misconfigured for a gap, a double or a stray file: two founders took one number, or a file is missing.
        """
        names = sorted(p.name for p in (self.folder / "versions").glob("*.py"))
        found = tuple(m.group(1) if (m := _FILE.fullmatch(name)) else name for name in names)
        if found != tuple(f"{n:04}" for n in range(1, len(found) + 1)):
            raise Misconfigured(
                f"migrations/{self.name}/versions is not numbered 0001, 0002 … without gap or double"
            )
        return found


async def migrate(store: Store, tree: Tree) -> bool:
    """Brings the store to the newest revision of the tree; True when there was something to do.

    On PostgreSQL the store's role must own the schema (or may make it); the service's own role need not: give this a store of the owner's.
    Raises Misconfigured for a schema newer than the program, or at a revision that the tree does not have.
    Promises: all or nothing, on both engines; processes that start together wait for each other, and one of them does it.
    """
    known = tree.revisions()
    current = await store.read(lambda connection: version_of(connection, tree))
    if not pending(current, known, tree):
        return False
    # By name and only here: a start at the newest revision never pays for importing Alembic.
    upgrade = import_module("gateway.store.upgrade").upgrade
    await upgrade(store, tree)
    return True


def may_not_migrate(tree: Tree) -> Misconfigured:
    """Gives the refusal of a login that may not do what is pending."""
    return Misconfigured(
        f"the {tree.name} store is not at this program's revision, and this login may not migrate it: "
        "run `gatehouse stores prepare` as the role that owns the stores (docs/deploy.md)"
    )


def version_of(connection: Connection, tree: Tree) -> str | None:
    """Gives the store's revision, None where the tree was never applied."""
    if connection.dialect.name == "sqlite":
        there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"
    else:
        there = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = :name"
    if connection.execute(text(there), {"name": tree.version_table}).first() is None:
        return None
    return connection.execute(text(f"SELECT version_num FROM {tree.version_table}")).scalar_one_or_none()  # noqa: S608  # the tree's own name


def pending(current: str | None, known: tuple[str, ...], tree: Tree) -> bool:
    """Tells whether there are revisions to apply. Raises Misconfigured where this program does not know the current one."""
    if current is not None and current not in known:
        raise Misconfigured(
            f"the {tree.name} store is at revision {current}, this program knows up to {known[-1] if known else 'none'}: "
            "run a newer Gatehouse or restore an older store"
        )
    return bool(known) and current != known[-1]
