"""Where a figure was taken: machine, versions, commit, and how busy the machine was with other things."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.children import CORES, ROOT

PACKAGES = ("cryptography", "httptools", "orjson", "pycasbin", "sqlalchemy", "uvicorn", "uvloop")


def described() -> dict[str, Any]:
    """Gives all of it. `dirty`: the checkout had changes that no commit holds."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "cpu": _cpu(),
        "cores": len(CORES),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "versions": {name: version(name) for name in PACKAGES},
        "load_average": load_average(),
    }


def load_average() -> list[float]:
    """Gives the load average of 1, 5 and 15 minutes: above the number of cores, figures are ratios at best."""
    return [round(value, 1) for value in os.getloadavg()]


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
