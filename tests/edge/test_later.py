"""An application that is made while others are served: who waits for it, who does not, and what is said where it cannot be made."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from gateway.edge import App, Dispatcher, Later
from gateway.edge.asgi import Receive, Scope, Send
from tests.edge.conftest import Limits, Wire, open_house

HTTP: Scope = {"type": "http"}


async def nothing() -> Any:
    return {"type": "http.request"}


async def nobody(_: Any) -> None: ...


def making(release: threading.Event, served: list[Scope], made: list[int]) -> Callable[[], App]:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        served.append(scope)

    def make() -> App:
        made.append(1)
        assert release.wait(10)
        return application

    return make


async def test_whoever_asks_before_waits_and_it_is_made_once() -> None:
    release, served, made, kept = threading.Event(), [], [], []
    later = Later(making(release, served, made), lambda: kept.append(list(served)))
    asked = [asyncio.ensure_future(later(dict(HTTP), nothing, nobody)) for _ in range(5)]
    await asyncio.sleep(0.05)
    asked[0].cancel()  # calls nothing off for the others
    await asyncio.sleep(0.05)
    assert served == []
    release.set()
    given = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in given] == [asyncio.CancelledError, *[type(None)] * 4]
    await later(dict(HTTP), nothing, nobody)
    assert (len(served), made, kept) == (5, [1], [[]])


async def test_a_server_starts_and_stops_without_waiting_for_it() -> None:
    release, said = threading.Event(), []

    async def told(message: Any) -> None:
        said.append(message["type"])

    later = Later(making(release, [], []))
    try:
        async with asyncio.timeout(5):
            await later({"type": "lifespan"}, nothing, told)
    finally:
        release.set()
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_where_it_cannot_be_made_every_request_fails_and_it_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> App:
        raise LookupError("geheim")

    later = Later(broken)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            with pytest.raises(LookupError):
                await later(dict(HTTP), nothing, nobody)
    (told,) = [record for record in caplog.records if record.getMessage() == "control-plane-absent"]
    assert "geheim" not in str(vars(told))


def test_records_are_served_while_the_control_plane_is_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a real server: the corridor answers at once, the control plane once it is there, and both as ever."""
    release = threading.Event()
    kept = Dispatcher.__init__

    def late(self: Dispatcher, door: Any, control: App, prefixes: Any) -> None:
        def make() -> App:
            assert release.wait(10)
            return control

        kept(self, door, Later(make), prefixes)

    monkeypatch.setattr(Dispatcher, "__init__", late)
    house = open_house(Limits(stop_seconds=2))
    try:
        with Wire(house.address) as waiting:
            waiting.send(b"GET /v1/early HTTP/1.1\r\nHost: gate\r\n\r\n")
            for _ in range(3):
                assert house.get(b"/crm/x").status == 200
            release.set()
            assert waiting.answer().status == 200
        assert house.get(b"/v1/nowhere").status == 404
    finally:
        release.set()
        house.stop()
        house.metrics.close()
