"""A raw HTTP/1.1 server on loopback: every byte that it received is kept, every byte of its answers is written by a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Heard:
    """What a server received. port: where it listens. requests: head and body of each."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


Handler = Callable[[bytes, bytes], bytes | None]
"""Head and body → the answer's bytes; None ends the connection without one."""


@asynccontextmanager
async def raw_server(handle: Handler) -> AsyncIterator[Heard]:
    """Serves for a `with` block."""
    heard = Heard()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
                body = await reader.readexactly(length)
                heard.requests.append(head + body)
                answer = handle(head, body)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the other side left, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**21)
    heard.port = server.sockets[0].getsockname()[1]
    try:
        yield heard
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def say(
    status: int, body: bytes = b"", *lines: str, kind: str = "application/json", phrase: str = "Said"
) -> bytes:
    """Gives a whole answer; header lines as they are to be written."""
    head = [f"HTTP/1.1 {status} {phrase}", *lines]
    if status != 204:
        head += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode("utf-8") + body
