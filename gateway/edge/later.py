"""An application that is made while others are served already."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.edge.asgi import App, Receive, Scope, Send, start_and_stop
from gateway.observe import event


class Later:
    """Stands where an application will stand. Begins to make it when the server starts, in a thread; whoever asks before waits for it.

    make: gives the application, which needs no start or stop of its own; blocks for as long as it takes to load. loaded: is called then.
    Promises: it is made once; where that fails, every request is answered as a defect (`/readyz` too), and it is told once.
    """

    def __init__(self, make: Callable[[], App], loaded: Callable[[], None] = lambda: None) -> None:
        self._make = make
        self._loaded = loaded
        self._made: asyncio.Future[App] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or the server's start and stop."""
        made = self._begun()
        if scope["type"] == "lifespan":
            await start_and_stop(receive, send)
        else:
            # One that is called off calls nothing off for the others.
            await (await asyncio.shield(made))(scope, receive, send)

    def _begun(self) -> asyncio.Future[App]:
        if self._made is None:
            self._made = asyncio.ensure_future(asyncio.to_thread(self._load))
            self._made.add_done_callback(_told)
        return self._made

    def _load(self) -> App:
        made = self._make()
        self._loaded()
        return made


def _told(made: asyncio.Future[App]) -> None:
    if not made.cancelled() and (error := made.exception()) is not None:
        event("control-plane-absent", logging.ERROR, error=type(error).__name__)
