"""A real server on loopback with our protocol on uvloop, and a client that sends raw bytes and reads raw bytes."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import uvloop
from litestar import Litestar, Request, get, post

from gateway.edge import Dispatcher, Door, Listener, ListenerTls, Server
from gateway.observe import Metrics
from gateway.rooms import Reply
from gateway.wire.json import parse
from gateway.wire.limits import Limits
from gateway.words.access import Call
from gateway.words.errors import Code, Refused, Unavailable, Unidentified

PREFIXES = (("crm",), ("a",), ("deep", "mount"))


@dataclass
class Echo:
    """A corridor that answers with what it was asked; some paths make it behave otherwise."""

    calls: list[Call] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    async def answer(self, call: Call) -> Reply:
        self.calls.append(call)
        match call.path:
            case "/crm/defect":
                raise ZeroDivisionError("the secret of 张伟 13800001234")
            case "/crm/half-done":
                raise Unavailable(Code.OUTCOME_UNRECORDED) from ZeroDivisionError()
            case "/crm/hidden" | "/crm/said":
                error = Refused(Code.NOT_FOUND if call.path == "/crm/hidden" else Code.CONFLICT)
                error.entry = "1:ab"
                raise error
            case "/crm/unknown":
                raise Unidentified
            case "/crm/methods":
                raise Refused(Code.METHOD_NOT_LISTED, allow="GET, HEAD")
            case "/crm/empty":
                return Reply(204, (("audit-ref", "1:ab"),), b"")
            case "/crm/odd-header":
                return Reply(200, (("x-odd", "a\r\nset-cookie: b"),), b"{}")
            case "/crm/own-cache":
                return Reply(200, (("cache-control", "public"), ("content-type", "application/json")), b"{}")
            case "/crm/some-of-many":
                return Reply(200, (), b"[]", tick_seconds=0.05)
            case "/crm/status/299" | "/crm/status/1000":
                return Reply(int(call.segments[-1]), (), b"")
            case "/crm/slow":
                while not self.gate.is_set():  # noqa: ASYNC110 - set from another thread
                    await asyncio.sleep(0.01)
            case "/crm/json":
                parse(call.body)
        told = {
            "method": call.method,
            "path": call.path,
            "segments": call.segments,
            "raw_query": call.raw_query,
            "query": call.query,
            "headers": call.headers,
            "body": call.body.hex(),
            "peer": call.peer,
        }
        self.finished.append(call.id)
        return Reply(200, (("content-type", "application/json"),), json.dumps(told).encode())


@get("/healthz", sync_to_thread=False)
def healthz() -> dict[str, str]:
    return {"health": "ok"}


@get("/v1/early", sync_to_thread=False)
def early() -> dict[str, str]:
    return {"who": "control"}


@get("/v1/defect", sync_to_thread=False)
def control_defect() -> dict[str, str]:
    raise ZeroDivisionError


async def bodies(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The body as the framework was handed it, and as it stands in the call."""
    return {
        "framework": (await request.body()).hex(),
        "call": cast(Any, request.scope)["gatehouse.call"].body.hex(),
    }


@post("/v1/echo")
async def echo_back(request: Request[Any, Any, Any]) -> dict[str, str]:
    return await bodies(request)


@post("/oauth/token", status_code=200)
async def token(request: Request[Any, Any, Any]) -> dict[str, str]:
    return await bodies(request)


@dataclass
class Answered:
    """One HTTP answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code; fails where the answer is not a problem of ours in full."""
        assert self.headers["content-type"] == "application/problem+json"
        told = self.json
        assert told["status"] == self.status
        assert told["title"]
        assert told["next"]
        assert told["request"].startswith("req_")
        assert told["request"] == self.headers["gatehouse-request"]
        return str(told["type"].removeprefix("urn:gatehouse:problem:"))


class Wire:
    """One connection of raw bytes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.buffer = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _more(self) -> bool:
        part = self.socket.recv(65536)
        self.buffer += part
        return bool(part)

    def answer(self, *, head: bool = False) -> Answered:
        """Reads exactly one answer with a Content-Length, or chunked up to its end."""
        while b"\r\n\r\n" not in self.buffer:
            assert self._more(), f"closed without an answer: {self.buffer!r}"
        raw, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")
        pairs = [line.partition(": ")[::2] for line in lines]
        assert len({name for name, _ in pairs}) == len(pairs), "a header stands twice"
        headers = dict(pairs)
        status = int(first.split()[1])
        if status == 100:
            return self.answer(head=head)
        length = 0 if head or status in (204, 304) else int(headers["content-length"])
        while len(self.buffer) < length:
            assert self._more(), "closed in the middle of a body"
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answered(status, headers, body)

    def ended(self, seconds: float = 8) -> bool:
        """Reads until the server ends the connection; True when it does. What it said is in `buffer`."""
        self.socket.settimeout(seconds)
        try:
            while self._more():
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True

    def closed(self) -> bool:
        """True when the server ends the connection and has said nothing more."""
        self.socket.settimeout(5)
        try:
            while self._more():
                pass
        except ConnectionResetError:
            return not self.buffer
        except TimeoutError:
            return False
        return not self.buffer


@dataclass
class House:
    """A running server."""

    address: tuple[str, int]
    corridor: Echo
    metrics: Metrics
    strangers: list[Code]
    server: Server
    thread: threading.Thread

    def wire(self) -> Wire:
        return Wire(self.address)

    def ask(self, data: bytes, *, head: bool = False) -> Answered:
        """Sends one request on a fresh connection and gives its answer."""
        with self.wire() as wire:
            wire.send(data)
            return wire.answer(head=head)

    def get(self, target: bytes, *lines: bytes, method: bytes = b"GET") -> Answered:
        head = b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Host: gate", *lines, b"", b""])
        return self.ask(head, head=method == b"HEAD")

    def post(self, target: bytes, body: bytes, *lines: bytes) -> Answered:
        length = b"Content-Length: %d" % len(body)
        lines = (b"Host: gate", length, b"Content-Type: application/json", *lines, b"", body)
        return self.ask(b"\r\n".join([b"POST " + target + b" HTTP/1.1", *lines]))

    def stop(self) -> None:
        self.server.stop()
        self.corridor.gate.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


def open_house(
    limits: Limits,
    *,
    with_control: bool = True,
    prefixes: tuple[tuple[str, ...], ...] = PREFIXES,
    admin: bool = False,
    tls: ListenerTls | None = None,
    asked: Callable[[float], None] = lambda _: None,
) -> House:
    corridor, metrics, strangers = Echo(), Metrics(), []
    door = Door(corridor, metrics, stranger=strangers.append)
    control = (
        Litestar([healthz, early, control_defect, echo_back, token], openapi_config=None)
        if with_control
        else None
    )
    listeners = [
        Listener("127.0.0.1", 0, Dispatcher(door, None if admin else control, lambda: prefixes), tls)
    ]
    if admin:
        listeners.append(Listener("127.0.0.1", 0, Dispatcher(door, control, tuple)))
    server = Server(
        listeners,
        limits=limits,
        refused=door.unrecorded,
        settled=door.settled,
        asked=asked,
    )
    ready = threading.Event()

    async def main() -> None:
        await server.serve(started=ready.set)

    thread = threading.Thread(target=lambda: uvloop.run(main()), daemon=True)
    thread.start()
    assert ready.wait(20)
    return House(server.addresses[0], corridor, metrics, strangers, server, thread)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    opened = open_house(Limits(stop_seconds=2))
    yield opened
    opened.stop()
    opened.metrics.close()


@pytest.fixture
def hasty() -> Iterator[House]:
    """A server with short deadlines and small bounds."""
    opened = open_house(
        Limits(header_seconds=0.4, body_seconds=0.4, max_body_bytes=1000, max_connections=3, stop_seconds=2)
    )
    yield opened
    opened.stop()
    opened.metrics.close()


@pytest.fixture
def make_house() -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def make(limits: Limits | None = None, **more: Any) -> House:
        made.append(open_house(limits or Limits(stop_seconds=2), **more))
        return made[-1]

    yield make
    for opened in made:
        opened.stop()
        opened.metrics.close()
