"""The end of a process that was asked to stop: what still holds it up when all that a stop waits for is over is not waited for."""

from __future__ import annotations

import logging
import os
import threading
from typing import Final

from gateway.observe import event

LEAVE_SECONDS: Final = 4.0
"""After `Server`'s own time: the last entries, the stores and their connections are closed in it."""

_TELL_SECONDS: Final = 1.0


def ends_after(seconds: float) -> None:
    """Ends this process with 0 when it is still there so long, and `LEAVE_SECONDS` more, from now. Like a kill: nothing that was
    acknowledged is lost, and what was begun and not recorded is settled at the next start.

    A thread, and no task: what holds a process up may be what its event loop waits for (a store's thread, a name that is looked up).
    """
    at_last = threading.Timer(seconds + LEAVE_SECONDS, _end)
    at_last.daemon = True  # one that ends in time does not wait for it
    at_last.start()


def _end() -> None:
    # Told by a thread of its own: a reader of stderr who has stopped reading would hold up even this.
    telling = threading.Thread(target=_tell, daemon=True)
    telling.start()
    telling.join(_TELL_SECONDS)
    os._exit(0)


def _tell() -> None:
    event("ended-anyway", logging.WARNING)
