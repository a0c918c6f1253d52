"""Service: what happens to whoever touches a decoy, behind his answer. Fits `rooms.Traps`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from audit import LogBusy, LogUnavailable
from gateway.credentials.freezes import Freezes, held_by
from gateway.rooms import Alarms
from gateway.words.access import ResourceRef
from gateway.words.errors import Unavailable
from gateway.words.principal import Principal
from gateway.words.record import Alarm, AlarmKind

AGAIN_SECONDS = 1.0
CLOSE_SECONDS = 5.0


class Trapping:
    """Raises the alarm and freezes, in a task of its own: the answer neither waits for it nor costs more. Used on the event loop."""

    def __init__(self, freezes: Freezes, alarms: Alarms, told: Callable[[BaseException], None]) -> None:
        """told: hears of each attempt that failed; it is made again until it is done."""
        self._freezes = freezes
        self._alarms = alarms
        self._told = told
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def sprung(self, principal: Principal, request: str, ref: ResourceRef) -> None:
        """Begins it; one freeze of somebody at a time."""
        asyncio.get_running_loop().call_soon(self._spring, principal, request, ref)

    def _spring(self, principal: Principal, request: str, ref: ResourceRef) -> None:
        self._alarms.raise_([Alarm(AlarmKind.DECOY_TOUCHED, ref.upstream, ref.resource)])
        who = held_by(principal)
        if who is not None and who not in self._tasks:
            task = asyncio.create_task(self._freeze(who, request))
            self._tasks[who] = task
            task.add_done_callback(lambda done: self._ended(who, done))

    async def _freeze(self, who: str, request: str) -> None:
        while True:
            try:
                return await self._freezes.freeze(who, request)
            except (Unavailable, LogBusy, LogUnavailable) as error:
                self._told(error)
                await asyncio.sleep(AGAIN_SECONDS)

    def _ended(self, who: str, done: asyncio.Task[None]) -> None:
        self._tasks.pop(who, None)
        if not done.cancelled() and (defect := done.exception()) is not None:
            self._told(defect)

    async def close(self) -> None:
        """Waits for what is under way, for some seconds; whose intent stands is frozen by the reconciler of the next start."""
        left: Sequence[asyncio.Task[None]] = tuple(self._tasks.values())
        if left:
            _, late = await asyncio.wait(left, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
