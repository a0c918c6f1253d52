"""What operators are told when the log cannot be written to: it began, and it is over. Requests meanwhile write no line of their own."""

from __future__ import annotations

import errno
import logging

from audit import LogUnavailable
from gateway.observe import event


def tell_outage(why: LogUnavailable | None, seconds: float) -> None:
    """Writes the line. Fits audit's OnOutage."""
    if why is None:
        event("log-recovered", seconds=round(seconds, 3))
        return
    error, cause = _names(why)
    event("log-failing", logging.ERROR, error=error, cause=cause)


def _names(why: BaseException) -> tuple[str, str | None]:
    """Gives the class of what it came from and, where the system or SQLite has a name for it, that: `ENOSPC`, `SQLITE_FULL`."""
    while why.__cause__ is not None:
        why = why.__cause__
    if isinstance(why, OSError):
        return type(why).__name__, errno.errorcode.get(why.errno or 0)
    return type(why).__name__, getattr(why, "sqlite_errorname", None)
