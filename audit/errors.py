"""The log's own small error tree. Messages say what to do and carry no value from an event, a record or a cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audit.claims import Over


class AuditError(Exception):
    """Root of what goes wrong in the log."""


class EventRefused(AuditError):
    """The event has no valid entry: a float, an unknown key, a missing `of`, too large. Fails alone, before the queue."""


class LogUnavailable(AuditError):
    """The entry could not be made durable, or nobody can tell. Nothing was acknowledged: refuse the request."""


class LogBusy(AuditError):
    """The writer's queue is full. Nothing was queued."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"the log's queue is full; try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class LogRefused(AuditError):
    """The log will not start on this store. The message says why and what to do."""


class OverBudget(Exception):
    """An allowance would be exceeded. Nothing was written and nothing counted. `over`: each one that was, never empty.

    It is no AuditError on purpose, as `Stale`: it is an answer of the log's, and no failure of it.
    """

    def __init__(self, over: tuple[Over, ...]) -> None:
        super().__init__("the entry would exceed an allowance")
        self.over = over


class Stale(Exception):
    """The decision was made at another fence than the log's. Nothing was written: decide again, at `fence`.

    It is no AuditError on purpose: a handler that turns a failing log into 503 must not swallow it.
    """

    def __init__(self, fence: int) -> None:
        super().__init__(f"the log's fence is {fence}")
        self.fence = fence
