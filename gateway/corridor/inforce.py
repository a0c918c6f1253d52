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


class Follow(Protocol):
    """How a process takes what the log says is in force, whoever put it there."""

    async def __call__(self, after: int, upto: int) -> Ruled | None:
        """Gives what an entry above `after`, up to `upto`, put in force; None where none did, or where that is what this process has.

        Raises Unavailable where that cannot be had now: then nothing here may be decided until it can.
        """
        ...


class InForce:
    """The one place where a process keeps what it decides by. `read` reads credentials and keys anew; it may be called often.

    follow: in log order no process decides by the older bundle once another's entry stands: it raised the fence, and whoever is told so
    looks for it here first. So it is with an entry of this process whose fate nobody could tell. seen: entries up to there are `first`'s.
    """

    def __init__(
        self,
        log: Log,
        read: Callable[[], Awaitable[None]],
        first: Ruled,
        follow: Follow,
        seen: int = 0,
    ) -> None:
        self._log = log
        self._read = read
        self._now = first
        self._follow = follow
        self._seen = seen  # entries up to here put nothing in force that is not known here
        self._turn = asyncio.Lock()

    @property
    def now(self) -> Ruled:
        """What is in force, as this process knows it."""
        return self._now

    @property
    def seen(self) -> int:
        """Up to which entry of the log that is so."""
        return self._seen

    async def refresh(self) -> None:
        """Reads everything cached anew. Requests that found out together share one reading.

        Raises Unavailable where the log or a store cannot be read; what was in force stays, and stays refused as stale.
        """
        seen = self._now
        async with self._turn:
            if self._now is not seen:
                return
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

    async def activate(self, ruled: Ruled, event: AuditEvent, fence: int | None = None) -> Receipt:
        """Puts a bundle in force: its entry raises the fence, and no request is decided by it before that entry stands.

        fence: where it may only follow on what was in force at that fence. Raises Stale where another entry raised it since: nothing
        is written then. Requests under the old bundle find out by `Stale` and wait here for their turn. Raises Unavailable where the
        entry could not be recorded; the old bundle then serves on, and should the entry turn up after all, it is followed as another's.
        """
        async with self._turn:
            try:
                receipt = await self._log.append(event, fence=fence, raises_fence=True)
            except (LogUnavailable, LogBusy) as error:
                raise Unavailable(Code.LOG_UNAVAILABLE) from error
            # In force from here on, still under the older fence: whoever decides by it is told to read anew.
            self._now = replace(ruled, fence=self._now.fence)
            self._seen = max(self._seen, receipt.seq)  # what others entered before it is over
            await self._reread()
        return receipt

    async def _reread(self) -> None:
        head = await self._head()
        if head.seq > self._seen:
            ruled = await self._follow(self._seen, head.seq)
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
