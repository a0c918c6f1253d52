"""What an older program wrote, today's opens, upgrades and reads: a home of each schema that was ever released lies under golden/."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest

from audit.verify import verify_sqlite
from gateway.app import open_house
from gateway.settings import read
from gateway.store import Tree
from gateway.words.errors import Unidentified
from tests.app.asking import ask
from tests.store.golden import make

HOMES = sorted(path.parent for path in make.FOLDER.glob("*/expected.json"))


@pytest.mark.parametrize("golden", HOMES, ids=lambda path: path.name)
async def test_a_home_of_an_older_program_is_upgraded_and_every_value_opens(
    golden: Path, fresh_dir: Path
) -> None:
    home = fresh_dir / "home"
    shutil.copytree(golden, home)
    (home / "keys.json").chmod(0o600)
    expected = json.loads((golden / "expected.json").read_text())
    # Its keys would have ended; its log is not younger than that day either.
    then = datetime.fromisoformat(expected["made"]) + timedelta(minutes=1)
    async with open_house(
        read({"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0"}), clock=lambda: then
    ) as house:
        for path, values in expected["customers"].items():
            seen = orjson.loads((await ask(house, "GET", path, expected["key"])).body)
            assert {name: seen[name] for name in values} == values
        with pytest.raises(Unidentified):
            await ask(house, "GET", path, expected["revoked"])
        assert await house.log.open_intents() == []
    report = verify_sqlite(home / "audit.sqlite", (expected["receipt"],))
    assert report.intact
    assert report.entries > expected["entries"]
    for tree in ("state", "records"):
        with closing(sqlite3.connect(home / f"{tree}.sqlite")) as connection:
            found = connection.execute(f"SELECT version_num FROM {tree}_version").fetchall()
        assert found == [(Tree.of(tree).revisions()[-1],)]


@pytest.mark.parametrize("golden", HOMES, ids=lambda path: path.name)
def test_a_golden_home_is_what_its_name_says_and_small(golden: Path) -> None:
    said = json.loads((golden / "expected.json").read_text())["schemas"]
    assert golden.name == make.name_of(said)
    with closing(
        sqlite3.connect((golden / "audit.sqlite").as_uri() + "?mode=ro&immutable=1", uri=True)
    ) as log:
        assert log.execute("PRAGMA user_version").fetchone() == (int(said["audit"]),)
    for tree in ("state", "records"):
        place = (golden / f"{tree}.sqlite").as_uri() + "?mode=ro&immutable=1"
        with closing(sqlite3.connect(place, uri=True)) as connection:
            assert connection.execute(f"SELECT version_num FROM {tree}_version").fetchall() == [(said[tree],)]
    assert sorted(path.name for path in golden.iterdir()) == sorted(
        [*make.STORES, "expected.json", "keys.json"]
    )
    assert sum(path.stat().st_size for path in golden.iterdir()) < 1_000_000


def test_there_is_a_golden_home() -> None:
    assert HOMES
