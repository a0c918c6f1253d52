"""What a signal does to a gateway of its own process: while it serves, and before."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway import demo
from gateway.edge.server import _stops
from gateway.settings import ROOT, read
from tests.waiting import until

GATEHOUSE = Path(sys.executable).with_name("gatehouse")


@contextmanager
def started(home: Path, command: str) -> Iterator[subprocess.Popen[str]]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    process = subprocess.Popen(
        [GATEHOUSE, command],
        cwd=home.parent,
        env=plain | {"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What `nohup`, or a shell's `&`, made this process pass over, it would pass over too.
        preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in (signal.SIGHUP, signal.SIGINT)],
    )
    late = threading.Timer(120, process.kill)
    late.start()
    try:
        yield process
    finally:
        late.cancel()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_is_told_in_two_lines_and_is_no_failure(tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "home"
    demo.prepare(read({"GATEHOUSE_HOME": str(home)}))
    with started(home, "run") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if '"listening"' in line:
                break
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait() == 0
    said = [json.loads(line)["event"] for line in rest.splitlines()]
    assert [name for name in said if name.startswith("stop")] == ["stopping", "stopped"]
    assert "uncaught" not in said


def test_without_stdin_stdout_and_stderr_it_serves_and_stops_in_order(tmp_path: Path) -> None:
    home = tmp_path / "home"
    demo.prepare(read({"GATEHOUSE_HOME": str(home)}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$0" run <&- >&- 2>&-', GATEHOUSE],
        cwd=home.parent,
        env=plain | {"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": str(port), "PYTHONPATH": str(ROOT)},
    )
    late = threading.Timer(120, process.kill)
    late.start()
    try:
        asyncio.run(until(lambda: answers(port) or process.poll() is not None, seconds=100))
        streams = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)]
        process.send_signal(signal.SIGTERM)
        assert (process.wait(), streams) == (0, [os.devnull] * 3)
    finally:
        late.cancel()
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    """Whether it serves: a port that takes connections may be one of a start that is not done."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=100)
    try:
        asked.request("GET", "/healthz")
        return asked.getresponse().status == 200
    except OSError:
        return False
    finally:
        asked.close()


def test_a_signal_during_the_first_load_ends_it_in_order_and_the_next_start_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with started(home, "demo") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            loaded = re.search(r"(\d+) of \d+", process.stdout.readline())
            assert loaded is not None
            assert int(loaded[1]) > done
            done = int(loaded[1])
            process.send_signal(number)
            told = process.stderr.read()
            assert process.wait() == 128 + number
        assert told.splitlines()[-1].startswith("gatehouse: ended while it was not serving.")
        assert "the next start goes on" in told
        assert "Traceback" not in told
        assert "uncaught" not in told


def test_a_terminal_that_closes_stops_nothing_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in _stops()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert signal.SIGHUP in _stops()
    finally:
        signal.signal(signal.SIGHUP, before)
