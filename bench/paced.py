"""Asks so many times a second, whatever the answers take, and stops: an open loop, a process of its own, to loopback only.

    python -m bench.paced < '{"port": …, "requests": [[path, {header: value}], …], "rate": 1000, "seconds": 4, "connections": 16}'

Prints one JSON line: statuses, latencies in milliseconds at p50 and p99. A latency counts from the moment at which the request was due, so
that whoever has to wait for a connection is not forgotten.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections import Counter, deque
from time import perf_counter
from typing import Any

import httptools
import orjson
import uvloop

TICK_SECONDS = 0.002


class Caller(asyncio.Protocol):
    """One connection, one request at a time; opened anew where the server closed it."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Is free."""
        self._transport: Any = transport
        self._crew.free(self)

    def ask(self, due: float, request: bytes) -> None:
        """Asks."""
        self._due = due
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Parses on."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Notes the answer and is free."""
        self._crew.answered(self._due, self._parser.get_status_code())
        self._due = 0.0
        if self._parser.should_keep_alive():
            self._crew.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leaves; another takes its place."""
        self._crew.lost(self, unanswered=bool(self._due))


class Crew:
    """What the connections share."""

    def __init__(self, port: int, requests: list[bytes]) -> None:
        self._port = port
        self._requests = itertools.cycle(requests)
        self._idle: list[Caller] = []
        self._waiting: deque[float] = deque()
        self._opening: set[asyncio.Task[Any]] = set()
        self._over = False
        self.statuses: Counter[str] = Counter()
        self.taken: list[float] = []

    def open(self) -> None:
        """Opens one more connection."""
        made = asyncio.get_running_loop().create_connection(lambda: Caller(self), "127.0.0.1", self._port)
        task = asyncio.ensure_future(made)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def due(self, at: float) -> None:
        """One more request is due."""
        self._waiting.append(at)
        if self._idle:
            self.free(self._idle.pop())

    def free(self, caller: Caller) -> None:
        """Gives a free connection what has waited longest."""
        if self._waiting:
            caller.ask(self._waiting.popleft(), next(self._requests))
        else:
            self._idle.append(caller)

    def answered(self, due: float, status: int) -> None:
        """Notes one answer."""
        self.statuses[str(status)] += 1
        self.taken.append(perf_counter() - due)

    def lost(self, caller: Caller, *, unanswered: bool) -> None:
        """Counts a request that got no answer, and puts another connection in place."""
        if caller in self._idle:
            self._idle.remove(caller)
        self.statuses["none"] += unanswered
        if not self._over:
            self.open()

    def end(self) -> None:
        """Nothing is opened any more."""
        self._over = True


async def paced(
    port: int, requests: list[tuple[str, dict[str, str]]], rate: float, seconds: float, connections: int
) -> dict[str, Any]:
    """Gives what came of it. Raises SystemExit where answers are still missing ten seconds after the last request."""
    crew = Crew(port, [_text(port, path, headers) for path, headers in requests])
    for _ in range(connections):
        crew.open()
    await asyncio.sleep(0.2)
    began, wanted = perf_counter(), int(rate * seconds)
    for number in range(wanted):
        at = began + number / rate
        if (early := at - perf_counter()) > 0:
            await asyncio.sleep(
                max(early, TICK_SECONDS)
            )  # what falls due meanwhile is asked at once after it
        crew.due(at)
    for _ in range(1000):
        if sum(crew.statuses.values()) >= wanted:
            break
        await asyncio.sleep(0.01)
    else:
        raise SystemExit(f"{wanted - sum(crew.statuses.values())} of {wanted} requests were not answered")
    crew.end()
    taken = sorted(crew.taken)
    return {
        "statuses": dict(crew.statuses),
        "seconds": perf_counter() - began,
        "p50_ms": taken[len(taken) // 2] * 1000,
        "p99_ms": taken[min(len(taken) - 1, len(taken) * 99 // 100)] * 1000,
    }


def _text(port: int, path: str, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode()


if __name__ == "__main__":
    print(orjson.dumps(uvloop.run(paced(**orjson.loads(sys.stdin.buffer.read())))).decode())
