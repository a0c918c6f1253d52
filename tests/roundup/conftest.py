"""Roundup over HTTP on loopback, the gateway in front of it: once for each worker that runs any of these tests."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.roundup.upstream import ROOT, Tracker, install
from tests.campaign.serving import Launcher
from tests.roundup.wire import Wire
from tests.roundup.world import World, policies


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """The world of this session. Tests make their own customers in it and leave the others' alone."""
    folder = Path(tempfile.mkdtemp(prefix="gh-roundup-"))
    python = install(ROOT / "var" / "roundup" / "venv", print)
    port = free_port()
    wire = Wire(port)
    tracker = Tracker(folder / "data", python, port, web_port=wire.port)
    tracker.set_up(print)
    with tracker.served():
        settings = {
            "GATEHOUSE_POLICIES": str(policies(folder / "policies", wire.port)),
            "GATEHOUSE_UPSTREAM_HOSTS": f"127.0.0.1:{wire.port}",
            "ROUNDUP_LOGIN": tracker.login,
            # Roundup's own deadlines, 22 s, are what an open intent waits for here.
            "GATEHOUSE_SETTLE_GRACE_SECONDS": "5",
        }
        launcher = Launcher(
            folder / "gateway", settings, (), "from examples.roundup.front import main; main()"
        )
        made = World(tracker, wire, launcher, launcher.start())
        yield made
        assert made.gateway.stop() == 0, "\n".join(made.gateway.logs[-10:])
    wire.close()
    shutil.rmtree(folder)
