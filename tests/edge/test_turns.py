"""One request's turn on its connection: what ends it, what outlives it, and how the next one begins."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from gateway.wire.limits import Limits
from tests.edge.conftest import House
from tests.edge.test_door import wait_for

ASK = b"GET /crm/x HTTP/1.1\r\nHost: gate\r\n\r\n"
CONTROL = b"GET /v1/early HTTP/1.1\r\nHost: gate\r\n\r\n"


def test_data_plane_and_control_plane_take_turns_on_one_connection(house: House) -> None:
    with house.wire() as wire:
        for raw, what in ((ASK, "path"), (CONTROL, "who"), (CONTROL, "who"), (ASK, "path")):
            wire.send(raw)
            assert what in wire.answer().json


def test_a_connection_that_asks_nothing_more_ends_after_a_while_and_not_before(
    make_house: Callable[..., House],
) -> None:
    """The clock is set once and looks when it rings: each answer, of either plane, must count as the last one."""
    opened = make_house(Limits(keep_alive_seconds=1, stop_seconds=2))
    with opened.wire() as wire:
        for raw in (ASK, CONTROL, ASK, ASK):
            wire.send(raw)
            assert wire.answer().status == 200
            time.sleep(0.6)
        wire.send(ASK)
        assert wire.answer().status == 200
        last = time.monotonic()
        assert wire.closed()
        assert 0.9 < time.monotonic() - last < 2.5


def test_who_asks_for_a_close_gets_one(house: House) -> None:
    with house.wire() as wire:
        wire.send(b"GET /crm/x HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n")
        assert wire.answer().headers["connection"] == "close"
        assert wire.closed()


def test_http_1_0_is_answered_and_closed(house: House) -> None:
    with house.wire() as wire:
        wire.send(b"GET /crm/x HTTP/1.0\r\nHost: gate\r\nConnection: keep-alive\r\n\r\n")
        assert wire.answer().headers["connection"] == "close"
        assert wire.closed()


def test_a_caller_for_whom_a_stop_no_longer_waits_is_told_that_nobody_can_tell(
    make_house: Callable[..., House],
) -> None:
    opened = make_house(Limits(stop_seconds=1))
    with opened.wire() as wire:
        wire.send(b"PUT /crm/slow HTTP/1.1\r\nHost: gate\r\nContent-Length: 2\r\n\r\n{}")
        wait_for(lambda: bool(opened.corridor.calls))
        opened.server.stop()
        answer = wire.answer()
        assert answer.code == "upstream-silent"
        assert wire.closed()
    assert opened.corridor.finished == []  # it goes on, and the stop waits for that
    assert opened.thread.is_alive()
    opened.corridor.gate.set()
    opened.thread.join(15)
    assert opened.corridor.finished == [opened.corridor.calls[0].id]


def test_a_stop_ends_although_what_was_begun_does_not(
    make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, int, int | None]] = []

    def event(name: str, level: int = logging.INFO, /, count: int | None = None, **_: str) -> None:
        said.append((name, level, count))

    monkeypatch.setattr("gateway.edge.server.RECORD_SECONDS", 0.5)
    monkeypatch.setattr("gateway.edge.server.event", event)
    told: list[float] = []
    opened = make_house(Limits(stop_seconds=1), asked=told.append)
    with opened.wire() as wire:
        wire.send(b"PUT /crm/slow HTTP/1.1\r\nHost: gate\r\nContent-Length: 2\r\n\r\n{}")
        wait_for(lambda: bool(opened.corridor.calls))
        opened.server.stop()
        assert wire.answer().code == "upstream-silent"
    opened.thread.join(10)
    assert not opened.thread.is_alive()
    assert told == [1.5]
    assert opened.corridor.finished == []
    assert said[1:] == [
        ("stopping", logging.INFO, None),
        ("stopped-short", logging.WARNING, 1),
        ("stopped", logging.INFO, None),
    ]


def test_a_stop_that_nothing_holds_up_waits_for_nothing(make_house: Callable[..., House]) -> None:
    opened = make_house(Limits(stop_seconds=30))
    begun = time.monotonic()
    opened.server.stop()
    opened.thread.join(10)
    assert not opened.thread.is_alive()
    assert time.monotonic() - begun < 5


def test_nothing_further_is_read_from_a_client_that_does_not_take_its_answers(
    make_house: Callable[..., House],
) -> None:
    """Else whoever asks and never reads would have his answers pile up in our memory."""
    opened = make_house()
    body = b'{"a":"' + b"x" * 500_000 + b'"}'
    ask = b"POST /crm/x HTTP/1.1\r\nHost: gate\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with socket.create_connection(opened.address, timeout=10) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(1.5)
        with suppress(TimeoutError):
            for asked in range(1, 100):  # an answer is twice its request: 100 MB if all were made
                client.sendall(ask)
                end = time.monotonic() + 1.5
                while len(opened.corridor.calls) < asked and time.monotonic() < end:
                    time.sleep(0.005)
        assert 1 <= len(opened.corridor.calls) < 30
    assert opened.get(b"/crm/x").status == 200


def test_an_http_1_0_client_is_told_of_no_100(house: House) -> None:
    """RFC 9110 section 10.1.1: it would take it for its answer."""
    for target in (b"/crm/x", b"/v1/echo"):
        head = b"POST " + target + b" HTTP/1.0\r\nHost: gate\r\nContent-Type: application/json\r\n"
        with house.wire() as wire:
            wire.send(head + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            time.sleep(0.2)
            wire.send(b"{}")
            assert wire.ended()
            assert wire.buffer.startswith(b"HTTP/1.1 20")
