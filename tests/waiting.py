"""Waiting for what signals nothing: another thread's count, another process's lines, another task's work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Returns when it holds. Fails where it does not in that time."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it did not come to pass"
        await asyncio.sleep(0.01)
