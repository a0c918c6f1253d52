"""Step 1: whose request is it? One place looks at the canonical segments and at nothing else.

Litestar never sees a data-plane request, and the corridor never sees one of the control plane's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from gateway.edge.asgi import App, Receive, Scope, Send, start_and_stop
from gateway.edge.door import Door
from gateway.edge.lane import Lane
from gateway.wire.target import RESERVED, Target

Prefix: TypeAlias = tuple[str, ...]
"""A mount's segments: ("crm",) for `/crm`."""


class Dispatcher:
    """What answers on one listener: lanes for the data plane and for what is nobody's, an ASGI callable for the control plane.

    control:  the control plane's application, or None on a listener that does not offer it.
    prefixes: gives the catalogue's mounts as they are now; empty on a listener that does not offer the data plane.
    Promises: a reserved first segment never reaches the corridor; a prefix matches whole segments (`/crm` never takes `/crmx`);
    everything else is 404.
    """

    def __init__(self, door: Door, control: App | None, prefixes: Callable[[], Iterable[Prefix]]) -> None:
        self._door = door
        self._control = control
        self._prefixes = prefixes

    def lane(self, target: Target) -> Lane | None:
        """Gives what answers requests for the target; None for the control plane's."""
        segments = target.segments
        if segments and segments[0] in RESERVED:
            return self._door.absent if self._control is None else None
        for prefix in self._prefixes():
            if prefix and segments[: len(prefix)] == prefix:
                return self._door.corridor
        return self._door.absent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request of the control plane's, or the server's start and stop."""
        if self._control is not None:
            if scope["type"] == "lifespan":
                await self._control(scope, receive, send)
            else:
                await self._door.pass_on(self._control, scope, receive, send)
            return
        await start_and_stop(receive, send)
