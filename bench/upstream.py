"""The system behind everything that is measured: a small, fast HTTP server over loopback that keeps JSON documents in memory.

    python -m bench.upstream

PUT keeps the body at its path; POST makes a document of it, with an id of its own, below the path; GET gives it. It knows
nothing of keys, fields or sealing: what it holds is what it was sent.
"""

from __future__ import annotations

import asyncio
import itertools
from http import HTTPStatus

import httptools
import orjson
import uvloop

_numbers = itertools.count(1)
_documents: dict[bytes, bytes] = {}


class Upstream(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._url = b""

    def data_received(self, data: bytes) -> None:
        """Parses on."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Keeps the target."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """Keeps the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answers."""
        method, url, body = self._parser.get_method(), self._url, self._body
        self._url = self._body = b""
        if method == b"GET":
            found = _documents.get(url)
            self._answer(200 if found else 404, found or b"{}")
        elif method == b"PUT":
            _documents[url] = body
            self._answer(200, body)
        else:
            name = f"r{next(_numbers)}"
            document = orjson.dumps({"id": name, **orjson.loads(body), "version": 1})
            _documents[url + b"/" + name.encode()] = document
            self._answer(201, document)

    def _answer(self, status: int, body: bytes) -> None:
        head = (
            b'HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nETag: "1"\r\nContent-Length: %d\r\n\r\n'
            % (status, HTTPStatus(status).phrase.encode(), len(body))
        )
        self._transport.write(head + body)  # type: ignore[attr-defined]  # a stream's transport


async def main() -> None:
    """Serves until killed; prints its port."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=2048)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
