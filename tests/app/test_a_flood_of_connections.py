"""A process that may have few files open, and a stranger who opens more connections than that: others are served."""

from __future__ import annotations

import http.client
import json
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gateway import demo
from gateway.settings import ROOT, read

FLOOD = 600
RUN = "from gateway.cli import main; import sys; sys.argv = ['gatehouse', 'run']; main()"


@contextmanager
def serving(home: Path, files: tuple[int, int]) -> Iterator[tuple[int, list[str]]]:
    """Gives the port of a gateway with so many files (soft and hard limit), and the events that it tells before it listens."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=home.parent,
        env={"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0", "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, files),
    )
    late = threading.Timer(120, process.kill)
    late.start()
    try:
        assert process.stderr is not None
        told, port = [], 0
        for line in process.stderr:
            said = json.loads(line)
            told.append(said["event"])
            if said["event"] == "listening":
                port = int(said["listener"].rpartition(":")[2])
                break
        yield port, told
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait() == 0
    finally:
        late.cancel()
        process.kill()
        process.communicate()


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    finally:
        connection.close()


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2_048, reason="too few files here")
@pytest.mark.parametrize("most", [2_048, 1_024])
def test_silent_connections_keep_nobody_out(tmp_path: Path, most: int) -> None:
    home = tmp_path / "home"
    demo.prepare(read({"GATEHOUSE_HOME": str(home)}))
    with serving(home, (256, most)) as (port, said), ExitStack() as stack:
        assert healthy(port)  # the control plane is loaded
        for _ in range(FLOOD):
            one = stack.enter_context(socket.socket())
            one.settimeout(60)
            one.connect(("127.0.0.1", port))
        assert all(healthy(port) for _ in range(5))
    assert "few-connections" in said
