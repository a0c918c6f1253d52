"""Processes that are measured: started, pinned to a core, read (CPU time, memory) and ended, each by its own number."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
CORES = sorted(os.sched_getaffinity(0))
MEASURED, REST = {CORES[0]}, set(CORES[1:]) or {CORES[0]}
"""What is measured has one core to itself; load and upstream share the others."""


@dataclass(frozen=True)
class Child:
    """One program that serves on a port of loopback, in one process or, as nginx, with processes of its own below it."""

    process: subprocess.Popen[str]
    port: int

    def cpu_seconds(self) -> float:
        """User and system time so far, all processes, all threads."""
        return sum(map(_cpu_seconds, _family(self.process.pid)))

    def memory_mib(self) -> float:
        """Resident memory now, all processes; what they share counts once each."""
        return sum(map(_memory_mib, _family(self.process.pid)))


def cpu_of_each(child: Child) -> dict[int, float]:
    """Gives the seconds of the processor that each process of a program had so far, by its number."""
    return {pid: _cpu_seconds(pid) for pid in _family(child.process.pid)}


def _family(pid: int) -> list[int]:
    """Gives a process and all below it."""
    found = [pid]
    for known in found:
        for task in Path(f"/proc/{known}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _cpu_seconds(pid: int) -> float:
    # The process's own clock, as clock_getcpuclockid(3) numbers it: to the nanosecond, where /proc counts in hundredths of a second.
    return time.clock_gettime(~pid << 3 | 2)


def _memory_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def environment(settings: Mapping[str, str] = {}) -> dict[str, str]:
    """Gives the environment of a child: ours without Gatehouse's settings, then `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


def free_port() -> int:
    """Gives a port of loopback that nobody has now, for a program that cannot choose one itself."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def serving(
    command: Sequence[str],
    *,
    cores: set[int],
    settings: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Child]:
    """Starts a program; ends it on leaving. port: where it will listen; without one it prints `port N`, or logs it as Gatehouse does."""
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
        found = _listening(process, port) if port else _port(process)
        # A full pipe would stop a server that logs.
        rest = threading.Thread(target=_drain, args=(process,), daemon=True)
        rest.start()
        yield Child(process, found)
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


def _listening(process: subprocess.Popen[str], port: int) -> int:
    for _ in range(300):
        if process.poll() is not None:
            said = process.stdout.read() if process.stdout is not None else ""
            raise SystemExit(f"{process.args!r} ended instead of serving:\n{said[-4000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return port
    raise SystemExit(f"{process.args!r} does not listen on port {port}")


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
