"""Step 1 and the last yard of step 10: who is slow is let go, before what he holds is missed by others.

A head, a body and an idle connection have their times in protocol.py. Here is what shows only from outside of a connection: an answer
that nobody takes, what all unread answers and all unfinished bodies hold together, and that every place is taken.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final, Protocol, TypeVar

from gateway.wire.limits import Limits

_AT_ONCE: Final = 64
"""Of those that wait, one in so many goes where room is needed: looking for the longest waiting one each time would cost too much."""


class Watched(Protocol):
    """What is seen of a connection."""

    @property
    def exchange(self) -> object:
        """The request that it is at, or was at last; None before the first."""
        ...

    @property
    def unread(self) -> int:
        """Bytes of answers that this process still holds, because the client does not take them."""
        ...

    @property
    def unfinished(self) -> int:
        """Bytes of a body that is not whole yet."""
        ...

    @property
    def waiting(self) -> bool:
        """True where no request is whole and no answer under way: idle, or at its head."""
        ...

    @property
    def made(self) -> float:
        """When it was made, by the loop's clock."""
        ...

    def let_go(self) -> None:
        """Ends it at once, whatever is still to be written."""
        ...


Connection = TypeVar("Connection", bound=Watched)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen first: of which request, when, and when it is too late."""

    exchange: object
    since: float
    until: float


class Shedding:
    """Looks at a listener's connections, some times a second. Used from one event loop; costs a request nothing.

    Promises: an answer that is not taken within `answer_seconds`, and one second more for each `answer_bytes_a_second` of it, ends
    its connection, however steadily it is read; where unread answers or unfinished bodies together are more than their bounds,
    the oldest go until they are not, and the newest stays.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._unread: dict[Watched, _Seen] = {}
        self._unfinished: dict[Watched, _Seen] = {}

    def look(self, connections: Iterable[Watched]) -> None:
        """Looks once."""
        now, limits = self._clock(), self._limits
        unread: dict[Watched, _Seen] = {}
        unfinished: dict[Watched, _Seen] = {}
        for connection in tuple(connections):
            if left := connection.unread:
                seen = _first(
                    self._unread, connection, now, limits.answer_seconds + left / limits.answer_bytes_a_second
                )
                if seen.until <= now:
                    connection.let_go()
                    continue
                unread[connection] = seen
            if connection.unfinished:
                unfinished[connection] = _first(self._unfinished, connection, now, 0)
        _bound(unread, lambda connection: connection.unread, limits.max_unread_bytes)
        _bound(unfinished, lambda connection: connection.unfinished, limits.max_unfinished_bytes)
        self._unread, self._unfinished = unread, unfinished


def _first(before: dict[Watched, _Seen], connection: Watched, now: float, seconds: float) -> _Seen:
    seen = before.get(connection)
    if seen is None or seen.exchange is not connection.exchange:
        return _Seen(connection.exchange, now, now + seconds)
    return seen


def _bound(seen: dict[Watched, _Seen], held: Callable[[Watched], int], most: int) -> None:
    """Lets go of the oldest until what is held together is within its bound; never of the newest."""
    together = sum(map(held, seen))
    if together <= most:
        return
    for connection in sorted(seen, key=lambda one: seen[one].since)[:-1]:
        together -= held(connection)
        del seen[connection]
        connection.let_go()
        if together <= most:
            return


def unsent(transport: asyncio.BaseTransport) -> int:
    """Gives how many bytes the kernel holds for a connection whose client has not taken them; 0 where it does not say.

    For TLS, whose transport does not know what the one below it still holds.
    """
    bound = transport.get_extra_info("socket")
    if bound is None:  # it has just ended
        return 0
    try:
        told = fcntl.ioctl(bound.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return int(struct.unpack("i", told)[0])


def make_room(connections: Collection[Connection], newest: Connection | None = None) -> bool:
    """Lets go of connections that wait for a request or are slow to send one: who never had an answer first, the oldest of them.

    False where there is none: each is being answered, or sends a body, and has its time for that.
    """
    waiting = [one for one in connections if one.waiting and one is not newest]
    for one in nsmallest(
        len(waiting) // _AT_ONCE + 1, waiting, key=lambda one: (one.exchange is not None, one.made)
    ):
        one.let_go()
    return bool(waiting)
