"""Makes a golden home of the present schemas: `python -m tests.store.golden.make`. What is there never changes; a new schema adds a folder.

Three small stores, the key file that they are sealed under, and what must be found in them. The people are invented, and so are the keys:
they open nothing but these files.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from audit.store.base import SCHEMA_VERSION
from audit.verify import verify_sqlite
from gateway import demo
from gateway.app import open_house, utc_now
from gateway.corridor.desk import Asker
from gateway.credentials import Wish
from gateway.records import sample
from gateway.settings import read
from gateway.store import Tree
from gateway.words.ids import new_id
from tests.app.asking import ask

FOLDER = Path(__file__).parent
STORES = ("audit.sqlite", "state.sqlite", "records.sqlite")


def schemas() -> dict[str, str]:
    """Gives the newest schema of each tree, as a folder's `expected.json` names them."""
    newest = {name: Tree.of(name).revisions()[-1] for name in ("state", "records")}
    return {"audit": f"{SCHEMA_VERSION:04}", **newest}


def name_of(found: dict[str, str]) -> str:
    """Gives the name of the folder that holds a home of these schemas."""
    return "_".join(f"{tree}-{number}" for tree, number in found.items())


def operator() -> Asker:
    """Gives who runs commands on the gateway's own machine, for one request."""
    return Asker(new_id("req"), demo.AsSystem("operator", {demo.PURPOSE}).give, demo.PURPOSE)


async def make(home: Path) -> dict[str, Any]:
    """Fills a home with one of everything, and gives what a later program must find in it."""
    chosen = read({"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0"})
    demo.prepare(chosen)
    people = sample(customers=4, threads=3, messages=4)
    wish = Wish("app:demo-agent", frozenset(), frozenset({"service"}), utc_now() + demo.LIFETIME)
    async with open_house(chosen) as house:
        keys = dict(await demo.credentials(house))
        ended = await house.keys.issue(operator(), lambda: wish)
        await house.keys.revoke(operator(), ended.key.id)
        await demo.load_sample(house, lambda done, total: None, people)
        ids = json.loads((home / "demo" / "sample.json").read_bytes())["ids"]
        customers = {}
        for person in people.customers:
            if person["unit"] == demo.SHANGHAI:
                path = f"/crm/customers/{ids[str(person['id'])]}"
                reply = await ask(house, "GET", path, keys["supervisor"])
                customers[path] = {name: person[name] for name in ("name", "phone")}
                receipt = dict(reply.headers)["audit-ref"]
    return {
        "schemas": schemas(),
        "made": utc_now().isoformat(),
        "key": keys["supervisor"],
        "revoked": ended.text,
        "customers": customers,
        "receipt": receipt,
    }


def main() -> int:
    """Gives 0, or 1 where a folder of these schemas is there: it is not made anew."""
    place = FOLDER / name_of(schemas())
    if place.exists():
        print(f"{place.name} is there already; golden files never change", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        expected = asyncio.run(make(home))
        place.mkdir()
        for name in STORES:
            with closing(sqlite3.connect(home / name, isolation_level=None)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            shutil.copy(home / name, place / name)
        shutil.copy(home / "keys.json", place / "keys.json")
    expected["entries"] = verify_sqlite(place / "audit.sqlite").entries
    for left in (*place.glob("*-wal"), *place.glob("*-shm")):
        left.unlink()
    os.chmod(place / "keys.json", 0o600)
    (place / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(place.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
