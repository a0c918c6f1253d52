"""The control door: what serving needs, and how each of it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from time import monotonic
from typing import Any

from audit import AuditError, Figures
from gateway.control.given import ControlDeps
from gateway.store import touch
from gateway.words.errors import GatehouseError

CHECK_SECONDS = 2.0
KEPT_SECONDS = 1.0
"""How long one look is good for: whoever asks oftener costs us nothing."""
FAILURE_SECONDS = 10.0
"""How long a commit that failed speaks against the log. Then one request may find out: nobody else would, while nothing is sent here."""


class State(StrEnum):
    """How one thing that serving needs is."""

    OK = "ok"
    DOWN = "down"
    LATE = "late"  # it did not answer in time
    DEGRADED = "degraded"  # it serves, and somebody should look: the next start would be refused, or an edit was, or waits

    @property
    def serves(self) -> bool:
        """Whether a request can be answered with it."""
        return self in (State.OK, State.DEGRADED)


class Readiness:
    """Looks at what serving needs: the log, each store, a policy in force, the keys. Gives names and states, never a reason's text."""

    def __init__(self, deps: ControlDeps, clock: Callable[[], float] = monotonic) -> None:
        self._deps = deps
        self._clock = clock
        self._looked = float("-inf")
        self._states: dict[str, State] = {}
        self._turn = asyncio.Lock()

    async def states(self) -> Mapping[str, State]:
        """Gives each thing's state, in order. One look a second at most, shared by all who ask."""
        async with self._turn:
            if self._clock() - self._looked >= KEPT_SECONDS:
                self._states = await self._look()
                self._looked = self._clock()
            return self._states

    async def down(self) -> tuple[str, ...]:
        """Gives the names of what is not there now; empty when all is. This is all that strangers learn."""
        return tuple(name for name, state in (await self.states()).items() if not state.serves)

    async def standing(self) -> tuple[bool, Mapping[str, Any]]:
        """Gives whether it serves, and what operators see on the admin port: every state, and the digest of the policy in force."""
        states = await self.states()
        ready = all(state.serves for state in states.values())
        return ready, {"ready": ready, "checks": states, "bundle": self._deps.bundle()}

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that is looked at, in order."""
        return ("log", *self._deps.stores, "policy", "keys")

    async def _look(self) -> dict[str, State]:
        deps = self._deps
        looks: list[Awaitable[object]] = [deps.log.head(), *(s.read(touch) for s in deps.stores.values())]
        log, *stores = await asyncio.gather(*(_there(look) for look in looks))
        states = [_log(log, deps.log.figures()), *stores, self._policy(), self._keys()]
        return dict(zip(self.names, states, strict=True))

    def _policy(self) -> State:
        if self._deps.bundle() is None:
            return State.DOWN
        looked_for = self._deps.edit_refused() or self._deps.edit_waits()
        return State.DEGRADED if looked_for else State.OK

    def _keys(self) -> State:
        return State.OK if self._deps.key_file_there() else State.DEGRADED


def _log(read: State, figures: Figures) -> State:
    """A log that can be read and not be written to is as good as none."""
    failing = figures.failing_seconds is not None and figures.failing_seconds < FAILURE_SECONDS
    return State.DOWN if figures.ended or failing else read


async def _there(look: Awaitable[object]) -> State:
    """Whether it answered in time; why it did not is for the component's own log line, never for whoever asks."""
    try:
        await asyncio.wait_for(look, CHECK_SECONDS)
    except TimeoutError:
        return State.LATE
    except (AuditError, GatehouseError):
        return State.DOWN
    return State.OK
