"""Step 1: whose request is it? One ASGI callable looks at the canonical segments and at nothing else.

Litestar never sees a data-plane request, and the corridor never sees one of the control plane's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from gateway.edge.asgi import App, Receive, Scope, Send
from gateway.edge.door import Door
from gateway.wire.target import RESERVED, Target

Prefix: TypeAlias = tuple[str, ...]
"""A mount's segments: ("crm",) for `/crm`."""


class Dispatcher:
    """The ASGI callable of one listener.

    control:  the control plane's application, or None on a listener that does not offer it.
    prefixes: gives the catalogue's mounts as they are now; empty on a listener that does not offer the data plane.
    Promises: a reserved first segment never reaches the corridor; a prefix matches whole segments (`/crm` never takes `/crmx`);
    everything else is 404.
    """

    def __init__(self, door: Door, control: App | None, prefixes: Callable[[], Iterable[Prefix]]) -> None:
        self._door = door
        self._control = control
        self._prefixes = prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        target: Target = scope["gatehouse.target"]
        first = target.segments[0] if target.segments else ""
        if first in RESERVED:
            if self._control is not None:
                await self._door.pass_on(self._control, scope, receive, send)
                return
        elif any(target.segments[: len(prefix)] == prefix for prefix in self._prefixes() if prefix):
            await self._door.serve(scope, receive, send)
            return
        await self._door.absent(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._control is not None:
            await self._control(scope, receive, send)
            return
        for done in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            await receive()
            await send({"type": done})
