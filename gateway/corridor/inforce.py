"""What is in force: one reference to one value, replaced whole. Fits the gate's `Caches`.

The order is the law: read the log's fence, then everything that is cached, and only then take that fence as ours. Whatever
changed in between is newer than the fence says, and the next entry that raises it makes us read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from audit import AuditEvent, Head, Log, LogBusy, LogUnavailable, Receipt
from gateway.corridor.walk import Ruled
from gateway.words.errors import Code, Unavailable

Enter = Callable[[Ruled, AuditEvent], Awaitable[Receipt]]
"""Puts a bundle in force by that entry."""


class Follow(Protocol):
    """How a process takes what another one put in force for both of them."""

    async def __call__(self, after: int, upto: int, enter: Enter) -> Ruled | None:
        """Gives what an entry above `after`, up to `upto`, put in force; None where none did, or where `enter` did it here.

        Raises Unavailable where that cannot be had now: then nothing here may be decided until it can.
        """
        ...


class InForce:
    """The one place where a process keeps what it decides by. `read` reads credentials and keys anew; it may be called often.

    follow: where processes share one policy folder, so that one of them puts an edit in force for all. In log order none of them
    decides by the older bundle once that entry stands: it raised the fence, and whoever is told so looks for it here first.
    """

    def __init__(
        self,
        log: Log,
        read: Callable[[], Awaitable[None]],
        first: Ruled,
        follow: Follow | None = None,
    ) -> None:
        self._log = log
        self._read = read
        self._now = first
        self._follow = follow
        self._seen = 0  # entries up to here put nothing in force that is not known here
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
            await self._reread()

    async def catch_up(self) -> None:
        """Reads anew where another process has raised the fence, and costs one look at the log where none has.

        What was taken away is refused without it. What was given, a new key above all, would otherwise be unknown here until
        some request is told that it is stale, and a caller who is unknown is never told. Raises Unavailable as `refresh`.
        """
        head = await self._head()
        if head.fence != self._now.fence:
            await self.refresh()
        else:
            self._seen = max(self._seen, head.seq)

    async def activate(self, ruled: Ruled, event: AuditEvent) -> Receipt:
        """Puts a bundle in force: its entry raises the fence, and no request is decided by it before that entry stands.

        Requests under the old bundle find out by `Stale` and wait here for their turn. Raises Unavailable where the entry could
        not be recorded; the old bundle then serves on, and should the entry turn up after all, the new one takes its place.
        """
        async with self._turn:
            receipt = await self._enter(ruled, event)
            await self._reread()
        return receipt

    async def _enter(self, ruled: Ruled, event: AuditEvent) -> Receipt:
        self._unsure = (ruled, event)
        try:
            receipt = await self._log.append(event, raises_fence=True)
        except (LogUnavailable, LogBusy) as error:
            raise Unavailable(Code.LOG_UNAVAILABLE) from error
        # In force from here on, still under the older fence: whoever decides by it is told to read anew.
        self._unsure, self._now = None, replace(ruled, fence=self._now.fence)
        self._seen = max(self._seen, receipt.seq)  # what others entered before it is over
        return receipt

    async def _reread(self) -> None:
        head = await self._head()
        if self._follow is not None and head.seq > self._seen:
            ruled = await self._follow(self._seen, head.seq, self._enter)
            if ruled is not None:
                self._now = replace(ruled, fence=self._now.fence)
            self._seen = max(self._seen, head.seq)
        await self._read()
        self._now = replace(self._now, fence=head.fence)

    async def _head(self) -> Head:
        try:
            return await self._log.head()
        except (LogUnavailable, LogBusy) as error:
            raise Unavailable(Code.LOG_UNAVAILABLE) from error
