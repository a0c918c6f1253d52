"""Service, inside: what the log says of bundles: which one is in force, and the entries by which another comes in force, waits or is
refused. The log is the truth: what a folder or a row says besides is only looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from audit import AuditEvent, Head, Kind, Log, LogBusy, LogUnavailable, RecordPart, StoredEntry
from gateway.policy import COMPILED, Mark, Standing
from gateway.words.errors import Code, Unavailable
from gateway.words.ids import new_id
from gateway.words.json import JsonObject

ACTIVATE: Final = "bundle:activate"
WAIT: Final = "bundle:wait"
REFUSE: Final = "bundle:refuse"
SYSTEM: Final = {"application": "system:gatehouse", "person": None, "roles": [], "proven": ["process"]}
_MARK: Final = b'"action":"bundle:activate"'  # as the canonical form spells it


class How(StrEnum):
    """Why a bundle could come in force. Activations of before this was said have the action's name in its place."""

    FIRST = "first"  # nothing was in force before it in this log
    UPGRADE = "upgrade"  # the one before it was put in force by an older program, which did not keep it
    NARROW = "narrow"  # proven to widen nobody's access
    AGAIN = "again"  # it is in force already; nobody could tell whether another had come after it
    APPROVED = "approved"  # a second person confirmed it
    WAIVED = "waived"  # the demonstration asks for no second person


@dataclass(frozen=True, slots=True)
class Last:
    """The last activation. bound: it was made under today's law, and only what it names may be served by."""

    seq: int
    digest: str
    bound: bool


async def activations(
    log: Log, after: int, upto: int
) -> AsyncIterator[tuple[StoredEntry, Mapping[str, Any]]]:
    """Gives the activations above `after`, up to `upto`, the last first, each with what its part says. Raises what the log raises."""
    while (found := await log.latest(_MARK, after, upto)) is not None:
        if _last(found) is not None:
            yield found, orjson.loads(found.parts[0].body) if found.parts else {}
        upto = found.seq - 1


async def last_activation(log: Log, after: int, upto: int) -> Last | None:
    """Gives the last activation above `after`, up to `upto`; None where there is none. Raises Unavailable."""
    try:
        async for entry, _ in activations(log, after, upto):
            return _last(entry)
    except (LogUnavailable, LogBusy) as error:
        raise Unavailable(Code.LOG_UNAVAILABLE) from error
    return None


def _last(entry: StoredEntry) -> Last | None:
    said = orjson.loads(entry.bytes)
    if said["action"] != ACTIVATE or said["kind"] != Kind.CHANGE or said["principal"] != SYSTEM:
        return None
    decision = said["decision"]
    return Last(entry.seq, str(decision["bundle"]), decision["reason"] != ACTIVATE)


async def standing_at(log: Log, standing: Standing, head: Head) -> Last | None:
    """Gives the activation that a log stands at, None in one that has none; reads no more of it than was added since it was asked last.

    Raises Unavailable.
    """
    mark = await standing.read(head.log)
    try:
        known = None if mark.upto > head.seq else await log.entry(mark.upto)
        if known is None or known.hash != mark.hash:
            mark = Mark()  # of another log, or of one that went another way since
        found = await last_activation(log, mark.upto, head.seq)
        if found is None and mark.seq and (entry := await log.entry(mark.seq)) is not None:
            found = _last(entry)
    except (LogUnavailable, LogBusy) as error:
        raise Unavailable(Code.LOG_UNAVAILABLE) from error
    await standing.write(head.log, Mark(0 if found is None else found.seq, head.seq, head.hash))
    return found


def said_by(
    action: str, digest: str, before: str | None, *, how: str, said: JsonObject | None = None
) -> AuditEvent:
    """Gives the entry that says what became of a bundle. said: members of its part, besides both digests."""
    done = action == ACTIVATE
    verdict = {"allowed": done, "reason": how, "by": "process", "rule": None, "bundle": digest}
    return AuditEvent(
        kind=Kind.CHANGE if done else Kind.NOTE,
        request=new_id("req"),
        principal=SYSTEM,
        action=action,
        resource={"upstream": "gatehouse", "type": "bundle"},
        records=(RecordPart({"reference": digest, "before": before, **(said or {})}),),
        decision={**verdict, "facts": None, "engine": COMPILED},
    )
