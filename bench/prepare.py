"""Makes a Gatehouse home whose customers lie in the bench's own upstream: each created through the corridor, as anybody's would be.

    python -m bench.prepare < '{"home": …, "policies": …, "upstream": PORT, "customers": 200, "rules": 1000}'

rules: how many the policy shall have, null for the shipped one as it is. database: a PostgreSQL for the stores; without it they are files.
Prints one JSON line: the supervisor's key, all keys by name, the customers' paths, how many rules the policy has. Whoever serves that
home afterwards is the ordinary `gatehouse run`.
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

RULES = 1000
"""As many as the measured policy has: `p` rows, the roles' links not counted."""
# What a role of another department may do: about the very resource, purpose and actions that are measured, so that nothing but the
# role tells these rules from those that count. {unit}: every second role's rules hold in one branch only.
OTHERS = (
    "{role}, {unit}, crm/customer, customer:list, -, service, True, allow",
    "{role}, {unit}, crm/customer, customer:read, -, service, True, allow",
    '{role}, {unit}, crm/customer, customer:update, -, service, r.rec.level != "vip", allow',
    '{role}, {unit}, crm/customer, customer:*, -, *, "closed-account" in r.rec.tags, deny',
    "{role}, {unit}, crm/customer, show:clear, public, service, True, allow",
    "{role}, {unit}, crm/customer, show:clear, internal, service, True, allow",
    "{role}, {unit}, crm/customer, show:clear, /name, service, True, allow",
    "{role}, {unit}, crm/customer, show:masked, contact, service, True, allow",
    "{role}, {unit}, crm/customer, show:clear, contact, service, r.rec.owner == r.sub.id, allow",
    '{role}, {unit}, crm/customer, set, internal, service, r.rec.level == "standard", allow',
)


def padded(policy: str, vocabulary: str, count: int) -> tuple[str, str]:
    """Gives policy.csv with `count` rules and the vocabulary that names their roles. The added ones are valid, and no caller of ours
    holds their roles; half of them stand before the shipped rules, half behind."""
    missing = count - rules_of(policy)
    if missing < 0:
        raise SystemExit(f"the shipped policy has more than {count} rules already: {rules_of(policy)}")
    rows, names = [], []
    for number in range(missing):
        at, template = divmod(number, len(OTHERS))
        role = f"role:other-{at:03d}"
        if not template:
            names.append(role)
        unit = ("*", "branch:beijing")[at % 2]
        rows.append("p, " + OTHERS[template].format(role=role, unit=unit))
    half = len(rows) // 2
    labels = "".join(f"  {name}: {{zh: 其他部门, en: another department}}\n" for name in names)
    declared = vocabulary.replace("\nroles:\n", f"\nroles:\n{labels}")
    if names and declared == vocabulary:
        raise SystemExit("the shipped vocabulary no longer has its roles where we look for them")
    return "\n".join([*rows[:half], policy.rstrip("\n"), *rows[half:]]) + "\n", declared


def rules_of(policy: str) -> int:
    """Counts the rules of a policy.csv."""
    return sum(line.startswith("p,") for line in policy.splitlines())


def policies(folder: Path, upstream: int, count: int | None = None) -> int:
    """Copies the shipped policy with its catalogue's address changed and `count` rules; gives the number of rules."""
    shutil.copytree(ROOT / "policies", folder, dirs_exist_ok=True)
    catalogue = folder / "catalogue" / "crm.yaml"
    text = catalogue.read_text()
    changed = text.replace('base: "embedded:"', f"base: http://127.0.0.1:{upstream}")
    if changed == text:
        raise SystemExit("the shipped catalogue no longer names the embedded store where we look for it")
    catalogue.write_text(changed)
    policy, vocabulary = folder / "policy.csv", folder / "vocabulary.yaml"
    if count is not None:
        rules, names = padded(policy.read_text(), vocabulary.read_text(), count)
        policy.write_text(rules)
        vocabulary.write_text(names)
    return rules_of(policy.read_text())


def settings(home: Path, folder: Path, upstream: int, database: str = "") -> dict[str, str]:
    """Gives the settings as environment variables, for here and for `gatehouse run`."""
    return {
        "GATEHOUSE_DATABASE_URL": database,
        "GATEHOUSE_HOME": str(home),
        "GATEHOUSE_POLICIES": str(folder),
        "GATEHOUSE_UPSTREAM_HOSTS": f"127.0.0.1:{upstream}",
        "GATEHOUSE_PORT": "0",
    }


async def prepare(
    home: Path, folder: Path, upstream: int, customers: int, count: int | None, database: str = ""
) -> dict[str, Any]:
    """Makes it."""
    rules = policies(folder, upstream, count)
    made = read(settings(home, folder, upstream, database))
    demo.prepare(made)
    async with open_house(made) as house:
        keys = await demo.credentials(house)
        loader = demo.Loader(house.gate, home / "bench.json")
        await loader.load(people(customers), lambda _done, _total: None)
    ids = orjson.loads((home / "bench.json").read_bytes())["ids"]
    paths = [f"/crm/customers/{i}" for i in ids.values()]
    return {"key": keys["supervisor"], "keys": dict(keys), "rules": rules, "paths": paths}


def main() -> None:
    """Reads the question, answers it."""
    asked = orjson.loads(sys.stdin.buffer.read())
    configure()
    answer = asyncio.run(
        prepare(
            Path(asked["home"]),
            Path(asked["policies"]),
            asked["upstream"],
            asked["customers"],
            asked["rules"],
            asked.get("database", ""),
        )
    )
    print(orjson.dumps(answer).decode())


if __name__ == "__main__":
    main()
