"""The gate that `make test` and CI run: format, lint, types, import contracts, tests, docs. One word runs all of it."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# What is checked → how. The documents are held to the code by tests under tests/docs.
STEPS = (
    ("format", ["ruff", "format", "--check", "--quiet", "."]),
    ("lint", ["ruff", "check", "--quiet", "."]),
    ("types", ["mypy", "--no-error-summary"]),
    ("imports", ["lint-imports", "--no-cache"]),
    # Five for two cores: half of a test's time is waiting, for a disk, a server's start, a deadline.
    ("tests and docs", ["pytest", "-n", "5", "--dist", "worksteal", "--durations", "25"]),
)


# Compiles the tests once, while the types are looked at, and not once in each of five processes at the same time.
COMPILE = ["pytest", "--collect-only", "-q", "-p", "no:randomly"]


def main() -> int:
    """Runs every step, also after a failing one, and returns 1 if any failed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is compiled is kept, in every process of the gate
    compiling = subprocess.Popen(
        [str(BIN / COMPILE[0]), *COMPILE[1:]],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    failed: list[str] = []
    for name, command in STEPS:
        if command[0] == COMPILE[0]:
            compiling.wait()  # what fails in it, the tests tell
        print(f"── {name}", flush=True)
        started = time.monotonic()
        if subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, env=environment).returncode:
            failed.append(name)
        print(f"   {time.monotonic() - started:.1f} s", flush=True)
    print("failed: " + ", ".join(failed) if failed else "all of the gate holds", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
