"""What failed beside the other tests is asked again alone: a machine that was busy is told from a program that is wrong.

Some tests keep real clocks, sockets and threads, five processes of them on two cores. Up to FEW that failed may be *unsteady*: each has to
pass TIMES times in a row with nothing beside it. The gate then holds and names them: each is a defect of its test that somebody has
to mend. A campaign is never asked again: what it finds by chance is found.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

FEW, TIMES = 3, 3
FAILED, NOTHING_FOUND = 1, 5  # pytest's exit codes
_LAST = Path(".pytest_cache/v/cache/lastfailed")


def forget(folder: Path) -> None:
    """Takes away what an earlier run has left about failures."""
    (folder / _LAST).unlink(missing_ok=True)


def unsteady(pytest: Path, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Gives the names of the last run's failed tests when every one of them is unsteady, else nothing."""
    try:
        failed = sorted(json.loads((folder / _LAST).read_bytes()))
    except (OSError, ValueError):
        return []
    if not 0 < len(failed) <= FEW:
        return []

    def ended(*options: str) -> int:
        command = [str(pytest), "-p", "no:cacheprovider", *options, *failed]
        return subprocess.run(command, cwd=folder, env=dict(environment)).returncode

    if ended("--collect-only", "-q", "-m", "campaign") != NOTHING_FOUND:
        return []
    return failed if not any(ended() for _ in range(TIMES)) else []
