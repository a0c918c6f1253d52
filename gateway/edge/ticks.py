"""Step 10, for answers that must not say by their time what they do not say by their words: they leave on a tick.

A record that is hidden costs more to refuse than one that is not there: it is read, taken apart and decided on. Whoever sends enough
requests would measure that, whatever the answers say. Counted from the request's beginning, both leave at the same moment. So do lists
of whoever may not see every record of the collection: those that were passed over cost as much as those that are shown.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.words.errors import Code

ALIKE: Final = frozenset({Code.NOT_FOUND, Code.VALUE_REFUSED})
"""What is said alike of a record that is hidden and of one that is not there: by its own address, and where a new one names it."""


def next_tick(start: float, now: float, tick: float) -> float:
    """Gives the first tick after `now`, of those that `start` began. Pure; all in seconds of one clock."""
    return start + ((now - start) // tick + 1) * tick


async def until_tick(start: float, tick: float) -> None:
    """Returns at the next tick of a request that began at `start`, the loop's time. tick: seconds from one to the next."""
    loop = asyncio.get_running_loop()
    ticked = loop.create_future()
    # By the loop's own clock and at an absolute time: a delay counted from now would be shorter by the work done since the loop woke.
    timer = loop.call_at(next_tick(start, loop.time(), tick), ticked.set_result, None)
    try:
        await ticked
    finally:
        timer.cancel()
