"""Repeated work: each loop runs on until the stop; one round that fails is reported and the next one comes in its time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.jobs.ending import cut_short

Report = Callable[[str, BaseException], None]
"""Is told the loop's name and what ended a round. It logs the error's type and place, never its text."""


class Loops:
    """The loops of one process. Made on the event loop that they run on; `stop` ends them and waits, but not for ever."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def every(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Runs `work` after every pause of that many seconds. Rounds of one loop never overlap."""
        self._tasks.append(asyncio.create_task(self._run(seconds, name, work), name=name))

    async def stop(self, seconds: float) -> list[str]:
        """Ends every loop after the round under way; gives the names of those whose round took longer than that, and was cut short.

        Repeating it does nothing.
        """
        self._stopping.set()
        tasks, self._tasks = self._tasks, []
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        return [task.get_name() for task in await cut_short(tasks)]

    async def _run(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        while not await self._stopped_within(seconds):
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - a loop outlives a failed round; the failure is reported
                self._report(name, error)

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True
