"""Between the command line and several houses: a parent that serves nothing itself, and keeps as many workers as it was asked for.

It binds the ports before it starts anybody, so a port that is taken is told once. The first worker's start is the check of all that a
start needs: what it refuses it says, nobody else is started, and the parent ends with its code. Only when it serves do the others start.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from gateway.edge import RECORD_SECONDS, Admin, Inside, Listener, Server, bind, probe, stopping_signals
from gateway.ending import LEAVE_SECONDS
from gateway.machine import make_home
from gateway.observe import (
    Alarms,
    Count,
    Level,
    Metrics,
    Series,
    event,
    joined,
    keep_memory_private,
    unpacked,
)
from gateway.process import Process
from gateway.settings import Settings
from gateway.store import OwnerLock
from gateway.stores import WORKERS_LOCK
from gateway.words.control import CONTROL_UPSTREAM
from gateway.words.errors import Misconfigured
from gateway.words.ids import new_id
from gateway.words.record import Alarm, AlarmKind
from gateway.worker import COLLECTED, STANDING

PARENT: Final = "parent"
_OWN: Final = frozenset({Count.ALARMS, Level.WORKERS_MISSING})
"""Instruments that the parent has something to say in."""
_REFUSED: Final = 2
_ASK_SECONDS: Final = 3.0
"""Longer than a worker's own look at what it needs may take."""
HANGS_SECONDS: Final = 3.0
"""A worker that is still there so long after it should have ended itself is not going to."""
_BY_WORSE: Final = ("ok", "degraded", "late", "down")


class Ending(Enum):
    """How it ended: asked to, refused by the first worker's start (which said why), or because no worker stays."""

    STOPPED = auto()
    REFUSED = auto()
    GAVE_UP = auto()


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon a worker that ended is started again, in seconds: doubled each time, from `first` up to `most`, and anew once one has
    served for `sound`. failures: starts in a row that fail while nobody serves, after which it gives up."""

    first: float = 0.5
    most: float = 30.0
    sound: float = 60.0
    failures: int = 5


async def supervise(settings: Settings, count: int, pace: Pace = Pace()) -> Ending:
    """Keeps `count` workers serving until a signal. Raises Misconfigured, and nobody was started: a port that cannot be had."""
    keep_memory_private()
    make_home(settings.home)
    with ExitStack() as stack:
        probe(settings.host, settings.port)
        bound = stack.enter_context(bind(settings.host, settings.port, "GATEHOUSE_PORT"))
        admin = None
        if settings.admin_port is not None:
            probe(settings.admin_host, settings.admin_port, "GATEHOUSE_ADMIN_PORT")
            admin = stack.enter_context(
                bind(settings.admin_host, settings.admin_port, "GATEHOUSE_ADMIN_PORT")
            )
        with suppress(Misconfigured):  # a second parent on one home goes without: only `doctor` looks at it
            stack.enter_context(OwnerLock(settings.home / WORKERS_LOCK))
        return await Supervisor(settings, count, bound, pace).serve(admin)


class Supervisor:
    """The parent of `count` workers on the port of `bound`. Used on one event loop."""

    def __init__(self, settings: Settings, count: int, bound: socket.socket, pace: Pace) -> None:
        self._settings = settings
        self._count = count
        self._bound = bound
        self._pace = pace
        self._run = new_id("run")
        self._metrics = Metrics()
        self._alarms = Alarms(self._metrics)
        self._running: dict[int, Process] = {}
        self._begun: set[int] = set()
        self._failures = 0
        self._keepers: list[asyncio.Task[None]] = []
        self._over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    async def serve(self, admin: socket.socket | None) -> Ending:
        """Serves until a signal, or until it gives up. admin: the admin port's socket, None where it has none."""
        try:
            first = await self._start(1)
            if not await first.begun():
                refused = await first.ended() == _REFUSED
                return Ending.REFUSED if refused else Ending.GAVE_UP
            with stopping_signals(asyncio.get_running_loop(), self._stop, self._kill):
                return await self._keep_all(first, admin)
        finally:
            await self._end()

    async def _keep_all(self, first: Process, admin: socket.socket | None) -> Ending:
        for number in range(1, self._count + 1):
            keeper = asyncio.create_task(self._keep(number, first if number == 1 else None))
            keeper.add_done_callback(self._kept)
            self._keepers.append(keeper)
        server, answering = None, None
        if admin is not None:
            port, app = admin.getsockname()[1], Admin(Inside(self.collected, self.standing))
            listener = Listener(
                self._settings.admin_host, port, app, setting="GATEHOUSE_ADMIN_PORT", bound=admin
            )
            server = Server([listener], part=True)
            answering = asyncio.create_task(server.serve())
        try:
            ending = await self._over
            whole = await self._end()
        finally:
            if server is not None and answering is not None:
                server.stop()
                await answering
        event("stopped")
        return ending if whole else Ending.GAVE_UP

    # ── workers ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _start(self, number: int) -> Process:
        process = self._running[number] = await Process.start(number, self._run, self._bound)
        return process

    async def _keep(self, number: int, process: Process | None) -> None:
        """Keeps one worker going, until it is given up or this is cancelled."""
        pause = self._pace.first
        while True:
            served, code = await self._once(number, process)
            process = None
            self._tell_end(number, served, code)
            if served > 0:
                self._failures = 0
            elif self._given_up():
                event("workers-given-up", logging.CRITICAL, count=self._failures)
                self._over_with(Ending.GAVE_UP)
                return
            if served >= self._pace.sound:
                pause = self._pace.first
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._pace.most)

    async def _once(self, number: int, process: Process | None) -> tuple[float, int]:
        """Gives for how long a worker served, nought where it never did, and what it ended with."""
        clock = asyncio.get_running_loop().time
        try:
            process = process or await self._start(number)
        except OSError as error:
            event("worker-not-started", logging.ERROR, worker=number, error=type(error).__name__)
            return 0.0, 1
        since = None
        if await process.begun():
            since = clock()
            self._begun.add(number)
            event("worker-ready", worker=number)
        code = await process.ended()
        self._running.pop(number, None)
        return 0.0 if since is None else max(clock() - since, 1e-6), code

    def _tell_end(self, number: int, served: float, code: int) -> None:
        """One that served and ended with nought was asked to by somebody: no alarm."""
        asked = served > 0 and code == 0
        event("worker-ended", logging.WARNING if asked else logging.ERROR, worker=number, status=code)
        if not asked:
            self._alarms.raise_([Alarm(AlarmKind.WORKER_ENDED, CONTROL_UPSTREAM, "worker")])

    def _given_up(self) -> bool:
        """Whether a start that failed ends all. Until each has served once it does: the start as a whole has failed. Later only where
        nobody serves, again and again: others that serve are not ended because one cannot be started."""
        self._failures += 1
        if len(self._begun) < self._count:
            return True
        return self._failures >= self._pace.failures and not self._serving()

    def _serving(self) -> dict[int, Process]:
        return {number: process for number, process in sorted(self._running.items()) if process.serving}

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _stop(self) -> None:
        event("stopping")
        self._over_with(Ending.STOPPED)

    def _over_with(self, ending: Ending) -> None:
        if not self._over.done():
            self._over.set_result(ending)

    def _kept(self, keeper: asyncio.Task[None]) -> None:
        """A keeper that ends by a defect ends all: nobody would start that worker again."""
        if not keeper.cancelled() and (defect := keeper.exception()) is not None and not self._over.done():
            self._over.set_exception(defect)

    def _kill(self) -> None:
        for process in self._running.values():
            process.kill()

    async def _end(self) -> bool:
        """Has every worker finish and end; gives whether those that served did so in order. Repeating it does nothing."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers = []
        self._bound.close()  # whoever connects now is refused; each worker closes its own
        left = self._running
        for process in left.values():
            process.stop()
        codes = await self._codes(left)
        broken = {number: code for number, code in codes.items() if code and left[number].served}
        for number, code in broken.items():
            event("worker-ended", logging.ERROR, worker=number, status=code)
        self._running = {}
        return not broken

    async def _codes(self, left: Mapping[int, Process]) -> Mapping[int, int]:
        """Gives what each ended with. One that hangs, and does not end when a worker ends whatever still holds it up, is killed."""
        ending = {number: asyncio.create_task(process.ended()) for number, process in left.items()}
        if ending:
            limit = math.ceil(self._settings.stop_seconds) + RECORD_SECONDS + LEAVE_SECONDS + HANGS_SECONDS
            await asyncio.wait(ending.values(), timeout=limit)
        for number, task in ending.items():
            if not task.done():
                event("worker-hangs", logging.ERROR, worker=number)
                left[number].kill()
        return {number: await task for number, task in ending.items()}

    # ── what there is to see ─────────────────────────────────────────────────────────────────────────────────────

    async def collected(self) -> Sequence[Series]:
        """Gives every worker's instruments, labelled with its number, and the parent's own."""
        told = await self._ask(COLLECTED)
        self._metrics.level(Level.WORKERS_MISSING, self._count - len(told))
        own = [series for series in self._metrics.collect() if series.name in _OWN]
        found: dict[str, Sequence[Series]] = {}
        for number, said in told.items():
            # Another version, put in place under a running parent and started since, may say it in another form.
            with suppress(ValueError, TypeError, KeyError):
                found[str(number)] = unpacked(said)
        return joined({**found, PARENT: own})

    async def standing(self) -> tuple[bool, Mapping[str, Any]]:
        """Gives whether they serve, and of each thing the worst that a worker says of it. With none there nothing serves; with some
        missing the rest do."""
        told = await self._ask(STANDING)
        state = "ok" if len(told) == self._count else "degraded" if told else "down"
        ready = bool(told) and all(said["ready"] for said in told.values())
        checks: dict[str, str] = {}
        for said in told.values():
            for name, found in said["checks"].items():
                checks[name] = max(checks.get(name, "ok"), found, key=_BY_WORSE.index)
        bundles = {said["bundle"] for said in told.values()}
        return ready, {
            "ready": ready,
            "checks": {**checks, "workers": state},
            "bundle": bundles.pop() if len(bundles) == 1 else None,
            "workers": {str(number): said for number, said in told.items()},
        }

    async def _ask(self, what: str) -> dict[int, Any]:
        """Gives what each worker says that answers in time."""
        serving = self._serving()
        said = await asyncio.gather(
            *(process.ask(what, _ASK_SECONDS) for process in serving.values()), return_exceptions=True
        )
        for one in said:
            if isinstance(one, BaseException) and not isinstance(one, OSError):
                raise one
        return {n: one for n, one in zip(serving, said, strict=True) if not isinstance(one, BaseException)}
