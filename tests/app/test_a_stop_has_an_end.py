"""A stop ends, and a start serves, whatever is slow or silent: an upstream, a database, a thread that nothing reaches."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from audit.verify import verify_sqlite
from gateway import demo
from gateway.app import House, Server, open_house, serve
from gateway.corridor.settle import Settled, Settler
from gateway.settings import ROOT, Settings, read


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    given = {"HOME": str(tmp_path / "home"), "PORT": "0", "STOP_SECONDS": "0.5", "SETTLE_SECONDS": "0.01"}
    found = read({f"GATEHOUSE_{name}": value for name, value in given.items()})
    demo.prepare(found)
    return found


class Hanging:
    """In the place of a settler's round: one that waits for ever from the moment on that it is told to."""

    def __init__(self, *, at_once: bool) -> None:
        self.now = at_once
        self.waits = asyncio.Event()

    async def round(self, *_: object) -> Settled:
        if self.now:
            self.waits.set()
            await asyncio.Event().wait()
        return Settled()


async def actions(house: House) -> list[str]:
    return [orjson.loads(e.bytes)["action"] for e in await house.log.entries(0, 100)]


async def test_a_start_serves_although_what_is_open_cannot_be_settled_in_time(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hanging = Hanging(at_once=True)
    monkeypatch.setattr(Settler, "round", hanging.round)
    async with asyncio.timeout(20):
        async with open_house(chosen) as house:
            assert hanging.waits.is_set()
            assert await actions(house) == ["gateway:start", "bundle:activate"]
    assert caplog.messages.count("settling-goes-on") == 1


async def test_a_round_that_hangs_does_not_keep_a_stop_from_its_last_entry(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway.app.RECORD_SECONDS", 0.2)
    hanging = Hanging(at_once=False)
    monkeypatch.setattr(Settler, "round", hanging.round)
    async with asyncio.timeout(20):
        async with open_house(chosen) as house:
            started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
            told: list[float] = []
            task = asyncio.ensure_future(serve(house, started=started.set_result, asked=told.append))
            server = await started
            hanging.now = True
            await hanging.waits.wait()
            server.stop()
            await task
            assert (await actions(house))[-1] == "gateway:stop"
    cut = [record for record in caplog.records if record.getMessage() == "loop-cut-short"]
    assert [(record.levelname, record.__dict__["gatehouse_fields"]["component"]) for record in cut] == [
        ("WARNING", "settle")
    ]
    assert told == [11.0]
    assert verify_sqlite(chosen.home / "audit.sqlite").intact


HELD_UP = """
import sys, threading
import gateway.ending as ending
from gateway.observe import configure

configure()
ending.LEAVE_SECONDS = 0.2
ending.ends_after(0.2)
if "stderr" in sys.argv:
    sys.stderr.write("x" * 1_000_000)  # nobody reads it
threading.Event().wait()
"""


@pytest.mark.parametrize("held", ["", "stderr"])
def test_a_process_that_something_holds_up_ends_all_the_same(held: str) -> None:
    begun = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", HELD_UP, held], env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()
        assert time.monotonic() - begun < 15
        assert process.stderr is not None
        if not held:
            line = json.loads(process.stderr.read())
            assert (line["event"], line["level"]) == ("ended-anyway", "warning")
