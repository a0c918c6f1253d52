"""The end of tasks that a stop waits for no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

CANCEL_SECONDS: Final = 1.0
"""How long a cancelled task is waited for: it lets go of what it holds, or the process's end takes that from it."""


async def cut_short(tasks: Iterable[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Cancels those that have not ended and gives them. One that does not listen to that holds nobody up."""
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=CANCEL_SECONDS)
    return left
