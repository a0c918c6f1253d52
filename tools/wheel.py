"""Builds the wheel: the same sources give the same bytes, wherever and by whomever they are built."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# All that goes into a wheel, and what says how.
SOURCES = ("audit", "gateway", "migrations", "policies", "pyproject.toml", "README.md")


def copied(into: Path, root: Path = ROOT) -> Path:
    """Copies the sources of a checkout, without what an interpreter left there, and gives the folder."""
    into.mkdir(parents=True)
    for name in SOURCES:
        if (root / name).is_dir():
            shutil.copytree(root / name, into / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(root / name, into / name)
    return into


def build(source: Path, into: Path, epoch: int) -> Path:
    """Builds the wheel of a folder of sources and gives it. epoch: the time that every file in it bears (SOURCE_DATE_EPOCH)."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
    (wheel,) = into.glob("*.whl")
    return wheel


def twice(root: Path, epoch: int) -> tuple[bytes, bytes, str]:
    """Builds two copies in two folders, one after the other, as two people would, and gives both and the file's name."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        first = build(copied(folder / "one", root), folder / "out-1", epoch)
        before = os.umask(0o077)  # another person's habits must not show
        try:
            second = build(copied(folder / "elsewhere" / "two", root), folder / "out-2", epoch)
        finally:
            os.umask(before)
        return first.read_bytes(), second.read_bytes(), first.name


def sha256(data: bytes) -> str:
    """Gives the digest by which a file is named in SHA256SUMS and in the bill of materials."""
    return hashlib.sha256(data).hexdigest()
