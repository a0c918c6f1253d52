"""Step 2 of the request path, argon2id: slow on purpose, so in threads of its own, a few at once and no more.

Source: RFC 9106; the parameters are OWASP's for argon2id (19 MiB, two passes, one lane). Every secret has 256 random bits, so
they need not be dearer: some 40 ms of a processor and 19 MiB for each computation under way.
"""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.words.errors import Code, Refused

T = TypeVar("T")
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
RETRY_SECONDS = 1
"""What a caller is told to wait where all computations are taken."""


class Proofs:
    """Hashes and compares, at most `at_once` at a time. Who comes when all are taken is told to come again: nobody waits in a line
    that a stranger could fill."""

    def __init__(self, at_once: int) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._free = threading.BoundedSemaphore(at_once)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="argon2id")
        # What a secret without a row is compared with: drawn, not computed, so that no text hashes to it.
        salt, digest = (base64.b64encode(os.urandom(n)).rstrip(b"=").decode() for n in (16, 32))
        self.nobody = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"

    async def hash(self, secret: bytes) -> str:
        """Gives what a secret is kept by. Raises Refused(TOO_MANY)."""
        return await self._computed(lambda: self._hasher.hash(secret))

    async def equal(self, kept: str, secret: bytes) -> bool:
        """Tells whether a secret is the one that was kept. Raises Refused(TOO_MANY)."""
        return await self._computed(lambda: self._equal(kept, secret))

    def _equal(self, kept: str, secret: bytes) -> bool:
        try:
            return self._hasher.verify(kept, secret)
        except (VerificationError, InvalidHashError):
            return False

    async def _computed(self, work: Callable[[], T]) -> T:
        if not self._free.acquire(blocking=False):
            raise Refused(Code.TOO_MANY, retry_after_seconds=RETRY_SECONDS)

        def freed() -> T:
            try:
                return work()
            finally:
                self._free.release()

        # Shielded: a caller who leaves ends no computation, and a place is free only when its thread is.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._threads, freed))
