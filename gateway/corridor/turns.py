"""One writer at a time per record, for upstreams that cannot make a write conditional."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.words.access import ResourceRef


class Turns:
    """Locks by record. A lock lives only while somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._held: dict[ResourceRef, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, ref: ResourceRef) -> AsyncIterator[None]:
        """Waits for the record's turn and gives it back at the end."""
        lock, users = self._held.get(ref, (asyncio.Lock(), 0))
        self._held[ref] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._held.pop(ref)
            if users > 1:
                self._held[ref] = (lock, users - 1)
