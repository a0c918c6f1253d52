"""Step 7 for the embedded store: the same interface as over HTTP, in this process, without a socket.

The application sees what a server would show it: raw_path and query_string exactly as they were decided on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from gateway.observe import event, place_of
from gateway.upstream.transport import SAFE_METHODS, Exchange, RawAnswer, encoded
from gateway.words.errors import BadAnswer, NoAnswer, NotSent

Message = MutableMapping[str, Any]  # ASGI's own type: its messages are open maps
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

EMBEDDED_HOST = "embedded"
"""The Host that an embedded application sees."""


class AsgiTransport:
    """Calls one ASGI application (HTTP, version 3). Its lifespan belongs to whoever made it.

    An application that raises, or returns, before its answer is whole gives NoAnswer: it had the request and may have
    acted on it. One that raises BadAnswer, or answers out of order, too much, encoded or with a false length, gives
    BadAnswer. NotSent only after close(), or for a target that is not one. A read whose caller left is cancelled; a change
    runs on to its end.
    """

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    async def send(self, exchange: Exchange) -> RawAnswer:
        """See Transport.send. connect_seconds does not apply: there is nothing to connect to."""
        if self._closed:
            raise NotSent
        call = _Call(exchange, asyncio.get_running_loop())
        task = asyncio.ensure_future(self._run(_scope(exchange), call))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        timer = call.loop.call_later(exchange.answer_seconds, call.fail, NoAnswer())
        try:
            return await call.answer
        finally:
            timer.cancel()
            if not call.whole and exchange.method in SAFE_METHODS:
                task.cancel()  # nobody waits for it, and it changes nothing

    async def _run(self, scope: Scope, call: _Call) -> None:
        """Runs the application to its end, also after the answer: what it does then is still part of its change."""
        try:
            await self._app(scope, call.receive, call.send)
        except BadAnswer as error:  # its own word that its answer cannot be read
            call.fail(error)
        except Exception as error:  # noqa: BLE001 - does not go on: becomes NoAnswer
            name, at = place_of(error)  # never its text, which may quote values
            event("defect", logging.ERROR, error=name, at=at)
            call.fail(NoAnswer(), error)
        finally:
            call.fail(NoAnswer())  # returned or cancelled without a whole answer; nothing if there is one

    async def close(self) -> None:
        """Takes no more and waits for what is under way: a change is not torn out of its transaction."""
        self._closed = True
        while self._running:
            await asyncio.wait(self._running)


def _scope(exchange: Exchange) -> Scope:
    """Gives the HTTP connection scope (ASGI 3.0, HTTP 2.4). Raises NotSent for a target that is not origin-form ASCII."""
    path, _, query = exchange.target.partition(b"?")
    try:
        decoded = unquote_to_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise NotSent from error
    if not path.startswith(b"/") or not exchange.target.isascii():
        raise NotSent
    headers = [(b"host", EMBEDDED_HOST.encode())]
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in exchange.headers]
    if exchange.body is not None:
        headers.append((b"content-length", b"%d" % len(exchange.body)))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": exchange.method,
        "scheme": "http",
        "path": decoded,
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": (EMBEDDED_HOST, None),
        "state": {},
    }


class _Call:
    """One request's two channels, and the answer as it comes together."""

    __slots__ = ("_body", "_exchange", "_headers", "_size", "_status", "_taken", "answer", "loop", "whole")

    def __init__(self, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        self._exchange = exchange
        self._status: int | None = None
        self._headers: tuple[tuple[str, str], ...] = ()
        self._body: list[bytes] = []
        self._size = 0
        self._taken = False
        self.loop = loop
        self.answer: asyncio.Future[RawAnswer] = loop.create_future()
        self.whole = False

    def fail(self, error: NoAnswer | BadAnswer, cause: BaseException | None = None) -> None:
        """Ends the call with that error, unless it has ended."""
        if not self.answer.done():
            error.__cause__ = cause
            self.answer.set_exception(error)

    async def receive(self) -> Message:
        """Gives the whole body at once, then `http.disconnect` when the answer is there or nobody waits any more."""
        if not self._taken:
            self._taken = True
            return {"type": "http.request", "body": self._exchange.body or b"", "more_body": False}
        await asyncio.wait((self.answer,))
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Takes the answer's messages in ASGI's order; anything after its end is dropped."""
        if self.answer.done():
            return
        kind = message["type"]
        if kind == "http.response.start" and self._status is None:
            self._status = message["status"]
            self._headers = tuple(
                (bytes(name).decode("latin-1").lower(), bytes(value).decode("latin-1"))
                for name, value in message.get("headers", ())
            )
        elif kind == "http.response.body" and self._status is not None:
            self._take(self._status, bytes(message.get("body", b"")), bool(message.get("more_body", False)))
        else:
            self.fail(BadAnswer(self._status))

    def _take(self, status: int, part: bytes, more: bool) -> None:
        self._size += len(part)
        if self._size > self._exchange.max_answer_bytes:
            self.fail(BadAnswer(status))
            return
        self._body.append(part)
        if more:
            return
        lengths = [value for name, value in self._headers if name == "content-length"]
        bodyless = self._exchange.method == "HEAD" or status in (204, 304)
        if encoded(self._headers) or not (bodyless or all(v == str(self._size) for v in lengths)):
            self.fail(BadAnswer(status))
            return
        self.whole = True
        self.answer.set_result(RawAnswer(status, self._headers, b"" if bodyless else b"".join(self._body)))
