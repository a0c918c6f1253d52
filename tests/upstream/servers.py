"""Upstreams that misbehave on purpose: real sockets, every byte of every answer written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.upstream.address import AllowedHosts, Origin
from gateway.upstream.http import HttpTransport
from gateway.upstream.transport import Exchange

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Seen:
    """What a server received: connections counted, each request's bytes."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def origin(self) -> Origin:
        return Origin("http", "127.0.0.1", self.port)

    def transport(self, **options) -> HttpTransport:
        return HttpTransport(self.origin, allowed=AllowedHosts([f"127.0.0.1:{self.port}"]), **options)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)


Handler = Callable[[Seen, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, ssl=None) -> AsyncIterator[Seen]:
    """A server whose handler owns each connection."""
    seen = Seen()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        seen.connections += 1
        seen.writers.append(writer)
        try:
            await handler(seen, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            seen.ended.set()
        except asyncio.CancelledError:
            seen.ended.set()  # the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ssl)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def answering(*answers: bytes, close: bool = False, pause: float = 0) -> Handler:
    """Answers each request of a connection with the next of these (the last one again and again), then may close."""

    async def handle(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            answer = answers[min(len(seen.requests), len(answers) - 1)]
            seen.requests.append(request)
            seen.asked.set()
            await asyncio.sleep(pause)
            writer.write(answer)
            await writer.drain()
            if close:
                return

    return handle


def exchange(
    target: bytes = b"/a",
    method: str = "GET",
    *,
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes | None = None,
    connect: float = 5,
    answer: float = 5,
    limit: int = 10_000,
) -> Exchange:
    return Exchange(method, target, headers, body, connect, answer, limit)
