"""The control door: `/healthz` (the process answers) and `/readyz` (what serving needs is there). No credential, no entry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from litestar import Response, route
from litestar.di import NamedDependency

from audit import AuditError
from gateway.control.deps import AnyRequest, ControlDeps, call_of
from gateway.control.keys import answer
from gateway.control.shapes import Alive, Ready
from gateway.store import touch
from gateway.words.errors import Code, GatehouseError, Unavailable

CHECK_SECONDS = 2.0
KEPT_SECONDS = 1.0
"""How long one look is good for: whoever asks oftener costs us nothing."""


class Readiness:
    """Looks at what serving needs: the log, each store, a policy in force."""

    def __init__(self, deps: ControlDeps, clock: Callable[[], float] = monotonic) -> None:
        self._deps = deps
        self._clock = clock
        self._looked = float("-inf")
        self._down: tuple[str, ...] = ()
        self._turn = asyncio.Lock()

    async def down(self) -> tuple[str, ...]:
        """Gives the names of what is not there now; empty when all is. One look a second at most, shared by all who ask."""
        async with self._turn:
            if self._clock() - self._looked >= KEPT_SECONDS:
                self._down = await self._look()
                self._looked = self._clock()
            return self._down

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that is looked at, in order."""
        return ("log", *self._deps.stores, "policy")

    async def _look(self) -> tuple[str, ...]:
        stores = self._deps.stores
        looks: list[Awaitable[object]] = [self._deps.log.head(), *(s.read(touch) for s in stores.values())]
        there = await asyncio.gather(*(_there(look) for look in looks))
        there.append(self._deps.bundle() is not None)
        return tuple(name for name, up in zip(self.names, there, strict=True) if not up)


async def _there(look: Awaitable[object]) -> bool:
    """Whether it answered in time; why it did not is for the component's own log line, never for whoever asks."""
    try:
        await asyncio.wait_for(look, CHECK_SECONDS)
    except (AuditError, GatehouseError, TimeoutError):
        return False
    return True


@route("/healthz", http_method=["GET", "HEAD"], name="alive")
async def alive(request: AnyRequest) -> Response[bytes]:
    """Answers while the process lives, whatever it lacks."""
    return answer(call_of(request), 200, Alive(), None)


@route("/readyz", http_method=["GET", "HEAD"], name="ready")
async def ready(request: AnyRequest, readiness: NamedDependency[Readiness]) -> Response[bytes]:
    """Answers 200 when all is there, else 503 naming what is not."""
    down = await readiness.down()
    if down:
        raise Unavailable(Code.NOT_READY, down=" ".join(down))
    return answer(call_of(request), 200, Ready(True, dict.fromkeys(readiness.names, "ok")), None)
