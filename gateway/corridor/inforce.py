"""What is in force: one reference to one value, replaced whole. Fits the gate's `Caches`.

The order is the law: read the log's fence, then everything that is cached, and only then take that fence as ours. Whatever
changed in between is newer than the fence says, and the next entry that raises it makes us read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from audit import AuditEvent, Log, LogBusy, LogUnavailable, Receipt
from gateway.corridor.walk import Ruled
from gateway.words.errors import Code, Unavailable


class InForce:
    """The one place where a process keeps what it decides by. `read` reads credentials and keys anew; it may be called often."""

    def __init__(self, log: Log, read: Callable[[], Awaitable[None]], first: Ruled) -> None:
        self._log = log
        self._read = read
        self._now = first
        self._turn = asyncio.Lock()
        self._unsure: tuple[Ruled, AuditEvent] | None = None

    @property
    def now(self) -> Ruled:
        """What is in force, as this process knows it."""
        return self._now

    async def refresh(self) -> None:
        """Reads everything cached anew. Requests that found out together share one reading.

        Raises Unavailable where the log or a store cannot be read; what was in force stays, and stays refused as stale.
        """
        seen = self._now
        async with self._turn:
            if self._now is not seen:
                return
            if self._unsure is not None:
                # An activation whose entry may or may not stand: by the time that requests are stale it may well do.
                await self._enter(*self._unsure)
            self._now = replace(self._now, fence=await self._reread())

    async def catch_up(self) -> None:
        """Reads anew where another process has raised the fence, and costs one look at the log where none has.

        What was taken away is refused without it. What was given, a new key above all, would otherwise be unknown here until
        some request is told that it is stale, and a caller who is unknown is never told. Raises Unavailable as `refresh`.
        """
        if await self._fence() != self._now.fence:
            await self.refresh()

    async def activate(self, ruled: Ruled, event: AuditEvent) -> Receipt:
        """Puts a bundle in force: its entry raises the fence, and no request is decided by it before that entry stands.

        Requests under the old bundle find out by `Stale` and wait here for their turn. Raises Unavailable where the entry could
        not be recorded; the old bundle then serves on, and should the entry turn up after all, the new one takes its place.
        """
        async with self._turn:
            receipt = await self._enter(ruled, event)
            self._now = replace(self._now, fence=await self._reread())
        return receipt

    async def _enter(self, ruled: Ruled, event: AuditEvent) -> Receipt:
        self._unsure = (ruled, event)
        try:
            receipt = await self._log.append(event, raises_fence=True)
        except (LogUnavailable, LogBusy) as error:
            raise Unavailable(Code.LOG_UNAVAILABLE) from error
        # In force from here on, still under the older fence: whoever decides by it is told to read anew.
        self._unsure, self._now = None, replace(ruled, fence=self._now.fence)
        return receipt

    async def _reread(self) -> int:
        fence = await self._fence()
        await self._read()
        return fence

    async def _fence(self) -> int:
        try:
            return (await self._log.head()).fence
        except (LogUnavailable, LogBusy) as error:
            raise Unavailable(Code.LOG_UNAVAILABLE) from error
