"""What the gate excuses, and what it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.unsteady import FEW, forget, unsteady

PYTEST = Path(sys.executable).parent / "pytest"
SETTINGS = "[pytest]\naddopts = -q\nmarkers =\n  campaign: one\npythonpath = .\n"
FIRST = "from pathlib import Path\nimport pytest\nMET = Path('met')\n"
# Fails when it is run the first time, as a test does that a busy machine has met.
ONCE = FIRST + "def test_it():\n    met = MET.exists()\n    MET.touch()\n    assert met\n"
ALWAYS = FIRST + "def test_it():\n    assert False\n"
SELDOM = (
    FIRST
    + "def test_it():\n    MET.write_text((MET.read_text() if MET.exists() else '') + '.')\n    assert len(MET.read_text()) in (2, 3)\n"
)
CAMPAIGN = ONCE.replace("def test_it", "@pytest.mark.campaign\ndef test_it")
MANY = FIRST + f"@pytest.mark.parametrize('n', range({FEW + 1}))\n"
MANY += "def test_it(n):\n    met = Path(f'met{n}').exists()\n    Path(f'met{n}').touch()\n    assert met\n"
AT_SETUP = FIRST + (
    "@pytest.fixture\ndef late():\n    met = MET.exists()\n    MET.touch()\n    assert met\n"
    "def test_it(late):\n    pass\n"
)


@pytest.mark.parametrize(
    ("text", "excused"),
    [(ONCE, True), (AT_SETUP, True), (ALWAYS, False), (SELDOM, False), (CAMPAIGN, False), (MANY, False)],
    ids=["once", "at setup", "always", "seldom right", "a campaign", "too many"],
)
def test_only_a_few_that_pass_alone_are_excused(tmp_path: Path, text: str, excused: bool) -> None:
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "test_shaky.py").write_text(text)
    environment = {
        **os.environ,
        "PYTEST_ADDOPTS": "",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }  # it starts faster
    forget(tmp_path)
    assert subprocess.run([PYTEST], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL).returncode == 1
    assert bool(unsteady(PYTEST, tmp_path, environment)) is excused


def test_what_an_earlier_run_left_excuses_nothing(tmp_path: Path) -> None:
    left = tmp_path / ".pytest_cache" / "v" / "cache" / "lastfailed"
    left.parent.mkdir(parents=True)
    left.write_text('{"test_shaky.py::test_it": true}')
    forget(tmp_path)
    assert unsteady(PYTEST, tmp_path, {}) == []
