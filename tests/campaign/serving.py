"""A gateway as its users meet it: a process of its own, over sockets. For campaigns that kill it, starve it or flood it."""

from __future__ import annotations

import atexit
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
_BASE = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass
class Gateway:
    """One `gatehouse demo` (or `run`) process. lines: what it printed; logs: its stderr."""

    process: subprocess.Popen[str]
    base: str
    lines: list[str]
    logs: list[str]
    home: Path

    def stop(self) -> int:
        """Asks it to stop and gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed."""
        self.process.kill()
        self.process.wait(10)


@dataclass
class Launcher:
    """Starts gateways on one home folder, again and again; settings as environment variables.

    program: what each process runs; a build with a guard removed is another program.
    """

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ("demo",)
    program: str = "from gateway.cli import main; main()"

    def start(self, *, seconds: float = 60) -> Gateway:
        """Starts one and returns when it serves. Raises AssertionError with its logs when it ends or takes too long."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEHOUSE_")}
        environment |= {
            "GATEHOUSE_HOME": str(self.home),
            "GATEHOUSE_PORT": "0",
            "PYTHONPATH": str(ROOT),
        } | dict(self.settings)
        process = subprocess.Popen(
            [sys.executable, "-c", self.program, *self.command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home.parent,
        )
        atexit.register(_end, process)  # a campaign that fails leaves nobody behind
        lines: list[str] = []
        logs: list[str] = []
        for stream, into in ((process.stdout, lines), (process.stderr, logs)):
            assert stream is not None
            threading.Thread(target=_drain, args=(stream, into), daemon=True).start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            base = _listening(lines, logs)
            if base:
                return Gateway(process, base, lines, logs, self.home)
            time.sleep(0.02)
        process.kill()
        raise AssertionError("the gateway did not serve:\n" + "\n".join(logs[-10:]))


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()


def _listening(lines: list[str], logs: list[str]) -> str | None:
    for line in logs:
        found = re.search(r'"event":"listening".*?"listener":"([^"]+)"', line)
        if found:
            return f"http://{found[1]}"
    return next((m[0] for line in lines if (m := _BASE.search(line))), None)


def _drain(stream: IO[str], into: list[str]) -> None:
    with stream:
        for line in stream:
            into.append(line.rstrip("\n"))
