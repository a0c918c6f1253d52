"""Makes a Gatehouse home whose customers lie in the bench's own upstream: each created through the corridor, as anybody's would be.

    python -m bench.prepare < '{"home": …, "policies": …, "upstream": PORT, "customers": 200}'

Prints one JSON line: the supervisor's key, the customers' paths, how many rules the policy has. Whoever serves that home
afterwards is the ordinary `gatehouse run`.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import orjson

from bench.people import people
from gateway import demo
from gateway.app import open_house
from gateway.observe import configure
from gateway.settings import ROOT, read


def policies(folder: Path, upstream: int) -> int:
    """Copies the shipped policy with its catalogue's address changed; gives the number of rules."""
    shutil.copytree(ROOT / "policies", folder, dirs_exist_ok=True)
    catalogue = folder / "catalogue" / "crm.yaml"
    text = catalogue.read_text()
    changed = text.replace('base: "embedded:"', f"base: http://127.0.0.1:{upstream}")
    if changed == text:
        raise SystemExit("the shipped catalogue no longer names the embedded store where we look for it")
    catalogue.write_text(changed)
    return sum(line.startswith(("p,", "g,")) for line in (folder / "policy.csv").read_text().splitlines())


def settings(home: Path, folder: Path, upstream: int) -> dict[str, str]:
    """Gives the settings as environment variables, for here and for `gatehouse run`."""
    return {
        "GATEHOUSE_HOME": str(home),
        "GATEHOUSE_POLICIES": str(folder),
        "GATEHOUSE_UPSTREAM_HOSTS": f"127.0.0.1:{upstream}",
        "GATEHOUSE_PORT": "0",
    }


async def prepare(home: Path, folder: Path, upstream: int, customers: int) -> dict[str, Any]:
    """Makes it."""
    rules = policies(folder, upstream)
    made = read(settings(home, folder, upstream))
    demo.prepare(made)
    async with open_house(made) as house:
        keys = await demo.credentials(house)
        loader = demo.Loader(house.gate, home / "bench.json")
        await loader.load(people(customers), lambda _done, _total: None)
    ids = orjson.loads((home / "bench.json").read_bytes())["ids"]
    return {"key": keys["supervisor"], "rules": rules, "paths": [f"/crm/customers/{i}" for i in ids.values()]}


def main() -> None:
    """Reads the question, answers it."""
    asked = orjson.loads(sys.stdin.buffer.read())
    configure()
    answer = asyncio.run(
        prepare(Path(asked["home"]), Path(asked["policies"]), asked["upstream"], asked["customers"])
    )
    print(orjson.dumps(answer).decode())


if __name__ == "__main__":
    main()
