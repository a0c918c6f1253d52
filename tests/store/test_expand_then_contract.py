"""A migration adds; what takes away comes a release later, and names what it takes the place of (docs/versioning.md, "Migrations")."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.store.golden import make

ROOT = Path(__file__).resolve().parents[2]
TAKES_AWAY = re.compile(
    r"\b(?:drop_(?:table|column|constraint)|rename_table|alter_column|batch_alter_table)\b"
    r"|\b(?:DROP\s+(?:TABLE|COLUMN|CONSTRAINT|TRIGGER|VIEW)|RENAME\s+(?:TO|COLUMN)|SET\s+NOT\s+NULL|ALTER\s+COLUMN)\b",
    re.I,
)
# `contracts = "0003"` in a revision of Alembic's, `-- contracts: 0003` in a file of the log's.
NAMES = re.compile(r'^(?:contracts = "(\d{4})"|-- contracts: (\d{4}))', re.M)
RELEASED: Mapping[str, list[int]] = {
    tree: sorted(
        int(json.loads(path.read_text())["schemas"][tree]) for path in make.FOLDER.glob("*/expected.json")
    )
    for tree in ("audit", "state", "records")
}
FILES = sorted([*(ROOT / "migrations").glob("*/versions/*.py"), *(ROOT / "migrations").glob("audit/*/*.sql")])


def fault(number: int, text: str, released: Iterable[int]) -> str | None:
    """What is wrong with one migration, by its number, its text and the schemas that were ever released."""
    if not TAKES_AWAY.search(text):
        return None
    named = NAMES.search(text)
    if named is None:
        return "takes something away and does not say what took its place"
    expanded = int(named[1] or named[2])
    if not any(expanded <= schema < number for schema in released):
        return f"no release had {expanded:04} yet: whoever upgrades one release at a time still needs what this takes away"
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-3]}-{path.name}")
def test_every_migration_only_adds_or_takes_away_what_a_release_has_replaced(path: Path) -> None:
    (tree,) = set(path.parts) & {"audit", "state", "records"}
    assert fault(int(path.name[:4]), path.read_text(), RELEASED[tree]) is None


@pytest.mark.parametrize(
    "text",
    [
        'op.drop_column("binding", "seal")',
        'with op.batch_alter_table("binding") as batch:',
        'op.alter_column("binding", "seal", nullable=False)',
        'op.execute("ALTER TABLE binding RENAME TO bindings")',
        'op.execute("alter table binding drop  column seal")',
        "DROP TRIGGER entries_change ON entries;",
        "ALTER TABLE entries ALTER COLUMN seq SET NOT NULL;",
    ],
)
def test_what_takes_away_is_seen_and_must_name_a_released_expansion(text: str) -> None:
    assert fault(6, text, [3, 4]) is not None
    for named in ('contracts = "0004"\n', "-- contracts: 0004\n"):
        assert fault(6, named + text, [3, 4]) is None
        assert fault(6, named + text, [3]) is not None
    assert fault(6, 'contracts = "0005"\n' + text, [3, 4, 6]) is not None


def test_what_adds_needs_nothing() -> None:
    for text in ('op.add_column("binding", column)', 'op.create_index("a", "b", ["c"])', "CREATE TRIGGER x"):
        assert fault(6, text, []) is None
