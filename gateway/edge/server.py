"""The process's listeners: uvicorn with our protocol, on one event loop, stopped together and in good order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import cast

import uvicorn
from uvicorn._types import ASGI3Application

from gateway.edge.asgi import App
from gateway.edge.dispatch import Dispatcher
from gateway.edge.protocol import EdgeProtocol, Rules, protocol_with
from gateway.edge.shedding import Shedding
from gateway.edge.tls import Acceptor, ListenerTls, certified
from gateway.observe import event, place_of
from gateway.wire.limits import DEFAULT_LIMITS, Limits
from gateway.words.errors import Code, Misconfigured

_BACKLOG = 2048
_TICK_SECONDS = 0.02
_LOOK_TICKS = 5
_NOT_STARTED = 3  # as uvicorn says it
RECORD_SECONDS = 10.0
"""So much longer than a stop's patience may what was begun go on: its callers are told by then, and its outcome is to be recorded."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address and the application that answers there. Port 0 takes a free one.

    tls: None where it speaks plain HTTP. setting: what an operator would change. bound: the socket where a parent took the address.
    """

    host: str
    port: int
    app: App
    tls: ListenerTls | None = None
    setting: str = "GATEHOUSE_PORT"
    bound: socket.socket | None = None


class _Uvicorn(uvicorn.Server):
    """uvicorn's server without its hands on the process's signals: several run in one process. Looks for slow clients as it ticks."""

    def __init__(self, config: uvicorn.Config, limits: Limits) -> None:
        super().__init__(config)
        self._shedding = Shedding(limits, time.monotonic)

    async def on_tick(self, counter: int) -> bool:
        """Looks for slow clients twice a second, then does what uvicorn does ten times."""
        if counter % _LOOK_TICKS == 0:
            try:
                self._shedding.look(cast(set[EdgeProtocol], self.server_state.connections))
            except Exception as error:  # noqa: BLE001 - a defect of this must not be what ends the serving: it is logged, and looked again
                kind, at = place_of(error)
                event("loop-failed", logging.ERROR, component="shedding", error=kind, at=at)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


class _Secure(_Uvicorn):
    """The same behind TLS: connections are accepted by ourselves."""

    def __init__(self, listener: Listener, rules: Rules, protocol: type[EdgeProtocol]) -> None:
        super().__init__(_config(listener, rules.limits, protocol), rules.limits)
        self._listener = listener
        self._rules = rules
        self._protocol = protocol if listener.tls is None else certified(protocol, listener.tls)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """In the place of uvicorn's, which would leave handshakes without a count and with a minute's time."""
        await self.lifespan.startup()
        tls = self._listener.tls
        if self.lifespan.should_exit or tls is None:
            sys.exit(_NOT_STARTED)

        def made() -> EdgeProtocol:
            return self._protocol(self.config, self.server_state, self.lifespan.state)

        done = cast(set[EdgeProtocol], self.server_state.connections)
        shared = self._listener.bound is not None
        acceptors = [Acceptor(bound, tls, made, self._rules, done, shared=shared) for bound in sockets or ()]
        self.servers = cast(list[asyncio.base_events.Server], acceptors)  # `close` and `wait_closed` are all
        self.started = True


class Server:
    """Serves the listeners until it is stopped. `addresses` are known once it is made: binding happens here, or nothing starts.

    settled: awaited after the last connection closed, so that what the corridor began is finished and recorded. It is given the
    seconds that this may take and gives how many requests have not ended in them.
    part: it is a part of something that takes the process's signals itself and tells of its stop.
    asked: is told, when a stop is asked for, in how many seconds `serve` will have returned, a moment more or less.
    Raises Misconfigured where an address cannot be bound.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        *,
        limits: Limits = DEFAULT_LIMITS,
        refused: Callable[[Code], None] = lambda _: None,
        settled: Callable[[float], Awaitable[int]] | None = None,
        part: bool = False,
        asked: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._settled = settled
        self._part = part
        self._asked = asked
        self._most_seconds = limits.stop_seconds + RECORD_SECONDS
        self._over: float | None = None
        self._sockets: list[socket.socket] = []
        try:
            for listener in listeners:
                self._sockets.append(listener.bound or bind(listener.host, listener.port, listener.setting))
                _listen(self._sockets[-1], listener.setting)
        except Misconfigured:
            self.close()
            raise
        self._servers = [_server(each, limits, refused) for each in listeners]

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Host and port of every listener, in their order."""
        return tuple((name[0], name[1]) for name in (bound.getsockname() for bound in self._sockets))

    async def serve(self, *, started: Callable[[], None] = lambda: None) -> None:
        """Runs until `stop` or, on the main thread, SIGINT, SIGTERM or SIGHUP (a part: until `stop`). Returns after a graceful stop;
        calls `started` once.

        A second signal ends the process at once with 128 and its number (130, 143), as a shell says of a process that it ended.
        """
        loop = asyncio.get_running_loop()
        with contextlib.nullcontext() if self._part else stopping_signals(loop, self.stop):
            tasks = [
                asyncio.ensure_future(server.serve(sockets=[bound]))
                for server, bound in zip(self._servers, self._sockets, strict=True)
            ]
            try:
                await self._announce(tasks, started)
                await asyncio.gather(*tasks)
            finally:
                self._end()
                await asyncio.gather(*tasks, return_exceptions=True)
                if self._settled is not None and (left := await self._settled(self.left_seconds)):
                    event("stopped-short", logging.WARNING, count=left)
                self.close()
                if not self._part:
                    event("stopped")

    def stop(self) -> None:
        """Asks every listener to take no new connection, finish what is under way and end."""
        if self._over is None:
            self._asked(self._most_seconds)
        self._end()

    @property
    def left_seconds(self) -> float:
        """How long what is under way may still take; nothing bounds it until a stop was asked for."""
        return math.inf if self._over is None else max(self._over - time.monotonic(), 0.0)

    def _end(self) -> None:
        if self._over is None:
            self._over = time.monotonic() + self._most_seconds
            if not self._part:
                event("stopping")
        for server in self._servers:
            server.should_exit = True

    def close(self) -> None:
        """Closes the sockets; for a server that was made and never served."""
        for bound in self._sockets:
            bound.close()

    async def _announce(self, tasks: Sequence[asyncio.Future[None]], started: Callable[[], None]) -> None:
        while not all(server.started for server in self._servers):
            if any(task.done() for task in tasks):
                return
            await asyncio.sleep(_TICK_SECONDS)
        for host, port in self.addresses:
            event("listening", listener=f"{host}:{port}")
        started()


def _server(listener: Listener, limits: Limits, refused: Callable[[Code], None]) -> _Uvicorn:
    app = listener.app
    rules = Rules(limits, refused, app.lane) if isinstance(app, Dispatcher) else Rules(limits, refused)
    protocol = protocol_with(rules)
    if listener.tls is None:
        return _Uvicorn(_config(listener, limits, protocol), limits)
    return _Secure(listener, rules, protocol)


def probe(host: str, port: int, setting: str = "GATEHOUSE_PORT") -> None:
    """Raises Misconfigured where that address could not be bound now. Nothing stays bound: a start asks before its long work."""
    with bind(host, port, setting) as bound:
        _listen(bound, setting)


def bind(host: str, port: int, setting: str) -> socket.socket:
    """Gives a socket that has that address and takes no connection yet: until it is listened on, whoever connects is refused.

    Raises Misconfigured.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise _taken(host, port, setting, error) from error
    bound.setblocking(False)
    return bound


def _listen(bound: socket.socket, setting: str) -> None:
    """Takes connections from here on. Two that are bound can both be there; that one of them listens already shows only now."""
    try:
        bound.listen(_BACKLOG)
    except OSError as error:
        host, port = bound.getsockname()[:2]
        bound.close()
        raise _taken(host, port, setting, error) from error


def _taken(host: str, port: int, setting: str, error: OSError) -> Misconfigured:
    # A name or an address that is not this machine's: another port would not help.
    elsewhere = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
    todo = (
        f"set {setting.replace('PORT', 'HOST')} to an address of this machine"
        if elsewhere
        else f"stop what uses port {port}, or set {setting} to another"
    )
    return Misconfigured(f"cannot listen on {host}:{port} ({error.strerror}): {todo}")


def _config(listener: Listener, limits: Limits, protocol: type[asyncio.Protocol]) -> uvicorn.Config:
    return uvicorn.Config(
        # The same shape; uvicorn spells it with its own types.
        cast(ASGI3Application, listener.app),
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        # Would believe X-Forwarded-For from loopback.
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=limits.stop_seconds,
    )


def _stops() -> tuple[signal.Signals, ...]:
    """The signals that ask for a stop. A terminal that closes is one; not under nohup, which has us ignore it."""
    asked = (signal.SIGINT, signal.SIGTERM)
    return asked if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*asked, signal.SIGHUP)


@contextlib.contextmanager
def stopping_signals(
    loop: asyncio.AbstractEventLoop,
    stop: Callable[[], None],
    at_once: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """While inside, the first SIGINT, SIGTERM or SIGHUP calls `stop`; a second one calls `at_once` and ends the process."""
    taken: list[signal.Signals] = []

    def second(number: int, _frame: FrameType | None) -> None:
        """Somebody will not wait. Like a kill: what was begun and not recorded is settled at the next start."""
        at_once()
        os._exit(128 + number)

    def first() -> None:
        # From now on a signal ends the process at once, whatever the loop is busy with; its default would do nothing to a
        # container's first process.
        for number in taken:
            loop.remove_signal_handler(number)
            signal.signal(number, second)
        stop()

    for number in _stops():
        # Off the main thread (in tests) there are no signals to take.
        with contextlib.suppress(ValueError, RuntimeError):
            loop.add_signal_handler(number, first)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
