"""Steps 1 and 10 on the data plane, between the protocol and the door: one request and its one answer, both whole.

No ASGI in between: its messages, its second task and its header lists cost as much as some of the corridor's own steps. The control
plane, which is Litestar's, keeps them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.edge.answer import Answered
from gateway.wire.target import Target

CERTIFICATE: Final = "gatehouse.certificate"
"""Where the names of a caller's certificate stand in an ASGI scope."""


@dataclass(slots=True)
class Asked:
    """One request as the protocol saw it. headers: names in lower case. certificate: names that the client's certificate proved."""

    method: str
    target: Target
    headers: Sequence[tuple[bytes, bytes]] = field(repr=False)
    peer: str
    certificate: Sequence[str] = ()


class Lane(Protocol):
    """What answers a listener's requests one by one."""

    def begin(self, asked: Asked, body: bytes, answered: Callable[[Answered], None]) -> None:
        """Sets to work on a whole request. `answered` is called once, later; never where this process ends first."""
        ...

    def sorry(self, asked: Asked) -> Answered:
        """Gives what is said to a caller for whom a stop no longer waits."""
        ...


Lanes = Callable[[Target], "Lane | None"]
"""Gives what answers requests for a target; None where an ASGI application does."""


class Line(Protocol):
    """The connection that a request came on, as far as its turn needs it."""

    loop: asyncio.AbstractEventLoop

    def write(self, turn: Turn, made: Answered) -> None:
        """Writes the answer, and lets the next request begin or the connection end."""
        ...

    def cut(self) -> None:
        """Ends the connection as it is."""
        ...


class Turn:
    """One request's turn on its connection. Stands where uvicorn has its request-response cycle, and has what uvicorn asks of one.

    Promises: the work goes on whatever becomes of the connection, and for `RECORD_SECONDS` after a stop's patience; one answer is
    written, or none.
    """

    __slots__ = (
        "_lane",
        "_line",
        "_tasks",
        "asked",
        "body",
        "disconnected",
        "keep_alive",
        "message_event",
        "response_complete",
        "response_started",
    )

    def __init__(self, line: Line, lane: Lane, asked: Asked, tasks: set[object], *, keep_alive: bool) -> None:
        """tasks: what a stop waits for, and cancels when it has waited long enough."""
        self._line = line
        self._lane = lane
        self._tasks = tasks
        self.asked = asked
        self.body: list[bytes] = []
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.message_event = _NOBODY_WAITS

    def begin(self) -> None:
        """Sets out, now that the request is whole."""
        self._tasks.add(self)
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self._lane.begin(self.asked, body, self._say)

    def _say(self, made: Answered) -> None:
        self._tasks.discard(self)
        if not self.response_started and not self.disconnected:
            self.response_started = True
            try:
                self._line.write(self, made)
            except Exception:
                self._line.cut()  # whoever waits for an answer hears that none comes
                raise

    def cancel(self, **_: object) -> None:
        """Called by a stop that has run out of patience: the caller is told that nobody can tell him now; the work goes on."""
        # Not at once: the stop is walking through the set that this turn leaves.
        self._line.loop.call_soon(lambda: self._say(self._lane.sorry(self.asked)))


class _Unheard:
    """Stands where a cycle has the event that its application waits for."""

    def set(self) -> None:
        """Nobody waits: the request was whole before its turn began."""


_NOBODY_WAITS: Final = _Unheard()
