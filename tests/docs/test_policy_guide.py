"""The policy author's guide is followed line by line: its files are written, its commands run, and what they print is what it says."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.app.shell import gatehouse

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "policy-guide.md"
_BLOCK = re.compile(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def blocks() -> Iterator[tuple[str, str, str]]:
    for found in _BLOCK.finditer(PAGE.read_text()):
        yield found[1], found[2], found[3]


def written(where: str, text: str) -> None:
    """`FILE` is made, `FILE +` is added to."""
    name, _, how = where.partition(" ")
    with Path(name).open("a" if how == "+" else "x") as file:
        file.write(text)


def ran(line: str, home: Path) -> str:
    program, *words = shlex.split(line)
    match program, words:
        case "mkdir", ["-p", folder]:
            Path(folder).mkdir(parents=True)
        case "cp", ["-r", source, target]:
            shutil.copytree(source, Path(target) / Path(source).name if Path(target).is_dir() else target)
        case "cp", [source, target]:
            shutil.copy(source, target)
        case "gatehouse", _:
            return gatehouse(home, *words)[1]
        case _:
            raise AssertionError(f"the guide runs {program}, which this test does not know")
    return ""


def test_the_guide_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    printed, compared = "", 0
    with contextlib.chdir(tmp_path):
        for kind, where, text in blocks():
            if kind == "sh":
                printed = "".join(ran(line, tmp_path / "home") for line in text.splitlines())
            elif kind == "text":
                expected = _DIGEST.sub("sha256:…", printed)
                assert text == expected
                compared += 1
            else:
                written(where, text)
    assert compared >= 5
