"""What is known of a module's mutants, in var/mutants/: a run that was ended goes on where it stood.

A mistake that was noticed stays so while the module and the file of the test that noticed it are the same; one that was not, while
all of its tests are: one more test may notice it.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.mutants.running import LATE, ROOT, Baseline
from tools.mutants.trying import KILLED

STATE = ROOT / "var" / "mutants"
LISTED = Path(__file__).with_name("modules.toml")


@dataclass(frozen=True, slots=True)
class Module:
    """A module that is looked at. part: what it does, in the issue's word; judged: a survivor's name → why it may survive."""

    source: str
    part: str
    tests: tuple[str, ...]
    judged: dict[str, str]

    def digest(self) -> str:
        """Gives the digest of the module's text."""
        return _digest([ROOT / self.source])

    def tests_digest(self) -> str:
        """Gives the digest of all that its tests consist of."""
        found: set[Path] = set()
        for test in self.tests:
            path = ROOT / test
            found |= {path, *path.parent.glob("*.py")} if path.is_file() else set(path.rglob("*.py"))
        return _digest(sorted(found))


@dataclass(frozen=True, slots=True)
class Kept:
    """One mutant's outcome. by: the test that noticed; of: the digest of that test's file, else that of all tests."""

    name: str
    outcome: str
    by: str
    module: str
    of: str
    seconds: float


def listed() -> list[Module]:
    """Gives the modules in the order of their weight."""
    said = tomllib.loads(LISTED.read_text())
    judged: dict[str, dict[str, str]] = {}
    for one in said.get("judged", ()):
        judged.setdefault(one["source"], {})[one["mutant"]] = one["why"]
    return [
        Module(m["source"], m["part"], tuple(m["tests"]), judged.get(m["source"], {})) for m in said["module"]
    ]


def history(module: Module) -> list[Kept]:
    """Gives all that was ever said of the module as it is now, in order."""
    path = _place(module)
    lines = path.read_text().splitlines() if path.exists() else []
    said = (Kept(**json.loads(line)) for line in lines)
    text = module.digest()
    return [one for one in said if one.module == text]


def every(module: Module) -> dict[str, Kept]:
    """Gives the last that is known of each mutant, whatever became of its tests since."""
    return {one.name: one for one in history(module)}


def load(module: Module) -> dict[str, Kept]:
    """Gives what still holds, by the mutant's name."""
    tests = module.tests_digest()
    found: dict[str, Kept] = {}
    for one in every(module).values():
        holds = one.of == (file_digest(one.by) if one.by else tests)
        if holds or (one.outcome in (KILLED, LATE) and not one.by):
            found[one.name] = one
    return found


def keep(module: Module, one: Kept) -> None:
    """Writes one outcome down."""
    STATE.mkdir(parents=True, exist_ok=True)
    with _place(module).open("a") as out:
        out.write(json.dumps(asdict(one)) + "\n")


def baseline(module: Module) -> Baseline | None:
    """Gives what the tests do to the module as it is, None where that is to be found out."""
    path = _place(module).with_suffix(".baseline.json")
    if not path.exists():
        return None
    said = json.loads(path.read_text())
    if said["of"] != [module.digest(), module.tests_digest()]:
        return None
    lines = {test: set(numbers) for test, numbers in said["lines"].items()}
    return Baseline(lines, said["seconds"])


def keep_baseline(module: Module, found: Baseline) -> None:
    """Writes it down."""
    STATE.mkdir(parents=True, exist_ok=True)
    said = {
        "of": [module.digest(), module.tests_digest()],
        "lines": {test: sorted(numbers) for test, numbers in found.lines.items()},
        "seconds": found.seconds,
    }
    _place(module).with_suffix(".baseline.json").write_text(json.dumps(said))


def file_digest(test: str) -> str:
    """Gives the digest of the file that a test stands in."""
    path = ROOT / test.partition("::")[0]
    return _digest([path]) if path.exists() else ""


def _place(module: Module) -> Path:
    return STATE / (module.source.removesuffix(".py").replace("/", ".") + ".jsonl")


def _digest(paths: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]
