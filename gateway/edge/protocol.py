"""Step 1, the first bytes: what only the server sees. One request at a time, framed in one way, or the connection ends.

uvicorn's httptools protocol parses; this subclass refuses what the parser lets pass and an ASGI application cannot see:
several Hosts or none, other forms of the target than origin form, another protocol's first line (RTSP), trailers (uvicorn appends
them to the headers; the parser heeds those that frame), upgrades, pipelined requests, and whatever is too large, too many or too
slow. llhttp itself refuses Transfer-Encoding with Content-Length, two Content-Lengths, bare LF, folded lines and blanks before a
colon; the corpus in tests/wire/framings.py holds it to that.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, ClassVar, Final, NoReturn, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.edge.asgi import head_of
from gateway.edge.shedding import make_room, unsent
from gateway.text import pick_language
from gateway.text.problems import REQUEST_LINE, problem
from gateway.wire.limits import DEFAULT_LIMITS, Limits
from gateway.wire.target import canonical
from gateway.words.errors import Code, GatehouseError, Refused, Unavailable
from gateway.words.ids import new_id

LINGER_SECONDS: Final = 1.0
"""How long what still arrives after a refusal is read and thrown away; closing at once would reset the answer under way."""
_VERSIONS: Final = (b" HTTP/1.1", b" HTTP/1.0")
_FRAMING: Final = frozenset({b"connection", b"content-length", b"transfer-encoding", b"upgrade"})
_RESET: Final = struct.pack(
    "ii", 1, 0
)  # linger for no time: what is unsent is dropped, and the other side told
_WIRE_FACTOR: Final = 8
"""A chunked body's bytes on the wire, frames and all, are at most so many times what a body may have: the smallest chunk is one in six."""
# RFC 9110 section 7.2: uri-host [":" port]; userinfo, lists and blanks are not hosts.
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


# llhttp's words for what is wrong with a request's first line: the version, what stands in its place, HTTP/2's preface.
_FIRST_LINE: Final = ("Invalid HTTP version", "Expected HTTP/", "Pause on PRI")


class _Part(Enum):
    HEAD = auto()
    BODY = auto()
    OVER = auto()  # refused: nothing more is read


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every connection of a listener; `refused` hears of every refusal that is made here."""

    limits: Limits
    refused: Callable[[Code], None]


class EdgeProtocol(HttpToolsProtocol):
    """One connection. Promises to the application: scope["gatehouse.target"] is the canonical `Target`; the body ends within its
    bounds or `http.disconnect` comes; headers hold no trailer, exactly one Host."""

    rules: ClassVar[Rules] = Rules(DEFAULT_LIMITS, lambda _: None)

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = self.rules.limits
        self._part = _Part.HEAD
        self._deadline: asyncio.TimerHandle | None = None
        self._refusal: GatehouseError | None = None
        self._head_bytes = 0
        self._field_bytes = 0
        self._body_bytes = 0
        self._wire_bytes = 0
        self._first_line = b""
        self.made = 0.0
        self.url = b""
        self.headers = []

    # ── connection ───────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own is
        """Takes the connection. Where there are too many, one that only waits makes room; where none does, this one is answered 503."""
        super().connection_made(transport)
        self.made = self.loop.time()
        full = len(self.connections) > self.limits.max_connections
        if full and not make_room(cast(set[EdgeProtocol], self.connections), self):
            self._end(Unavailable(Code.NOT_READY))
        else:
            self._arm(self.limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection and its clock."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses what came. After a refusal it is thrown away."""
        if self._part is _Part.OVER:
            return
        self._unset_keepalive_if_required()
        if self._part is _Part.HEAD:
            # Armed by the first bytes, whatever they are: a client that sends blank lines for ever has begun a request.
            if self._deadline is None:
                self._arm(self.limits.header_seconds)
            self._head_bytes += len(data)
            # The first line, as it comes: the parser also takes RTSP's, and tells nobody.
            if self._first_line.find(b"\r\n", 2) < 0:
                self._first_line += data
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._end(Refused(Code.HEADER_MALFORMED, header="upgrade"))
        except httptools.HttpParserError as error:
            self._end(self._refusal or self._unreadable(error))
        else:
            # The parser keeps an unfinished line to itself, so its length is seen only here.
            if self._part is _Part.HEAD and self._head_bytes > self.limits.max_header_bytes:
                self._end(Refused(Code.HEADERS_TOO_LARGE))
            elif self._part is _Part.BODY:
                # Chunk extensions count for no body, and the parser passes over them whatever their length.
                self._wire_bytes += len(data)
                if (
                    self._wire_bytes
                    > _WIRE_FACTOR * self.limits.max_body_bytes + self.limits.max_header_bytes
                ):
                    self._end(Refused(Code.BODY_TOO_LARGE))

    def _unreadable(self, error: httptools.HttpParserError) -> GatehouseError:
        if self._part is _Part.BODY:
            return Refused(Code.BODY_MALFORMED)
        if isinstance(error, httptools.HttpParserInvalidURLError):
            return Refused(Code.TARGET_AMBIGUOUS)
        if isinstance(error, httptools.HttpParserInvalidMethodError) or str(error).startswith(_FIRST_LINE):
            return Refused(Code.HEADER_MALFORMED, header=REQUEST_LINE)
        return Refused(Code.HEADER_MALFORMED)

    # ── the parser's callbacks; one that raises stops the parser ─────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        """A request begins. One that begins before the last one's answer is complete is not read: the connection ends there."""
        if self._answering():
            self._leave_after_answer()
            raise httptools.HttpParserError
        if not self._first_line:
            # In one piece with the end of a body whose answer did not wait for it: how it began cannot be looked at any more.
            self._part = _Part.OVER
            self.transport.close()
            raise httptools.HttpParserError
        super().on_message_begin()
        if self._deadline is None:
            self._arm(self.limits.header_seconds)
        self._field_bytes = 0
        self._body_bytes = 0
        self._wire_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Collects the target as it came, up to its bound."""
        super().on_url(url)
        if len(self.url) > self.limits.max_target_bytes:
            self._stop(Refused(Code.TARGET_TOO_LONG))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collects a header line; a trailer's line is counted and dropped (RFC 9110 section 6.5.1 allows that), or refused where it
        would say where the request ends: the parser heeds it."""
        self._field_bytes += len(name) + len(value)
        if self._field_bytes > self.limits.max_header_bytes or len(self.headers) >= self.limits.max_headers:
            self._stop(Refused(Code.HEADERS_TOO_LARGE))
        if self._part is _Part.HEAD:
            super().on_header(name, value)
        elif name.lower() in _FRAMING:
            self._stop(Refused(Code.BODY_MALFORMED))

    def on_headers_complete(self) -> None:
        """Checks what the head says about itself, then lets the application begin."""
        try:
            target = canonical(self.url, max_bytes=self.limits.max_target_bytes)
            self._check_head()
        except GatehouseError as error:
            self._stop(error)
        cast(dict[str, object], self.scope)["gatehouse.target"] = target
        self._part = _Part.BODY
        self._arm(self.limits.body_seconds)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Passes a part of the body on, up to its bound."""
        self._body_bytes += len(body)
        if self._body_bytes > self.limits.max_body_bytes:
            self._stop(Refused(Code.BODY_TOO_LARGE))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; the next bytes begin another one."""
        self._disarm()
        self._part = _Part.HEAD
        self._head_bytes = 0
        self._first_line = b""
        super().on_message_complete()

    def _check_head(self) -> None:
        line = self._first_line.lstrip(b"\r\n")
        http = line[: line.find(b"\r\n")].endswith(_VERSIONS)
        if not http or self.parser.get_method() == b"CONNECT":
            raise Refused(Code.HEADER_MALFORMED, header=REQUEST_LINE)
        if self.parser.should_upgrade():
            # The parser would take the body for the other protocol's bytes.
            raise Refused(Code.HEADER_MALFORMED, header="upgrade")
        named: dict[bytes, list[bytes]] = {b"host": [], b"transfer-encoding": [], b"content-length": []}
        for name, value in self.headers:
            if name in named:
                named[name].append(value.strip(b" \t"))
        hosts, codings, lengths = named.values()
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
            raise Refused(Code.HEADER_MALFORMED, header="host")
        # RFC 9112 section 6.1: any other coding, a list of them, or one in HTTP/1.0 leaves the end of the body open to dispute.
        if codings and (
            [coding.lower() for coding in codings] != [b"chunked"] or self.parser.get_http_version() == "1.0"
        ):
            raise Refused(Code.HEADER_MALFORMED, header="transfer-encoding")
        if lengths and int(lengths[0]) > self.limits.max_body_bytes:
            raise Refused(Code.BODY_TOO_LARGE)

    # ── what shedding.py sees of it ──────────────────────────────────────────────────────────────────────────────

    @property
    def exchange(self) -> object:
        """The request that it is at, or was at last; None before the first."""
        return self.cycle

    @property
    def unread(self) -> int:
        """Bytes of answers that this process still holds, because the client does not take them. Behind TLS: that the kernel holds."""
        left = self.transport.get_write_buffer_size()
        return (
            unsent(self.transport) if not left and self.scheme == "https" and self.cycle is not None else left
        )

    @property
    def unfinished(self) -> int:
        """Bytes of a body that is not whole yet."""
        return self._body_bytes if self._part is _Part.BODY else 0

    @property
    def waiting(self) -> bool:
        """True where no request is whole and no answer under way: idle, or at its head."""
        return self._part is _Part.HEAD and not self._answering()

    def let_go(self) -> None:
        """Ends it at once. Who had begun something is counted, and gets nothing more; who only kept a place is not."""
        begun = not self.waiting or self._head_bytes or self.unread
        self._part = _Part.OVER
        self._disarm()
        if not begun:
            self.transport.close()
            return
        self.rules.refused(Code.TOO_SLOW)
        # Else the kernel would go on holding what it has taken from us, for as long as the client takes a byte now and then.
        if (bound := self.transport.get_extra_info("socket")) is not None:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _stop(self, error: GatehouseError) -> NoReturn:
        self._refusal = error
        raise httptools.HttpParserError

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        if self._part is _Part.HEAD and self._head_bytes == 0:
            self.transport.close()  # it never asked anything
        else:
            self._end(Refused(Code.TOO_SLOW))

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _leave_after_answer(self) -> None:
        """Lets the answer under way be the last one: what came behind it is neither read nor answered."""
        self.cycle.keep_alive = False
        self._part = _Part.OVER
        self._disarm()

    def _end(self, error: GatehouseError) -> None:
        """Answers with the problem, unless an answer has begun, and closes."""
        if self._part is _Part.OVER:
            return
        if self._part is _Part.HEAD and self._answering():
            self._leave_after_answer()
            return
        unanswered = self._part is _Part.HEAD or not self.cycle.response_started
        if self._part is _Part.BODY and self._answering():
            # The application is waiting for the rest, or writing: it learns that nobody listens.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._part = _Part.OVER
        self._disarm()
        if self.transport.is_closing():
            return
        if not unanswered:
            self.transport.close()
            return
        self.rules.refused(error.code)
        self.transport.write(self._last_words(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._deadline = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _last_words(self, error: GatehouseError) -> bytes:
        given = next((value for name, value in self.headers if name == b"accept-language"), b"")
        request_id = new_id("req")
        answer = problem(error, pick_language(given.decode("latin-1")), request_id)
        lines = [*head_of(answer, request_id), (b"connection", b"close")]
        phrase = HTTPStatus(answer.status).phrase.encode("ascii")
        head = b"".join(b"%b: %b\r\n" % line for line in lines)
        # The parser knows the method once it has met the target.
        content = b"" if self.url and self.parser.get_method() == b"HEAD" else answer.body
        return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (answer.status, phrase, head, content)


def protocol_with(rules: Rules) -> type[EdgeProtocol]:
    """Gives the protocol class that uvicorn is to make for each connection of a listener with these rules."""
    return type("EdgeProtocol", (EdgeProtocol,), {"rules": rules})
