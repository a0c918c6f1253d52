"""Clients that dribble, and clients that do not take their answers: each is let go by its time, and nobody beside them waits for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from gateway.wire.limits import MIB, Limits
from tests.edge.conftest import House, Wire

HOST = b"Host: gate\r\n"
READ = b"GET /crm/x HTTP/1.1\r\n" + HOST + b"\r\n"
LARGE = 3_000_000
"""Of a body that the echo tells twice over: more than the kernel takes off our hands for a client that reads nothing."""
MOST = 4 * MIB


Keep = Callable[[socket.socket], socket.socket]


@pytest.fixture
def closed_later() -> Iterator[Keep]:
    """Closes at the test's end what it was shown, also where it failed: an open one would be a later test's warning."""
    with ExitStack() as stack:
        yield stack.enter_context


def asks_for_much(house: House, *, buffered: int = 4096) -> socket.socket:
    """Gives a connection on which a large answer is under way, and whose client has read nothing."""
    reader = socket.socket()  # its buffer is to be small before it connects
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffered)
    reader.connect(house.address)
    reader.settimeout(30)
    head = b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % LARGE
    reader.sendall(head + b"x" * LARGE)
    return reader


def until(condition: Callable[[], bool], seconds: float = 20) -> float:
    """Waits; gives how long it took. Fails when it takes longer."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds
        time.sleep(0.02)
    return time.monotonic() - start


def open_connections(house: House) -> int:
    return sum(len(server.server_state.connections) for server in house.server._servers)


def later(house: House) -> Wire:
    """Gives a connection that is certainly younger than the one before."""
    time.sleep(0.05)
    return house.wire()


def ended(wire: socket.socket) -> bool:
    """Reads what is there; True when the other side has ended the connection."""
    wire.settimeout(10)
    try:
        while wire.recv(65536):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def cut_short(reader: socket.socket) -> bool:
    """True for a connection of which nothing more comes than had come: what was on its way, in the kernel too, is dropped."""
    got = 0
    reader.settimeout(2)
    try:
        while part := reader.recv(65536):
            got += len(part)
    except ConnectionResetError:
        return got < 500_000
    except TimeoutError:
        return False
    return False


class Dribbler(threading.Thread):
    """Sends, or reads, one byte at a time on each of its connections, until each is closed or it is told to stop."""

    def __init__(self, connections: list[socket.socket], step: Callable[[socket.socket], bool]) -> None:
        super().__init__(daemon=True)
        self._step = step
        self._open = list(connections)
        self.stopped = False

    def run(self) -> None:
        while self._open and not self.stopped:
            for connection in tuple(self._open):
                with suppress(OSError):
                    if self._step(connection):
                        continue
                self._open.remove(connection)
            time.sleep(0.1)


def sends_a_byte(connection: socket.socket) -> bool:
    connection.send(b"a")
    connection.setblocking(False)
    try:
        connection.recv(65536)
    except BlockingIOError:
        return True
    return False  # whatever is said to it now is that it is too slow


def reads_a_byte(connection: socket.socket) -> bool:
    connection.settimeout(5)
    return connection.recv(1) != b""


def test_nobody_waits_for_those_who_dribble_and_each_of_them_ends_in_time(
    make_house: Callable[..., House], closed_later: Keep
) -> None:
    bounds = {
        "header_seconds": 2.0,
        "body_seconds": 2.0,
        "answer_seconds": 2.0,
        "answer_bytes_a_second": 10_000_000,
    }
    house = make_house(Limits(max_body_bytes=MOST, stop_seconds=2, **bounds))
    heads, bodies, readers = [], [], []
    for _ in range(40):
        heads.append(closed_later(socket.create_connection(house.address)))
        heads[-1].sendall(b"GET /crm/x HTTP/1.1\r\n" + HOST + b"X-A: ")
        bodies.append(closed_later(socket.create_connection(house.address)))
        bodies[-1].sendall(b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n")
    for _ in range(10):
        readers.append(closed_later(asks_for_much(house)))
    began, took = time.monotonic(), []
    slow = [Dribbler(heads, sends_a_byte), Dribbler(bodies, sends_a_byte), Dribbler(readers, reads_a_byte)]
    for dribbler in slow:
        dribbler.start()
    with house.wire() as caller:
        while open_connections(house) > 1:
            start = time.monotonic()
            caller.send(READ)
            assert caller.answer().status == 200
            took.append(time.monotonic() - start)
            time.sleep(0.01)
            assert time.monotonic() - began < 60
    # All are gone by their time: two seconds, half a second until somebody looks, and what a busy machine adds.
    assert 1.5 < time.monotonic() - began < 2.0 + 0.5 + 5
    took.sort()
    assert len(took) > 20
    assert took[len(took) // 2] < 0.1
    assert took[-len(took) // 50] < 1.5  # one in fifty may have met whatever else the machine does
    for dribbler in slow:
        dribbler.stopped = True
        dribbler.join(10)
    assert [len(tuple(filter(ended, wires))) for wires in (heads, bodies)] == [40, 40]
    assert all(cut_short(reader) for reader in readers)
    # Half a body is never decided on.
    assert {call.body for call in house.corridor.calls} == {b"", b"x" * LARGE}


def test_an_answer_that_nobody_takes_ends_by_its_time(make_house: Callable[..., House]) -> None:
    house = make_house(
        Limits(max_body_bytes=MOST, answer_seconds=1, answer_bytes_a_second=100_000_000, stop_seconds=2)
    )
    with asks_for_much(house) as reader:
        until(lambda: open_connections(house) == 1)
        took = until(lambda: open_connections(house) == 0)
        assert 0.8 < took < 8
        assert cut_short(reader)
    assert [code.value for code in house.strangers] == ["too-slow"]


def test_a_slow_but_honest_reader_has_a_second_more_for_each_part(make_house: Callable[..., House]) -> None:
    house = make_house(
        Limits(max_body_bytes=MOST, answer_seconds=0.1, answer_bytes_a_second=100_000, stop_seconds=2)
    )
    with asks_for_much(house, buffered=65536) as reader:
        got = 0
        while got < 2 * LARGE:  # all of it, in some seconds of the thirty that it has
            part = reader.recv(200_000)
            assert part
            got += len(part)
            time.sleep(0.05)
    assert house.strangers == []


def test_a_reader_who_takes_many_answers_one_by_one_is_never_too_slow(
    make_house: Callable[..., House],
) -> None:
    house = make_house(Limits(answer_seconds=1, answer_bytes_a_second=10_000_000, stop_seconds=2))
    body = b"x" * 200_000
    ask = b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    end = time.monotonic() + 4
    with house.wire() as wire:
        while time.monotonic() < end:
            wire.send(ask)
            assert wire.answer().status == 200
    assert house.strangers == []


def test_what_unread_answers_hold_together_is_bounded_and_the_oldest_go(
    make_house: Callable[..., House], closed_later: Keep
) -> None:
    house = make_house(
        Limits(max_body_bytes=MOST, max_unread_bytes=3 * LARGE, answer_seconds=60, stop_seconds=2)
    )
    readers = []
    for _ in range(6):
        readers.append(closed_later(asks_for_much(house)))
        time.sleep(0.6)  # so that a look sees them one after the other
    until(lambda: open_connections(house) < 6)
    time.sleep(1)
    left = open_connections(house)
    assert 1 <= left <= 3
    held = sum(
        connection.transport.get_write_buffer_size()
        for server in house.server._servers
        for connection in server.server_state.connections
    )
    assert held <= 3 * LARGE
    assert [cut_short(reader) for reader in readers[:3]] == [True] * 3  # the oldest


def test_what_unfinished_bodies_hold_together_is_bounded_and_the_oldest_go(
    make_house: Callable[..., House], closed_later: Keep
) -> None:
    house = make_house(Limits(max_unfinished_bytes=1_000_000, body_seconds=60, stop_seconds=2))
    writers = []
    for _ in range(6):
        writers.append(closed_later(socket.create_connection(house.address)))
        head = b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n"
        writers[-1].sendall(head + b"x" * 300_000)
        time.sleep(0.6)
    until(lambda: open_connections(house) <= 3)
    assert [ended(writer) for writer in writers[:2]] == [True, True]
    writers[-1].sendall(b"x" * 700_000)  # the newest goes on
    writers[-1].settimeout(10)
    assert writers[-1].recv(15) == b"HTTP/1.1 200 OK"


# ── when every place is taken ────────────────────────────────────────────────────────────────────────────────────


def test_who_only_keeps_a_place_makes_room_and_who_is_served_keeps_his(hasty: House) -> None:
    with ExitStack() as stack:
        busy = stack.enter_context(hasty.wire())
        busy.send(b"GET /crm/slow HTTP/1.1\r\n" + HOST + b"\r\n")
        until(lambda: bool(hasty.corridor.calls))
        silent = [stack.enter_context(hasty.wire()) for _ in range(2)]
        for _ in range(5):
            with hasty.wire() as caller:
                caller.send(READ)
                assert caller.answer().status == 200
        assert all(ended(wire.socket) for wire in silent)
        hasty.corridor.gate.set()
        assert busy.answer().status == 200


def test_a_flood_of_silent_connections_keeps_nobody_out(make_house: Callable[..., House]) -> None:
    house = make_house(Limits(max_connections=50, header_seconds=60, stop_seconds=2))
    stop = threading.Event()
    kept: list[socket.socket] = []

    def flood() -> None:
        while not stop.is_set():
            with suppress(OSError):  # it has made room already
                kept.append(socket.create_connection(house.address))
                kept[-1].send(b"GET /crm/x HTTP/1.1\r\nX-A: ")
            time.sleep(0.005)
            if len(kept) > 300:
                kept.pop(0).close()

    flooding = threading.Thread(target=flood, daemon=True)
    flooding.start()
    until(lambda: len(kept) > 100)
    statuses = [house.get(b"/crm/x").status for _ in range(30)]
    stop.set()
    flooding.join(10)
    assert statuses == [200] * 30
    assert open_connections(house) <= 51
    for wire in kept:
        wire.close()


def test_who_had_an_answer_keeps_his_place_before_who_had_none(make_house: Callable[..., House]) -> None:
    house = make_house(Limits(max_connections=3, stop_seconds=2))
    with house.wire() as known:
        known.send(READ)
        assert known.answer().status == 200
        with house.wire() as silent, later(house) as other:
            until(lambda: open_connections(house) == 3)
            assert house.get(b"/crm/x").status == 200
            known.send(READ)
            assert known.answer().status == 200
            assert ended(silent.socket)  # the older of the two that never asked
            other.send(READ)
            assert other.answer().status == 200


# ── pipelining ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [2, 10, 500])
def test_of_requests_sent_at_once_the_first_is_answered_and_says_that_it_is_the_last(
    house: House, number: int
) -> None:
    before = len(house.corridor.calls)
    with house.wire() as wire:
        with suppress(BrokenPipeError, ConnectionResetError):
            wire.send(b"".join(b"GET /crm/%d HTTP/1.1\r\n" % n + HOST + b"\r\n" for n in range(number)))
        answer = wire.answer()
        assert (answer.json["path"], answer.headers["connection"]) == ("/crm/0", "close")
        assert wire.closed()
    assert [call.path for call in house.corridor.calls[before:]] == ["/crm/0"]


def test_a_request_sent_while_another_is_answered_is_not_read(hasty: House) -> None:
    with hasty.wire() as wire:
        wire.send(b"GET /crm/slow HTTP/1.1\r\n" + HOST + b"\r\n")
        until(lambda: bool(hasty.corridor.calls))
        wire.send(b"GET /crm/second HTTP/1.1\r\n" + HOST + b"\r\n")
        time.sleep(0.2)
        hasty.corridor.gate.set()
        assert wire.answer().json["path"] == "/crm/slow"
        assert wire.closed()
    assert [call.path for call in hasty.corridor.calls] == ["/crm/slow"]


def test_a_request_in_one_piece_with_the_end_of_a_body_that_was_answered_before_is_not_read(
    house: House,
) -> None:
    before = len(house.corridor.calls)
    # The control plane's: a request of the data plane is whole before anything of it is answered.
    head = b"POST /v1/echo HTTP/1.1\r\n" + HOST + b"Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n"
    with house.wire() as wire:
        wire.send(head + b"hello")
        assert wire.answer().status == 415
        wire.send(b"hello" + READ)
        assert wire.closed()
    with house.wire() as wire:
        wire.send(head + b"hello")
        assert wire.answer().status == 415
        wire.send(b"hello")
        time.sleep(0.1)
        wire.send(READ)
        assert wire.answer().status == 200
    assert [call.path for call in house.corridor.calls[before:]] == ["/crm/x"]


def test_what_was_pipelined_is_sent_anew_and_answered_in_its_turn(house: House) -> None:
    with Wire(house.address) as wire:
        for number in range(3):
            wire.send(b"GET /crm/%d HTTP/1.1\r\n" % number + HOST + b"\r\n")
            assert wire.answer().json["path"] == f"/crm/{number}"


def test_a_body_in_tiny_pieces_is_refused_before_it_has_cost_much(house: House) -> None:
    """Each chunk is a call: a megabyte of them, which anybody may send, took half a second of everybody's time."""
    head = b"POST /nowhere HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n"
    with house.wire() as wire:
        with suppress(OSError):
            wire.send(head + b"1\r\nx\r\n" * 30_000)
        assert wire.answer().code == "body-too-large"


def test_a_body_in_usual_pieces_is_taken(house: House) -> None:
    head = b"POST /crm/x HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n"
    for size in (16, 1_000):
        piece = b"%x\r\n%b\r\n" % (size, b"x" * size)
        with house.wire() as wire:
            wire.send(head + piece * (200_000 // size) + b"0\r\n\r\n")
            assert len(wire.answer().json["body"]) == 2 * (200_000 // size) * size
