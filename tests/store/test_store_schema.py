"""Migrations: all or nothing, once, never backwards, and cheap when there is nothing to do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from gateway.store import Location, Store, Tree, migrate, open_store
from gateway.words.errors import Misconfigured

ENV = "from gateway.store.upgrade import run_environment\n\nrun_environment()\n"


def tree_of(folder: Path, *bodies: str) -> Tree:
    versions = folder / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    (folder / "env.py").write_text(ENV)
    for number, body in enumerate(bodies, 1):
        down = f'"{number - 1:04}"' if number > 1 else "None"
        (versions / f"{number:04}_step.py").write_text(
            f'from alembic import op\n\nrevision = "{number:04}"\ndown_revision = {down}\n\n\ndef upgrade():\n    {body}\n'
        )
    return Tree("demo", folder)


CREATE = 'op.execute("CREATE TABLE made (id TEXT PRIMARY KEY)")'
INSERT = "op.execute(\"INSERT INTO made VALUES ('one')\")"


async def tables(store: Store) -> set[str]:
    return set(await store.scan(lambda c: inspect(c).get_table_names()))


async def test_an_empty_store_is_brought_to_the_newest_revision_once(store: Store, tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "tree", CREATE, INSERT)
    assert await migrate(store, tree) is True
    assert await tables(store) == {"made", "demo_version"}
    assert (
        await store.read(lambda c: c.execute(text("SELECT version_num FROM demo_version")).scalar_one())
        == "0002"
    )
    assert await migrate(store, tree) is False


async def test_only_what_is_missing_is_applied(store: Store, tmp_path: Path) -> None:
    await migrate(store, tree_of(tmp_path / "tree", CREATE))
    assert await migrate(store, tree_of(tmp_path / "tree", CREATE, INSERT)) is True
    assert await store.read(lambda c: c.execute(text("SELECT count(*) FROM made")).scalar_one()) == 1


async def test_a_failing_step_leaves_nothing_of_the_steps_before_it(store: Store, tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "tree", CREATE, 'raise RuntimeError("step fails")')
    with pytest.raises(RuntimeError, match="step fails"):
        await migrate(store, tree)
    assert await tables(store) == set()
    assert await migrate(store, tree_of(tmp_path / "tree", CREATE, INSERT)) is True


async def test_a_schema_newer_than_the_program_is_refused(store: Store, tmp_path: Path) -> None:
    await migrate(store, tree_of(tmp_path / "new", CREATE, INSERT))
    with pytest.raises(Misconfigured, match="revision 0002, this program knows up to 0001"):
        await migrate(store, tree_of(tmp_path / "old", CREATE))


async def test_programs_that_start_together_apply_each_step_once(location: Location, tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "tree", CREATE, INSERT)
    stores = [await open_store(location) for _ in range(3 if location.dialect == "postgresql" else 1)]
    try:
        await asyncio.gather(*(migrate(store, tree) for store in stores for _ in range(2)))
        assert await stores[0].read(lambda c: c.execute(text("SELECT count(*) FROM made")).scalar_one()) == 1
    finally:
        for store in stores:
            await store.close()


@pytest.mark.parametrize("name", ["0002_taken_twice.py", "0004_after_a_gap.py", "helper.py"])
def test_a_gap_a_double_or_a_stray_file_in_a_tree_is_refused(tmp_path: Path, name: str) -> None:
    tree = tree_of(tmp_path / "tree", CREATE, INSERT)
    (tmp_path / "tree" / "versions" / name).touch()
    with pytest.raises(Misconfigured, match="without gap or double"):
        tree.revisions()


@pytest.mark.parametrize("name", ["state", "records"])
def test_the_shipped_trees_say_in_their_files_what_their_names_say(name: str) -> None:
    tree = Tree.of(name)
    assert (tree.folder / "env.py").exists()
    for number, revision in enumerate(tree.revisions(), 1):
        (file,) = (tree.folder / "versions").glob(f"{revision}_*.py")
        down = f'"{number - 1:04}"' if number > 1 else "None"
        assert f'revision = "{revision}"\ndown_revision = {down}\n' in file.read_text().replace(
            ": str | None", ""
        ).replace(": str", "")


def test_a_start_at_the_newest_revision_imports_neither_alembic_nor_another_engines_driver(
    tmp_path: Path,
) -> None:
    program = """
import asyncio, sys
from gateway.store import Location, Tree, migrate, open_store
async def main():
    store = await open_store(Location.parse(f"sqlite:///{sys.argv[1]}"))
    changed = await migrate(store, Tree.of("records"))
    await store.close()
    print(changed, "alembic" in sys.modules, "asyncpg" in sys.modules)
asyncio.run(main())
"""
    said = [
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "s.db")],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["True True False", "False False False"]
