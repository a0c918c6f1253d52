"""Event and head in, entry out: pure. One hash serves the chain and, later, the tree.

Hashes are SHA-256 with a domain byte in front: 0x00 an entry (the leaf hash of RFC 9162 section 2.1.1), 0x01 is kept for
the tree's nodes, 0x02 a record part's commitment. `details` are digested without one: they are sealed bytes, not a form of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from audit.canon import MAX_INTEGER, canonical, dumps, plain
from audit.errors import EventRefused
from audit.event import FORMAT_VERSION, AuditEvent, Head, Json, Kind, StoredPart

SALT_BYTES = 32
MAX_ENTRY_BYTES = 1024 * 1024
MAX_PART_BYTES = 1024 * 1024
MAX_DETAILS_BYTES = 16 * 1024 * 1024
MAX_RECORDS = 10_000

_PRINCIPAL = frozenset({"application", "person", "roles", "proven"})
_RESOURCE = frozenset({"upstream", "type"})
_DECISION = frozenset({"allowed", "reason", "by", "rule", "bundle", "facts", "engine"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """An event, checked and in canonical bytes but for what only its place in the log can give.

    pieces: the six runs of the entry's bytes between which fence, log, prev, seq and time stand. They are in the order
    of the sorted keys, so that linking is one join and the head is locked for as short as can be.
    told: kind and reason, for the count.
    """

    pieces: tuple[bytes, bytes, bytes, bytes, bytes, bytes]
    parts: tuple[StoredPart, ...]
    details: bytes | None
    of: int | None
    told: tuple[Kind, str | None]


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """An entry with its place: what a store writes. `hash` is 32 bytes."""

    seq: int
    body: bytes
    hash: bytes
    parts: tuple[StoredPart, ...]
    details: bytes | None


def prepare(event: AuditEvent, dice: Callable[[int], bytes]) -> Prepared:
    """Checks `event`, salts and commits to its records, and renders all that its place does not change.

    Raises: EventRefused, before anything is queued or written.
    """
    _check(event)
    parts = tuple(_part(record.body, dice) for record in event.records)
    digest = None if event.details is None else sha256(event.details).hexdigest()
    records: list[Json] = [commitment(part).hex() for part in parts]
    first = dumps({"action": _text(event.action), "decision": plain(event.decision), "details": digest})
    grant = dumps(_text_or_none(event.grant))
    of = b"null" if event.of is None else b"%d" % event.of
    fourth = dumps(
        {
            "principal": plain(event.principal),
            "purpose": _text_or_none(event.purpose),
            "records": records,
            "request": _text(event.request),
            "resource": plain(event.resource),
        }
    )
    last = dumps(
        {"trace": _text_or_none(event.trace), "upstream": plain(event.upstream), "v": FORMAT_VERSION}
    )
    pieces = (
        first[:-1] + b',"fence":',
        b',"grant":%s,"kind":"%s","log":"' % (grant, event.kind.value.encode()),
        b'","of":%s,"prev":"' % of,
        b'",' + fourth[1:-1] + b',"seq":',
        b',"time":"',
        b'",' + last[1:],
    )
    if sum(map(len, pieces)) > MAX_ENTRY_BYTES:
        raise EventRefused(f"the entry would be larger than {MAX_ENTRY_BYTES} bytes")
    reason = None if event.decision is None else event.decision.get("reason")
    told = (event.kind, reason if isinstance(reason, str) else None)
    return Prepared(pieces, parts, event.details, event.of, told)


def link(head: Head, event: Prepared, time: str, fence: int) -> tuple[Entry, Head]:
    """The entry that follows `head`, and the head after it. `time` and `fence` are already no less than the head's.

    Raises: EventRefused where `of` is not the seq of an earlier entry.
    """
    if event.of is not None and event.of > head.seq:
        raise EventRefused("`of` names an entry that does not exist yet")
    seq = head.seq + 1
    one, two, three, four, five, six = event.pieces
    body = b"".join(
        (
            *(one, b"%d" % fence, two, head.log.encode(), three, head.hash.encode()),
            *(four, b"%d" % seq, five, time.encode(), six),
        )
    )
    digest = leaf(body)
    return Entry(seq, body, digest, event.parts, event.details), Head(
        seq, digest.hex(), fence, time, head.log
    )


def leaf(body: bytes) -> bytes:
    """An entry's hash over its canonical bytes. Source: RFC 9162 section 2.1.1."""
    return sha256(b"\x00" + body).digest()


def commitment(part: StoredPart) -> bytes:
    """SHA-256(0x02 ‖ salt ‖ body). The salt has a fixed length, so the boundary between the two cannot move."""
    return sha256(b"\x02" + part.salt + part.body).digest()


def timestamp(microseconds: int) -> str:
    """Microseconds since 1970 as `2026-11-21T09:30:00.000000Z`: fixed width, so that text order is time order."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def after(head: Head, microseconds: int) -> str:
    """The time of what follows a head: the clock's, and never before the head's."""
    return max(timestamp(microseconds), head.time)


def _part(body: Mapping[str, Json], dice: Callable[[int], bytes]) -> StoredPart:
    salt = dice(SALT_BYTES)
    if len(salt) != SALT_BYTES:
        raise EventRefused(f"the dice gave no {SALT_BYTES} bytes")
    out = canonical(body)
    if len(out) > MAX_PART_BYTES:
        raise EventRefused(f"a record's part would be larger than {MAX_PART_BYTES} bytes")
    return StoredPart(salt, out)


def _check(event: AuditEvent) -> None:
    if not isinstance(event.kind, Kind):
        raise EventRefused("`kind` is none of the six")
    _keys("principal", event.principal, _PRINCIPAL)
    _keys("resource", event.resource, _RESOURCE)
    _keys("decision", event.decision, _DECISION)
    if event.upstream is not None and not isinstance(event.upstream, Mapping):
        raise EventRefused("`upstream` is no object")
    if event.principal is None:
        raise EventRefused("`principal` is missing")
    if event.kind is Kind.OUTCOME and event.of is None:
        raise EventRefused("an outcome names its intent in `of`")
    if event.of is not None and (type(event.of) is not int or not 1 <= event.of <= MAX_INTEGER):
        raise EventRefused("`of` is no entry's number")
    if len(event.records) > MAX_RECORDS:
        raise EventRefused(f"an entry speaks of at most {MAX_RECORDS} records")
    if event.details is not None and (
        type(event.details) is not bytes or len(event.details) > MAX_DETAILS_BYTES
    ):
        raise EventRefused(f"`details` are at most {MAX_DETAILS_BYTES} sealed bytes")


def _keys(name: str, value: Mapping[str, Json] | None, known: frozenset[str]) -> None:
    if value is None:
        return
    if type(value) is not dict and not isinstance(value, Mapping):
        raise EventRefused(f"`{name}` is no object")
    if not known.issuperset(value):
        raise EventRefused(f"`{name}` has a key that the entry format does not know")


def _text(value: str) -> str:
    if not isinstance(value, str) or not value:
        raise EventRefused("`request` and `action` are texts that are not empty")
    return str.__str__(value)


def _text_or_none(value: str | None) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise EventRefused("`trace`, `purpose` and `grant` are texts or null")
    return str.__str__(value)
