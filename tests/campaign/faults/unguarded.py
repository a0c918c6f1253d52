"""A build with the guard removed: the log takes every event and is not waited for. Campaigns must go red on it.

Everything else is the product: events are queued, linked and committed as ever, only nobody learns whether they were.
"""

from __future__ import annotations

import asyncio
from typing import Any

from audit import AuditError, AuditEvent, Log, Receipt
from gateway.cli import main

__all__ = ["main"]

_append = Log.append
_tasks: set[asyncio.Task[None]] = set()


async def _forget(log: Log, event: AuditEvent, **asked: Any) -> Receipt:
    if event.action.startswith(("gateway:", "bundle:")):  # a start needs a true fence
        return await _append(log, event, **asked)
    task = asyncio.ensure_future(_quietly(log, event))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return Receipt(1, "0" * 64, "2026-01-01T00:00:00.000000Z", log.fence)


async def _quietly(log: Log, event: AuditEvent) -> None:
    try:
        await _append(log, event)
    except AuditError:
        return  # the mutation itself: nobody hears of it


Log.append = _forget  # type: ignore[method-assign]  # the mutation
