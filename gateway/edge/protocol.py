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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, Final, NoReturn, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.edge.answer import Answered, answered, wire_bytes
from gateway.edge.lane import CERTIFICATE, Asked, Lanes, Turn
from gateway.edge.shedding import make_room, unsent
from gateway.text import pick_language
from gateway.text.problems import REQUEST_LINE, problem
from gateway.wire.limits import DEFAULT_LIMITS, KIB, Limits
from gateway.wire.target import Target, canonical
from gateway.words.errors import Code, GatehouseError, Refused, Unavailable
from gateway.words.ids import new_id

LINGER_SECONDS: Final = 1.0
"""How long what still arrives after a refusal is read and thrown away; closing at once would reset the answer under way."""
_VERSIONS: Final = (b" HTTP/1.1", b" HTTP/1.0")
_FRAMING: Final = frozenset({b"connection", b"content-length", b"transfer-encoding", b"upgrade"})
_RESET: Final = struct.pack(
    "ii", 1, 0
)  # linger for no time: what is unsent is dropped, and the other side told
_FRAMES_BYTES: Final = 64 * KIB
"""How much longer than the body so far a chunked one may be on the wire, beside as much again as the body: a chunk of one byte takes six,
and each chunk is a call. Whoever sends a megabyte in such pieces would have this process for half a second."""
# RFC 9110 section 7.2: uri-host [":" port]; userinfo, lists and blanks are not hosts.
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


# llhttp's words for what is wrong with a request's first line: the version, what stands in its place, HTTP/2's preface.
_FIRST_LINE: Final = ("Invalid HTTP version", "Expected HTTP/", "Pause on PRI")


class _Part(Enum):
    HEAD = auto()
    BODY = auto()
    OVER = auto()  # refused: nothing more is read


_CLOSE: Final = b"connection: close\r\n"


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every connection of a listener.

    refused: hears of every refusal that is made here. lanes: which targets do not go to the ASGI application.
    """

    limits: Limits
    refused: Callable[[Code], None]
    lanes: Lanes = lambda _: None


class EdgeProtocol(HttpToolsProtocol):
    """One connection. Promises to the application, and to a lane: the target is the canonical `Target` (scope["gatehouse.target"]);
    the body ends within its bounds, or the request is never begun (`http.disconnect`); headers hold no trailer, exactly one Host."""

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
        self._keeper: asyncio.TimerHandle | None = None
        self._idle_since = 0.0
        self._peer = ""
        self._dated: tuple[object, bytes] = (None, b"")
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
        self._peer = self.client[0] if self.client else "unix"
        self.made = self.loop.time()
        full = len(self.connections) > self.limits.max_connections
        if full and not make_room(cast(set[EdgeProtocol], self.connections), self):
            self._end(Unavailable(Code.NOT_READY))
        else:
            self._arm(self.limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection and its clocks."""
        self._disarm()
        if self._keeper is not None:
            self._keeper.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Reads no further request from a client that does not take its answers."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Reads on."""
        super().resume_writing()
        self.flow.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Parses what came. After a refusal it is thrown away."""
        if self._part is _Part.OVER:
            return
        if self._part is _Part.HEAD:
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
            self._unfinished(len(data))

    def _unfinished(self, received: int) -> None:
        """Bounds what has begun and is not whole yet. Most requests come in one piece, and need no clock."""
        if self._part is _Part.HEAD:
            # The parser keeps an unfinished line to itself, so its length is seen only here.
            if self._head_bytes > self.limits.max_header_bytes:
                self._end(Refused(Code.HEADERS_TOO_LARGE))
            # By any bytes: a client that sends blank lines for ever has begun a request.
            elif self._head_bytes and self._deadline is None:
                self._arm(self.limits.header_seconds)
        elif self._part is _Part.BODY:
            # Chunk extensions count for no body, and the parser passes over them whatever their length.
            self._wire_bytes += received
            if self._wire_bytes > 2 * self._body_bytes + _FRAMES_BYTES:
                self._end(Refused(Code.BODY_TOO_LARGE))
            elif self._deadline is None:
                self._arm(self.limits.body_seconds)

    def _unreadable(self, error: httptools.HttpParserError) -> GatehouseError:
        if self._part is _Part.BODY:
            return Refused(Code.BODY_MALFORMED)
        if isinstance(error, httptools.HttpParserInvalidURLError):
            return Refused(Code.TARGET_AMBIGUOUS)
        if isinstance(error, httptools.HttpParserInvalidMethodError) or str(error).startswith(_FIRST_LINE):
            return Refused(Code.HEADER_MALFORMED, header=REQUEST_LINE)
        return Refused(Code.HEADER_MALFORMED, cause="form")

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
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._field_bytes = 0
        self._body_bytes = 0
        self._wire_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Collects the target as it came, up to its bound."""
        self.url += url
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
        self._part = _Part.BODY
        self._disarm()  # the body has a time of its own
        if self.parser.get_http_version() != "1.1":
            self.expect_100_continue = False  # RFC 9110 section 10.1.1: an HTTP/1.0 client knows no 100
        lane = self.rules.lanes(target)
        if lane is None:
            self._to_application(target)
            return
        parser = self.parser
        asked = Asked(
            parser.get_method().decode("ascii"), target, self.headers, self._peer, self._certificate()
        )
        keep_alive = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        # uvicorn's own type has a cycle here; a turn is asked for the same.
        self.cycle = cast(Any, Turn(self, lane, asked, cast(set[object], self.tasks), keep_alive=keep_alive))
        if self.expect_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _to_application(self, target: Target) -> None:
        """Begins uvicorn's own request-response cycle."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        scope = cast(dict[str, object], self.scope)
        scope["headers"] = headers
        scope["gatehouse.target"] = target
        scope[CERTIFICATE] = self._certificate()
        super().on_headers_complete()

    def _certificate(self) -> Sequence[str]:
        """Gives the names that the client's certificate proves, as long as it holds."""
        return ()

    def on_body(self, body: bytes) -> None:
        """Passes a part of the body on, up to its bound."""
        self._body_bytes += len(body)
        if self._body_bytes > self.limits.max_body_bytes:
            self._stop(Refused(Code.BODY_TOO_LARGE))
        turn: object = self.cycle
        if isinstance(turn, Turn):
            turn.body.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; the next bytes begin another one."""
        self._disarm()
        self._part = _Part.HEAD
        self._head_bytes = 0
        self._first_line = b""
        turn: object = self.cycle
        if isinstance(turn, Turn):
            turn.begin()
        else:
            super().on_message_complete()

    def _check_head(self) -> None:
        line = self._first_line.lstrip(b"\r\n")
        method = self.parser.get_method()
        asked = b"%b %b" % (method, self.url)  # RFC 9112 section 3: one blank between two parts
        if (
            line[: line.find(b"\r\n")] not in [asked + version for version in _VERSIONS]
            or method == b"CONNECT"
        ):
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

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, turn: Turn, made: Answered) -> None:
        """Writes a turn's answer, and lets the next request begin or the connection end."""
        turn.response_complete = True
        if self.transport.is_closing():
            return
        default = self.server_state.default_headers  # made anew each second, with the date
        if self._dated[0] is not default:
            self._dated = default, b"".join(b"%b: %b\r\n" % line for line in default)
        added = self._dated[1] if turn.keep_alive else self._dated[1] + _CLOSE
        self.transport.write(wire_bytes(made, added, without=turn.asked.method == "HEAD"))
        if not turn.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def cut(self) -> None:
        """Ends the connection as it is, whatever was written of an answer."""
        self.transport.abort()

    def on_response_complete(self) -> None:
        """Waits for the next request, for a while. The clock is set once, not anew with each answer: it looks when it rings."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if not self.flow.write_paused:
            self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self._keeper is None:
            self._keeper = self.loop.call_later(self.timeout_keep_alive, self._idle_too_long)

    def _idle_too_long(self) -> None:
        self._keeper = None
        if self._answering() or self._part is not _Part.HEAD or self._head_bytes:
            return  # its answer sets the clock anew
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._keeper = self.loop.call_later(left, self._idle_too_long)
        else:
            self.transport.close()

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
        made = answered(problem(error, pick_language(given.decode("latin-1")), request_id), request_id)
        # The parser knows the method once it has met the target.
        return wire_bytes(made, _CLOSE, without=bool(self.url) and self.parser.get_method() == b"HEAD")


def protocol_with(rules: Rules) -> type[EdgeProtocol]:
    """Gives the protocol class that uvicorn is to make for each connection of a listener with these rules."""
    return type("EdgeProtocol", (EdgeProtocol,), {"rules": rules})
