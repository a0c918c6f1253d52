"""A worker that hangs does not keep its parent from ending."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time

import pytest

from gateway import supervising
from gateway.process import Process
from gateway.settings import read
from gateway.supervising import Ending, Pace, Supervisor

DEAF = "import signal, time\nfor number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, signal.SIG_IGN)\ntime.sleep(120)"
"""Reads nothing of what its parent says, and heeds no signal that it can pass over."""


async def test_a_worker_that_hangs_is_killed_when_the_stop_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[asyncio.subprocess.Process] = []
    ready = asyncio.Event()
    said: list[tuple[str, int | None]] = []

    async def hung(_number: int, _run: str, _bound: socket.socket) -> Process:
        ours, theirs = socket.socketpair()
        deaf = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DEAF, stdin=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
        )
        processes.append(deaf)
        with theirs:
            theirs.sendall(b'{"ready": true}\n')
        return Process(deaf, *await asyncio.open_unix_connection(sock=ours))

    def event(name: str, *_: int, status: int | None = None, **__: object) -> None:
        said.append((name, status))
        if name == "worker-ready":
            ready.set()

    monkeypatch.setattr(Process, "start", hung)
    monkeypatch.setattr(supervising, "event", event)
    for name in ("RECORD_SECONDS", "LEAVE_SECONDS", "HANGS_SECONDS"):
        monkeypatch.setattr(supervising, name, 0.1)
    settings = read({"GATEHOUSE_STOP_SECONDS": "1"})
    with socket.socket() as bound:
        parent = asyncio.ensure_future(Supervisor(settings, 1, bound, Pace()).serve(None))
        try:
            async with asyncio.timeout(30):
                await ready.wait()
                begun = time.monotonic()
                signal.raise_signal(signal.SIGTERM)
                assert await parent is Ending.GAVE_UP
        finally:
            for process in processes:
                if process.returncode is None:
                    process.kill()
    assert 1 < time.monotonic() - begun < 10
    assert said[1:] == [
        ("stopping", None),
        ("worker-hangs", None),
        ("worker-ended", -signal.SIGKILL),
        ("stopped", None),
    ]
