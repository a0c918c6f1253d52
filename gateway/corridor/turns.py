"""One writer at a time per record, for upstreams that cannot make a write conditional: here, and among all replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from gateway.words.access import ResourceRef
from gateway.words.errors import Unavailable

Alone = Callable[[str], AbstractAsyncContextManager[bool]]
"""Gives True to one process at a time for a name (see store.Store.alone)."""

# Each turn keeps a connection of the store's pool while its upstream works; the rest of the pool is everybody's.
AT_ONCE = 4
WAIT_SECONDS = 10.0
AGAIN_SECONDS = 0.02


class Turns:
    """Locks by record. A lock lives only while somebody holds it or waits for it. alone: None where there is one process."""

    def __init__(self, alone: Alone | None = None, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._alone = alone
        self._wait = wait_seconds
        self._room = asyncio.Semaphore(AT_ONCE)
        self._held: dict[ResourceRef, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, ref: ResourceRef, name: str) -> AsyncIterator[None]:
        """Waits for the record's turn and gives it back at the end. `name` stands for the record and shows nothing of it.

        Raises Unavailable when another process has it for longer than `wait_seconds`: nothing was done.
        """
        lock, users = self._held.get(ref, (asyncio.Lock(), 0))
        self._held[ref] = (lock, users + 1)
        try:
            async with lock, self._among_all(name):
                yield
        finally:
            lock, users = self._held.pop(ref)
            if users > 1:
                self._held[ref] = (lock, users - 1)

    @asynccontextmanager
    async def _among_all(self, name: str) -> AsyncIterator[None]:
        if self._alone is None:
            yield
            return
        until = asyncio.get_running_loop().time() + self._wait
        while True:
            async with self._room, self._alone(f"turn:{name}") as mine:
                if mine:
                    yield
                    return
            if asyncio.get_running_loop().time() > until:
                raise Unavailable(retry_after_seconds=1)
            await asyncio.sleep(AGAIN_SECONDS)
