"""A real pipe whose reader is gone: the command ends with 128 and SIGPIPE's number, and says nothing more to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.settings import ROOT

GATEHOUSE = Path(sys.executable).with_name("gatehouse")


def run(home: Path, *command: str | Path, closed: str, **more: str) -> tuple[int, bytes]:
    """Gives its exit code, with nobody at the other end of `closed`, and what it wrote to the other one."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            command,
            stdout=writer if closed == "stdout" else subprocess.PIPE,
            stderr=writer if closed == "stderr" else subprocess.PIPE,
            cwd=home.parent,
            env=plain | {"GATEHOUSE_HOME": str(home), "PYTHONPATH": str(ROOT)} | more,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode, (done.stderr if closed == "stdout" else done.stdout)


@pytest.mark.parametrize(
    "words", ["--help", "audit verify --help", "--version", "settings --explain --json", "doctor"]
)
def test_who_left_is_told_by_the_code_alone(tmp_path: Path, words: str) -> None:
    # `doctor` finds this home wanting, which would be 1.
    assert run(tmp_path / "empty", GATEHOUSE, *words.split(), closed="stdout") == (141, b"")


@pytest.mark.parametrize("words", ["audit tail", "nothing", "keys status"])
def test_nor_is_a_failure_told_to_whoever_left(tmp_path: Path, words: str) -> None:
    assert run(tmp_path / "empty", GATEHOUSE, *words.split(), closed="stderr") == (141, b"")


def test_completion_is_the_shells_own_affair(tmp_path: Path) -> None:
    how = {"_GATEHOUSE_COMPLETE": "bash_complete", "COMP_WORDS": "gatehouse aud", "COMP_CWORD": "1"}
    assert run(tmp_path / "empty", GATEHOUSE, closed="stderr", **how) == (0, b"plain,audit\n")


def test_a_long_output_that_is_cut_off_half_way(tmp_path: Path) -> None:
    program = (
        "import click\n"
        "from gateway import cli\n"
        "@cli.group.command()\n"
        "def long():\n    for _ in range(100):\n        click.echo('x' * 1_000_000)\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -c "$1" long | head -c 1', sys.executable, program],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (141, b"x", b"")


def test_another_pipe_that_breaks_is_a_defect(tmp_path: Path) -> None:
    program = (
        "from gateway import cli\n"
        "@cli.group.command()\n"
        "def broken():\n    raise BrokenPipeError(32, 'geheim')\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "broken"],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert b"BrokenPipeError" in done.stderr
    assert b"geheim" not in done.stderr
