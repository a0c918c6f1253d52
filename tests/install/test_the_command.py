"""The `gatehouse` command of a checkout runs wherever the checkout lies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.link import launcher


@pytest.mark.parametrize("folder", ["plain", "a checkout of mine", 'it\'s "here" $HOME', "深/" + "long" * 40])
def test_a_command_finds_its_interpreter(tmp_path: Path, folder: str) -> None:
    place = tmp_path / folder
    place.mkdir(parents=True)
    python, command = place / "python", place / "gatehouse"
    python.symlink_to(sys.executable)
    command.write_text(launcher(str(python), "import sys\n\nprint(sys.argv[1:])\nsys.exit(7)\n"))
    command.chmod(0o755)
    done = subprocess.run([command, "a b", "*", ""], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "['a b', '*', '']\n")
