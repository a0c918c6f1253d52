"""The gate that `make test` and CI run: format, lint, types, import contracts, tests, docs. One word runs all of it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tools.unsteady import FAILED, forget, unsteady

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# What is checked → how. The documents are held to the code by tests under tests/docs.
STEPS = (
    ("format", ["ruff", "format", "--check", "--quiet", "."]),
    ("lint", ["ruff", "check", "--quiet", "."]),
    ("types", ["mypy", "--no-error-summary"]),
    ("imports", ["lint-imports", "--no-cache"]),
)
# Five for two cores: half of a test's time is waiting, for a disk, a server's start, a deadline.
TESTS = ["pytest", "-n", "5", "--dist", "worksteal", "--durations", "25"]
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
    failed: list[str] = []

    def ended(command: list[str]) -> int:
        return subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, env=environment).returncode

    def passes(command: list[str]) -> bool:
        return ended(command) == 0

    def step(name: str, holds: Callable[[], bool]) -> None:
        print(f"── {name}", flush=True)
        started = time.monotonic()
        if not holds():
            failed.append(name)
        print(f"   {time.monotonic() - started:.1f} s", flush=True)

    compiling = subprocess.Popen(
        [str(BIN / COMPILE[0]), *COMPILE[1:]],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for name, command in STEPS:
        step(name, partial(passes, command))
    compiling.wait()  # what fails in it, the tests tell
    shaky: list[str] = []

    def tests() -> bool:
        forget(ROOT)
        code = ended(TESTS)
        if code == FAILED:
            print("── what failed, again and alone", flush=True)
            shaky.extend(unsteady(BIN / TESTS[0], ROOT, environment))
        return code == 0 or bool(shaky)

    step("tests and docs", tests)
    for name in shaky:
        print(f"unsteady, to be mended: {name} failed beside other tests and passed alone", flush=True)
    print("failed: " + ", ".join(failed) if failed else "all of the gate holds", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
