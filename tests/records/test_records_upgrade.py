"""The store's own steps forward, with records that were there before."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import text

from gateway.store import Location, Tree, migrate, open_store

ROWS = (
    "INSERT INTO customers (id, version, created_at, updated_at, level, owner) VALUES ('c', 1, 't', 't', 'vip', 'o')",
    "INSERT INTO threads (id, version, created_at, updated_at, customer_id) VALUES ('t', 1, 't', 't', 'c')",
    "INSERT INTO messages (id, version, created_at, updated_at, customer_id, thread_id) VALUES ('m', 1, 't', 't', 'c', 't')",
)


async def test_threads_and_messages_of_before_get_their_customers_level_and_owner(tmp_path: Path) -> None:
    tree = Tree.of("records")
    old = tmp_path / "old"
    shutil.copytree(tree.folder, old)
    (old / "versions" / "0002_level_and_owner.py").unlink()
    store = await open_store(Location.parse(f"sqlite:///{tmp_path}/records.db"))
    try:
        await migrate(store, Tree("records", old))
        for row in ROWS:
            await store.write(lambda c, row=row: c.execute(text(row)))
        await migrate(store, tree)
        for table in ("threads", "messages"):
            found = await store.read(
                lambda c, t=table: c.execute(text(f"SELECT level, owner FROM {t}")).one()
            )
            assert tuple(found) == ("vip", "o")
    finally:
        await store.close()
