"""Processes that are measured: started, pinned to a core, read (CPU time, memory) and ended, each by its own number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
MEASURED, REST = {CORES[0]}, set(CORES[1:]) or {CORES[0]}
"""What is measured has one core to itself; load and upstream share the others."""


@dataclass(frozen=True)
class Child:
    """One process that serves on a port of loopback."""

    process: subprocess.Popen[str]
    port: int

    def cpu_seconds(self) -> float:
        """User and system time of the process so far, all of its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mib(self) -> float:
        """Resident memory now."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def environment(settings: Mapping[str, str] = {}) -> dict[str, str]:
    """Gives the environment of a child: ours without Gatehouse's settings, then `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


@contextmanager
def serving(
    command: Sequence[str], *, cores: set[int], settings: Mapping[str, str] | None = None
) -> Iterator[Child]:
    """Starts a process that prints `port N` first, or logs it as Gatehouse does; ends it on leaving."""
    process = subprocess.Popen(
        command,
        env=environment(settings or {}),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    rest = None
    try:
        port = _port(process)
        # A full pipe would stop a server that logs.
        rest = threading.Thread(target=_drain, args=(process,), daemon=True)
        rest.start()
        yield Child(process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if rest is not None:
            rest.join(5)  # it closes the pipe
        elif process.stdout is not None:
            process.stdout.close()


def _drain(process: subprocess.Popen[str]) -> None:
    with process.stdout or nullcontext(()) as lines:
        for _ in lines:
            pass


def _port(process: subprocess.Popen[str]) -> int:
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if line.startswith("port "):
            return int(line.split()[1])
        if '"event":"listening"' in line:
            return int(orjson.loads(line)["listener"].rpartition(":")[2])
    raise SystemExit(f"{process.args!r} did not serve:\n{''.join(said[-20:])}")


def asked(module: str, question: Any, *, cores: set[int] | None = None) -> Any:
    """Runs one of our modules, gives it a question as JSON and returns its answer."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=orjson.dumps(question),
        stdout=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
        check=True,
        preexec_fn=None if cores is None else lambda: os.sched_setaffinity(0, cores),
    )
    return orjson.loads(done.stdout)
