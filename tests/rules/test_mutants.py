"""`make mutants` plants what it says, and tells what a test notices from what none does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.mutants import kept, page
from tools.mutants.kept import Kept, Module
from tools.mutants.operators import Source
from tools.mutants.running import LATE, ROOT
from tools.mutants.trying import KILLED, SURVIVED, UNREACHED

GATE = '''
"""Says who comes in."""
from __future__ import annotations
LIMIT: int = 18

class Gate:
    """A door."""
    __slots__ = ("open",)

    async def enter(self, age: int, banned: bool = False) -> str | None:
        """Lets him in."""
        if banned and not self.open:
            raise PermissionError("banned") from None
        async with self.lock:
            self.count += 1
            await self.log.append(age, fence=3)
        try:
            self.left = [one for one in self.left if one > 0]
        except KeyError:
            self.left = []
        return f"age {age}" if age >= LIMIT else None
'''


def planted(text: str) -> set[str]:
    return {mutant.name for mutant in Source(text, "gate.py").mutants}


def test_every_kind_of_mistake_is_planted_once() -> None:
    inside = "Gate.enter: "
    assert planted(GATE) == {
        "<module>: 18 → 19",
        f"{inside}False → True",
        f"{inside}banned and (not self.open) → not (banned and (not self.open))",
        f"{inside}banned and (not self.open) → banned or not self.open",
        f"{inside}banned and (not self.open) → banned",
        f"{inside}banned and (not self.open) → not self.open",
        f"{inside}not self.open → self.open",
        f"{inside}drop `raise PermissionError('banned') from None`",
        f"{inside}without `with self.lock`",
        f"{inside}drop `self.count += 1`",
        f"{inside}1 → 2",
        f"{inside}drop `await self.log.append(age, fence=3)`",
        f"{inside}self.log.append(…) without `fence=3`",
        f"{inside}3 → 4",
        f"{inside}drop `self.left = [one for one in self.left if one > 0]`",
        f"{inside}without `if one > 0`",
        f"{inside}one > 0 → one >= 0",
        f"{inside}one > 0 → one <= 0",
        f"{inside}0 → 1",
        f"{inside}`except KeyError` only raises again",
        f"{inside}drop `self.left = []`",
        f"{inside}f'age {{age}}' if age >= LIMIT else None → None",
        f"{inside}f'age {{age}}' if age >= LIMIT else None → None if age >= LIMIT else f'age {{age}}'",
        f"{inside}age >= LIMIT → age > LIMIT",
        f"{inside}age >= LIMIT → age < LIMIT",
    }


@pytest.mark.parametrize("module", kept.listed(), ids=lambda module: module.source)
def test_every_mistake_of_a_listed_module_is_another_program(module: Module) -> None:
    text = (ROOT / module.source).read_text()
    source = Source(text, module.source)
    honest = source.code(None).co_code, source.code(None).co_consts
    names = [mutant.name for mutant in source.mutants]
    assert len(set(names)) == len(names) > 20
    # Made and taken back: the program is what it was.
    for mutant in source.mutants[::50]:
        source.code(mutant)
    assert (source.code(None).co_code, source.code(None).co_consts) == honest
    assert all((ROOT / test).exists() for test in module.tests)


TINY = """
import time

def admitted(age, banned):
    if banned:
        raise PermissionError
    return age >= 18

def wait(until):
    while not until():
        time.sleep(0.01)

def never_asked(age):
    return age > 100
"""
TESTS = """
import pytest
import tiny

def test_the_banned_stay_out():
    with pytest.raises(PermissionError):
        tiny.admitted(40, True)

def test_the_grown_come_in():
    assert tiny.admitted(40, False)

def test_it_waits():
    tiny.wait(lambda: True)
"""
SCRIPT = """
import json, sys
from collections import Counter
from pathlib import Path
from tools.mutants.operators import Source
from tools.mutants.running import Bench
from tools.mutants.trying import attempt
root, wanted = Path(sys.argv[1]), json.loads(sys.argv[2])
source = Source((root / "tiny.py").read_text(), str(root / "tiny.py"))
bench = Bench("tiny.py", ["test_tiny.py"], root, margin=1.5)
found = bench.baselines(source.code(None), ["tiny.py"])["tiny.py"]
said = {m.name: attempt(bench, source, m, found, Counter(), 10.0) for m in source.mutants if m.name in wanted}
print(json.dumps({name: [one.outcome, one.by] for name, one in said.items()}))
"""


def test_what_a_test_notices_is_told_from_what_none_does(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(TINY)
    (tmp_path / "test_tiny.py").write_text(TESTS)
    expected = {
        "admitted: drop `raise PermissionError`": [KILLED, "test_tiny.py::test_the_banned_stay_out"],
        "admitted: age >= 18 → age > 18": [SURVIVED, ""],
        "wait: not until() → until()": [LATE, ""],
        "never_asked: 100 → 101": [UNREACHED, ""],
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), json.dumps(list(expected))],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected


def test_what_is_known_holds_while_its_sources_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "STATE", tmp_path / "state")
    monkeypatch.setattr(kept, "ROOT", tmp_path)
    (tmp_path / "one.py").write_text("LIMIT = 18\n")
    (tmp_path / "test_one.py").write_text("import one\n")
    module = Module("one.py", "gate", ("test_one.py",), {})
    noticed = Kept(
        "noticed", KILLED, "test_one.py::test", module.digest(), kept.file_digest("test_one.py"), 1.0
    )
    missed = Kept("missed", SURVIVED, "", module.digest(), module.tests_digest(), 1.0)
    kept.keep(module, noticed)
    kept.keep(module, missed)
    assert set(kept.load(module)) == {"noticed", "missed"}
    (tmp_path / "test_two.py").write_text("")  # one more test may notice it
    assert set(kept.load(module)) == {"noticed"}
    (tmp_path / "test_one.py").write_text("")
    assert set(kept.load(module)) == set()


def test_a_survivor_stands_on_the_page_with_what_is_to_be_said_of_it() -> None:
    module = Module("audit/canon.py", "link", (), {"f: a[b](c) → None": "never mind"})
    (mutant, *_) = Source("def f():\n    return a[b](c)\n", "").mutants
    said = page.section(module, [(mutant, Kept(mutant.name, SURVIVED, "", "", "", 1.0))])
    assert "| 2 | `f` | `a[b] (c) → None` | never mind |" in said
    row = page.row(module, 7, [(mutant, Kept(mutant.name, UNREACHED, "", "", "", 1.0))])
    assert row == "| link | `audit/canon.py` | 7 | 1 | 0 | 0 | 0 | 1 | 1 | 0 |\n"
