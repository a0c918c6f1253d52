"""Step 7 over HTTP: one connection to an upstream, and the one reading of what comes back on it.

llhttp, through httptools, takes the bytes apart and is strict (no bare LF, no folding, no Content-Length beside
Transfer-Encoding, no two of either); this page adds what a client owes: no byte before a question or after an answer, bounds on
everything, and a precise word on what became of the request.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from typing import cast

import httptools

from gateway.upstream.transport import RawAnswer, encoded
from gateway.words.errors import BadAnswer, NoAnswer

MAX_HEAD_BYTES = 65_536
"""Of an answer's status line and headers together."""
_MAX_INTERIM = 8  # 1xx answers before the final one
_START = b"HTTP/1."  # llhttp also takes RTSP, ICE and empty lines before the status line
_HEAD_END = b"\r\n\r\n"


class _Unreadable(Exception):
    """Stops the parser from within a callback; never leaves this page."""


class Connection(asyncio.Protocol):
    """One connection: one exchange at a time. Made by the pool, which asks `fresh` before every use."""

    __slots__ = (
        "_bodyless",
        "_chunks",
        "_done",
        "_extra",
        "_head",
        "_headers",
        "_in_body",
        "_interim",
        "_keep",
        "_limit",
        "_loop",
        "_parser",
        "_poll",
        "_size",
        "_status",
        "_transport",
        "_until_close",
        "_waiter",
        "_wire",
        "idle_since",
        "under",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[RawAnswer] | None = None
        self._poll = select.poll()
        self.idle_since = 0.0
        self.under: ssl.SSLContext | None = None
        self._begin(head=False, limit=0)

    def _begin(self, *, head: bool, limit: int) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head, self._limit = head, limit
        self._status: int | None = None
        self._headers: list[tuple[str, str]] = []
        self._chunks: list[bytes] = []
        self._size = self._wire = self._interim = 0
        self._bodyless = self._until_close = self._in_body = False
        self._done = self._extra = self._keep = False

    # ── the pool's side ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def fresh(self) -> bool:
        """True when nothing has come since the last answer: neither an end nor a byte that nobody asked for.

        The socket itself is asked, because the event loop may not have got to it. Nothing has been written yet, so whoever
        finds a connection stale may take another one without asking anything twice.
        """
        return self._transport is not None and not self._transport.is_closing() and not self._poll.poll(0)

    @property
    def reusable(self) -> bool:
        """True after an answer that left the connection clean: kept alive, nothing beyond it, all of the request taken."""
        transport = self._transport
        if transport is None or transport.is_closing() or not self._keep or self._extra:
            return False
        # An answer to half a request leaves the other half behind.
        return transport.get_write_buffer_size() == 0

    def abort(self) -> None:
        """Ends the connection at once; what is under way on it gets NoAnswer."""
        if self._transport is not None:
            self._transport.abort()
        self._fail(NoAnswer())

    async def exchange(self, request: bytes, *, head: bool, seconds: float, limit: int) -> RawAnswer:
        """Writes the request and gives the whole answer.

        Raises NoAnswer (closed, reset, short, or `seconds` over: some of it may have arrived) or BadAnswer. After either,
        and after a cancellation, the connection is gone.
        """
        if self._transport is None or self._waiter is not None:
            raise AssertionError("one exchange at a time, on an open connection")
        self._begin(head=head, limit=limit)
        waiter: asyncio.Future[RawAnswer] = self._loop.create_future()
        self._waiter = waiter
        timer = self._loop.call_later(seconds, self.abort)
        self._transport.write(request)
        try:
            return await waiter
        except BaseException:  # a cancelled caller too: whatever still comes on this connection is nobody's
            self._transport.abort()
            raise
        finally:
            timer.cancel()
            self._waiter = None

    def _fail(self, error: NoAnswer | BadAnswer, cause: BaseException | None = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            error.__cause__ = cause
            self._waiter.set_exception(error)

    def _whole(self) -> bool:
        return self._done

    def _finish(self) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if encoded(self._headers):
            self._fail(BadAnswer(self._status))
            return
        status = cast(int, self._status)  # set before _done
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._waiter.set_result(RawAnswer(status, tuple(self._headers), body))

    # ── asyncio's side ───────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLPRI)

    def data_received(self, data: bytes) -> None:
        """Reads on in the answer; bytes that nobody asked for end the connection."""
        if self._waiter is None or self._waiter.done() or self._done:
            self._extra = True
            self.abort()
            return
        if self._wire == 0 and data[: len(_START)] != _START[: len(data)]:
            self._fail(BadAnswer(None))
            return
        self._wire += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._whole():
                self._fail(BadAnswer(self._status), error)
                return
            self._extra = True  # the answer was whole; what follows it is not another one
        if self._whole():
            if self._head and not data.endswith(_HEAD_END):
                self._extra = True
            self._finish()
        elif self._wire > MAX_HEAD_BYTES and (
            not self._in_body or self._wire > MAX_HEAD_BYTES + 8 * self._limit
        ):
            # The second bound is for chunk extensions and trailers, which count for no body.
            self._fail(BadAnswer(self._status))

    def eof_received(self) -> bool:
        """Closes our half as well."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends an answer that only the close delimits (RFC 9112 section 6.3, 8); any other one is short."""
        if exc is None and self._until_close and not self._done:
            self._done = True
            self._finish()
        self._fail(NoAnswer(), exc)

    # ── httptools' side ──────────────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        """Notices a second answer behind the first."""
        self._extra = self._extra or self._done

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a header; a trailer, or the header of an interim or second answer, is passed over."""
        if not self._in_body and not self._done:
            self._headers.append((name.decode("latin-1").lower(), value.strip(b" \t").decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Decides how the body is framed (RFC 9112 section 6.3); what is framed in two ways, or in ours none, is refused."""
        if self._done:
            return
        status = self._status = self._parser.get_status_code()
        if self._parser.get_http_version() not in ("1.0", "1.1") or not 100 <= status <= 599 or status == 101:
            raise _Unreadable
        if status < 200:
            return
        lengths = [value for name, value in self._headers if name == "content-length"]
        codings = [value for name, value in self._headers if name == "transfer-encoding"]
        if len(lengths) + len(codings) > 1 or any(value.lower() != "chunked" for value in codings):
            raise _Unreadable
        self._in_body = True
        self._bodyless = self._head or status in (204, 304)
        if self._bodyless:
            self._keep = self._parser.should_keep_alive()
            self._done = self._head  # llhttp does not know the question, and would wait for a body
            return
        if lengths and int(lengths[0]) > self._limit:
            raise _Unreadable
        self._until_close = not lengths and not codings

    def on_body(self, data: bytes) -> None:
        """Keeps a part of the body, within the limit."""
        if self._done or self._bodyless:
            self._extra = True
            return
        self._size += len(data)
        if self._size > self._limit:
            raise _Unreadable
        self._chunks.append(data)

    def on_chunk_header(self) -> None:
        """Notices the body of an answer that has none."""
        self._extra = self._extra or self._done

    def on_message_complete(self) -> None:
        """Ends the answer; an interim one (RFC 9110 section 15.2) is followed by the one that counts."""
        if self._done:
            return
        if self._status is not None and self._status < 200:
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                raise _Unreadable
            self._status = None
            self._headers.clear()
            return
        self._keep = self._parser.should_keep_alive()
        self._done = True
