"""Step 1, before the first byte of HTTP: TLS at our own port. A connection is HTTP's only when its handshake is done.

uvicorn could be given a certificate, but then a client that never finishes its handshake is held for a minute and is in nobody's
count, and a renewed certificate needs a new process. So connections are accepted here, one by one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from gateway.edge.protocol import EdgeProtocol, Rules
from gateway.edge.shedding import Watched, make_room
from gateway.keys import Pair, Refusal, Rotating, pem_of, read_certificates, read_pair
from gateway.observe import event
from gateway.words.errors import Code, Misconfigured

GOODBYE_SECONDS: Final = 5.0
"""How long a closing waits for the other side's close_notify."""
_AT_ONCE: Final = 64
"""Connections that are accepted before anything else has its turn."""
_PAUSE_SECONDS: Final = 1.0
"""How long nothing is accepted where the machine has no room for another connection."""
# TLS 1.2 with forward secrecy and authenticated ciphers only (RFC 9325 section 4.2); TLS 1.3 has no others.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a listener shakes hands with, and until when. authorities: of clients' certificates, as they stand in their file."""

    context: ssl.SSLContext
    ends: datetime
    authorities: bytes | None


def terms_of(pair: Pair, clients: Path | None) -> Terms:
    """Gives the terms. clients: whose certificates are asked for. Raises Misconfigured for files that OpenSSL does not take."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        # Never asks a terminal: `read_pair` has refused a key with a pass phrase.
        context.load_cert_chain(pair.certificate, pair.key, password="")
    # An ssl.SSLError is one of them: a key that is too short for OpenSSL, for one.
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{pair.certificate.name}: OpenSSL does not take this certificate") from error
    if clients is None:
        return Terms(context, pair.ends, None)
    authorities = pem_of(read_certificates(clients))
    try:
        context.load_verify_locations(cadata=authorities.decode("ascii"))
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{clients.name}: OpenSSL does not take these certificates") from error
    # Asked for and not demanded: who has a key's text may come without one. A wrong one ends the handshake.
    context.verify_mode = ssl.CERT_OPTIONAL
    # Each connection proves it anew: a resumed session would stand for a certificate that nobody looked at again.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return Terms(context, pair.ends, authorities)


class ListenerTls:
    """The certificate of a listener, renewed while it serves. Connections that are open keep the one that they began with."""

    def __init__(
        self, certificate: Path, key: Path, now: Callable[[], datetime], clients: Path | None = None
    ) -> None:
        """clients: the file with the authorities of clients' certificates. Raises Misconfigured: there is nothing to begin with."""

        def make() -> Terms:
            return terms_of(read_pair(certificate, key, now()), clients)

        # A new context each time: a pair that is half taken would leave the listener without any.
        self._held = Rotating((certificate, key, *(() if clients is None else (clients,))), make)

    @property
    def context(self) -> ssl.SSLContext:
        """What the next handshake is made with."""
        return self._held.value.context

    @property
    def ends(self) -> datetime:
        """When the certificate in use ends."""
        return self._held.value.ends

    @property
    def terms(self) -> Terms:
        """All of it, as one value."""
        return self._held.value

    def look(self) -> Refusal | datetime | None:
        """Gives when a new pair ends that was taken just now, a refusal of it, or None. Blocks."""
        found = self._held.look()
        return found.ends if isinstance(found, Terms) else found


class CertifiedProtocol(EdgeProtocol):
    """HTTP on a connection whose client may have shown a certificate. Promises: its names are told to the application only while
    it holds, and while its authority is one that counts."""

    tls: ClassVar[ListenerTls]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own is
        """Takes the connection, and the names that the client proved."""
        super().connection_made(transport)
        terms = self.tls.terms
        # Files may have changed while hands were shaken: whom the old ones certified, the new ones may not.
        current = transport.get_extra_info("sslcontext") is terms.context
        self._authorities = terms.authorities if current else None
        shown = transport.get_extra_info("peercert") or {}
        names = shown.get("subjectAltName", ())
        self._names = tuple(f"{kind}:{name}" for kind, name in names if kind in ("URI", "DNS"))
        self._ends = ssl.cert_time_to_seconds(shown["notAfter"]) if shown else 0.0

    def _certificate(self) -> Sequence[str]:
        """Says who the client is, with each request: a connection may live longer than its certificate."""
        authorities = self._authorities
        if authorities is not None and time.time() < self._ends and authorities == self.tls.terms.authorities:
            return self._names
        return ()


def certified(protocol: type[EdgeProtocol], tls: ListenerTls) -> type[EdgeProtocol]:
    """Gives the protocol class of a listener with TLS: one that looks at clients' certificates, where any can prove a client."""
    if tls.terms.authorities is None:
        return protocol
    return type("CertifiedProtocol", (CertifiedProtocol,), {"rules": protocol.rules, "tls": tls})


class Acceptor:
    """Accepts a listener's connections and shakes hands. Fits what uvicorn asks of a server: `close`, `wait_closed`.

    protocol: makes HTTP's protocol; it is told of a connection once its handshake is done. done: the connections that are HTTP's.
    shared: other processes accept on this socket too: one at a time, so that whoever is free takes the next.
    Promises: a handshake ends within `header_seconds` or the connection does; those that shake hands and those that are done are
    together never more than `max_connections`: for one more the longest handshake ends, or a connection that only waits.
    """

    def __init__(
        self,
        bound: socket.socket,
        tls: ListenerTls,
        protocol: Callable[[], asyncio.Protocol],
        rules: Rules,
        done: Collection[Watched],
        *,
        shared: bool = False,
    ) -> None:
        self._bound = bound
        self._at_once = 1 if shared else _AT_ONCE
        self._tls = tls
        self._protocol = protocol
        self._rules = rules
        self._done = done
        # In the order in which they began; each with HTTP's protocol.
        self._shaking: dict[asyncio.Task[None], object] = {}
        # Accepted, and their handshake's first step is to come: a task that is cancelled before it never runs, and closes nothing.
        self._unbegun: set[socket.socket] = set()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(bound, self._accept)

    def close(self) -> None:
        """Accepts no more and ends every handshake under way."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._bound)
        for task in self._shaking:
            task.cancel()

    async def wait_closed(self) -> None:
        """Returns when no handshake is under way."""
        await asyncio.gather(*self._shaking, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(self._at_once):
            try:
                accepted, _address = self._bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except (
                OSError
            ) as error:  # no file descriptor or no memory left: nothing is gained by asking again at once
                event("accept-failed", logging.ERROR, error=type(error).__name__)
                self._loop.remove_reader(self._bound)
                self._pause = self._loop.call_later(_PAUSE_SECONDS, self._go_on)
                return
            if self._full() and not self._make_room():
                self._rules.refused(Code.NOT_READY)
                accepted.close()
                continue
            accepted.setblocking(False)
            made = self._protocol()
            self._unbegun.add(accepted)
            task = self._loop.create_task(self._shake(accepted, made))
            self._shaking[task] = made
            task.add_done_callback(partial(self._shaken, accepted))

    def _full(self) -> bool:
        most = self._rules.limits.max_connections
        if len(self._done) + len(self._shaking) < most:
            return False
        # One that has just become HTTP's is in both until its task ends.
        return len(self._done) + sum(made not in self._done for made in self._shaking.values()) >= most

    def _make_room(self) -> bool:
        """Ends what was begun longest ago of the larger part; False where every connection is at a request."""
        if len(self._shaking) < len(self._done) and make_room(self._done):
            return True
        longest = next((task for task, made in self._shaking.items() if made not in self._done), None)
        if longest is None:
            return False
        del self._shaking[longest]
        longest.cancel()
        self._rules.refused(Code.TOO_SLOW)
        return True

    def _shaken(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._shaking.pop(task, None)
        if accepted in self._unbegun:
            self._unbegun.remove(accepted)
            accepted.close()

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._bound, self._accept)

    async def _shake(self, accepted: socket.socket, made: asyncio.Protocol) -> None:
        self._unbegun.remove(accepted)
        try:
            await self._loop.connect_accepted_socket(
                lambda: made,
                accepted,
                ssl=self._tls.context,
                ssl_handshake_timeout=self._rules.limits.header_seconds,
                ssl_shutdown_timeout=GOODBYE_SECONDS,
            )
        except ConnectionAbortedError:
            self._rules.refused(Code.TOO_SLOW)
        except OSError:  # plain HTTP, an old version, no cipher in common, an end half-way
            self._rules.refused(Code.HEADER_MALFORMED)
