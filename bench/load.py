"""Asks a bounded number of times and stops: the load of every measurement, a process of its own, to loopback only.

    python -m bench.load < '{"port": …, "paths": […], "headers": {…}, "requests": 1000, "connections": 48}'

Prints one JSON line: seconds, statuses, latencies in milliseconds at p50 and p99. Each connection asks again as soon as it has
its answer (a closed loop: the latency at many connections is mostly waiting).
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import httptools
import orjson
import uvloop


@dataclass
class Tally:
    """What came back."""

    wanted: int
    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    taken: list[float] = field(default_factory=list)


class Asker(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, requests: Iterator[bytes], tally: Tally, done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._tally = tally
        self._done = done
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks the first time."""
        self._transport: Any = transport
        self._ask()

    def _ask(self) -> None:
        if self._tally.asked >= self._tally.wanted:
            self._transport.close()
            return
        self._tally.asked += 1
        self._parser = httptools.HttpResponseParser(self)
        self._began = perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Parses on."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Notes the answer and asks again."""
        self._tally.taken.append(perf_counter() - self._began)
        self._tally.statuses[self._parser.get_status_code()] += 1
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends. A connection that the server closed early leaves its request unanswered; the count shows it."""
        if not self._done.done():
            self._done.set_result(None)


async def load(
    port: int, paths: list[str], headers: dict[str, str], requests: int, connections: int
) -> dict[str, Any]:
    """Gives what the load came to."""
    loop = asyncio.get_running_loop()
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    texts = [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode() for path in paths]
    source, tally = itertools.cycle(texts), Tally(requests)
    began, ends = perf_counter(), [loop.create_future() for _ in range(connections)]
    for end in ends:
        await loop.create_connection(lambda e=end: Asker(source, tally, e), "127.0.0.1", port)  # type: ignore[misc]  # bound at once
    await asyncio.gather(*ends)
    seconds = perf_counter() - began
    taken = sorted(tally.taken)
    return {
        "seconds": seconds,
        "answers": len(taken),
        "statuses": {str(status): n for status, n in tally.statuses.items()},
        "p50_ms": taken[len(taken) // 2] * 1000,
        "p99_ms": taken[min(len(taken) - 1, len(taken) * 99 // 100)] * 1000,
    }


if __name__ == "__main__":
    print(orjson.dumps(uvloop.run(load(**orjson.loads(sys.stdin.buffer.read())))).decode())
