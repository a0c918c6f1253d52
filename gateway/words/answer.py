"""Step 7's outcome: what an upstream said, before anything of it was decided on."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.words.record import Alarm, ClosedPage, ClosedRecord
from gateway.words.resource import OCTETS


@dataclass(frozen=True, slots=True)
class Answer:
    """What an upstream said to one piece of work.

    status: the upstream's. record: for READ, and for changes where it answered with the record. page: for LIST.
    headers: those that the route lets pass, links already rewritten or dropped. created: the new record's id after a create.
    For a status that is not 2xx record and page are None: nothing of such a body is ever passed on.
    """

    status: int
    record: ClosedRecord | None = None
    page: ClosedPage | None = None
    headers: tuple[tuple[str, str], ...] = ()
    created: str | None = None
    alarms: tuple[Alarm, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """One record's bytes, whole. Nobody here has read them, and they may be anybody's values: they go into an answer and nowhere else.

    status: the upstream's; where it is not 200 there are none. media_type: one of the route's own, or OCTETS.
    """

    status: int
    data: bytes = field(default=b"", repr=False)
    media_type: str = OCTETS
