"""Step 7 over HTTP/1.1: a thin client for one origin. The target goes out byte for byte as it was decided on.

No redirects, cookies, proxies, decompression or second attempts: each would do something that nobody decided. A thin client
of our own costs a third of the usual ones (docs/adr) and says exactly whether a request may have been forwarded.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gateway.observe import event
from gateway.upstream.address import AllowedHosts, Origin, Resolver, system_resolver
from gateway.upstream.connection import Connection
from gateway.upstream.transport import Exchange, RawAnswer
from gateway.wire.destination import permitted
from gateway.words.errors import Barred, Misconfigured, NotSent

MAX_CONNECTIONS = 100
"""At once, per upstream; who finds none free waits, at most for the connect deadline."""
IDLE_SECONDS = 15.0
"""How long an unused connection is kept: shorter than servers keep theirs, so that they rarely close one under a request."""

_METHOD = re.compile(r"[A-Z]+")
_TARGET = re.compile(
    rb"/[\x21\x22\x24-\x7e]*"
)  # visible ASCII without `#`: nothing that ends or hides a request line
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Gives what https upstreams are held to: a verified name and chain, TLS 1.2 or later, no renegotiation of the protocol.

    ca_file: the only authorities that count; without it the system's. Raises Misconfigured where it cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured("the file of certificate authorities cannot be read") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class HttpTransport:
    """Connections to one origin: kept alive, last used first, bounded, and pinned to checked addresses.

    Keeps the contract of Transport. Promises: a request is written to a connection only when that connection is known to be
    open and silent in the same turn of the event loop; until then another connection may be taken, afterwards none.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        allowed: AllowedHosts,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver = system_resolver,
        max_connections: int = MAX_CONNECTIONS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """tls: for https; made from the system's authorities when absent. Raises Misconfigured for a host that is not listed."""
        if not allowed.listed(origin):
            raise Misconfigured(f"{origin.host}:{origin.port} is not in the list of allowed upstream hosts")
        self._origin = origin
        self._literal = allowed.literal(origin)
        self._tls = (tls or tls_context()) if origin.scheme == "https" else None
        self._resolver = resolver
        self._slots = asyncio.Semaphore(max_connections)
        self._idle: list[Connection] = []
        self._max_connections = max_connections
        self._idle_seconds = idle_seconds
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False
        self._barred = False

    async def send(self, exchange: Exchange) -> RawAnswer:
        """See Transport.send."""
        request = _render(self._origin.authority, exchange)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + exchange.connect_seconds
        await self._slot(deadline)
        try:
            connection = self._take() or await self._connect(loop, deadline)
            answer = await connection.exchange(
                request,
                head=exchange.method == "HEAD",
                seconds=exchange.answer_seconds,
                limit=exchange.max_answer_bytes,
            )
            self._give_back(connection, loop)
            return answer
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Takes no more; ends each connection, busy ones when they have their answer, at most their deadline later."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
        for _ in range(self._max_connections):  # with every slot in hand nothing is under way
            await self._slots.acquire()
        for _ in range(self._max_connections):
            self._slots.release()

    def renew(self, tls: ssl.SSLContext) -> None:
        """Takes these terms for every connection from now on: idle ones end, busy ones end when they have their answer."""
        self._tls = tls
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    async def _slot(self, deadline: float) -> None:
        if self._closed:
            raise NotSent
        if not self._slots.locked():
            await self._slots.acquire()  # at once: a deadline would cost more than the slot
            return
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError as error:
            raise NotSent from error

    def _take(self) -> Connection | None:
        """Gives the last used connection that is still good; stale ones on the way are dropped. No byte was written to them."""
        while self._idle:
            connection = self._idle.pop()
            if connection.fresh:
                return connection
            connection.abort()
        return None

    def _give_back(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        if self._closed or not connection.reusable or connection.under is not self._tls:
            connection.abort()
            return
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._idle_seconds, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ends connections that nobody used for a while; the list is in order of last use."""
        self._sweep = None
        oldest = loop.time() - self._idle_seconds
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.pop(0).abort()
        if self._idle:
            self._sweep = loop.call_at(self._idle[0].idle_since + self._idle_seconds, self._expire, loop)

    async def _connect(self, loop: asyncio.AbstractEventLoop, deadline: float) -> Connection:
        """Opens a connection to a checked address. Raises NotSent, whatever went wrong: nothing was asked yet."""
        if self._closed:
            raise NotSent
        try:
            async with asyncio.timeout_at(deadline):
                return await self._open(loop, await self._addresses())
        except (OSError, UnicodeError) as error:  # refused, too late, TLS not verified; no name of DNS
            raise NotSent from error

    async def _addresses(self) -> Sequence[str]:
        """Gives the host's addresses. One that is not permitted spoils them all: such an answer is not an honest one.

        Raises Barred for it; one log line says when that begins, since every request until it ends would say the same.
        """
        found = await self._resolver(self._origin.host, self._origin.port)
        if not found:
            raise NotSent
        if not all(permitted(address, literal=self._literal) for address in found):
            if not self._barred:
                self._barred = True
                event("upstream-barred", logging.ERROR, upstream=f"{self._origin.host}:{self._origin.port}")
            raise Barred
        self._barred = False
        return found

    async def _open(self, loop: asyncio.AbstractEventLoop, addresses: Sequence[str]) -> Connection:
        last: OSError | None = None
        tls = self._tls
        for address in addresses:
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(loop),
                    address,  # a literal: nothing is resolved again
                    self._origin.port,
                    ssl=tls,
                    # The catalogue's name, not the address: it is what SNI says and what the certificate must name.
                    server_hostname=self._origin.host if tls else None,
                )
            except OSError as error:
                last = error
            else:
                connection.under = tls
                return connection
        raise NotSent from last


def _render(authority: str, exchange: Exchange) -> bytes:
    """Gives the request's bytes (RFC 9112 section 3). Raises NotSent for what cannot be said in them in one way."""
    body = exchange.body
    lines = [f"Host: {authority}", *(f"{name}: {value}" for name, value in exchange.headers)]
    if body is not None or exchange.method in _WITH_BODY:
        lines.append(f"Content-Length: {len(body or b'')}")
    text = "\r\n".join(lines)
    # One count finds a line break inside any name or value: as many as we joined, and no other.
    breaks = len(lines) - 1
    sound = text.count("\r") == breaks == text.count("\n") and "\0" not in text
    if not sound or not _METHOD.fullmatch(exchange.method) or not _TARGET.fullmatch(exchange.target):
        raise NotSent
    head = b""
    with suppress(UnicodeEncodeError):
        head = text.encode("latin-1")
    if not head:
        raise NotSent
    method = exchange.method.encode("ascii")
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method, exchange.target, head, body or b"")
