"""Step 7's outcome: what an upstream said, before anything of it was decided on."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.words.record import Alarm, ClosedPage, ClosedRecord


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
