"""Checks a log from outside: one file, standard library only, no line shared with the writer. `python -m audit.verify LOG.db`.

It believes nothing but SHA-256: every hash, link, commitment and the canonical form are worked out again from stored bytes,
and the first break is named with its evidence. What it cannot know without a checkpoint kept elsewhere, it says in `window`.
The format is docs/entry-format.md; the golden files under tests/audit hold writer and verifier to the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

GENESIS = "0" * 64
_KEYS = {
    "action": str,
    "decision": (dict, type(None)),
    "details": (str, type(None)),
    "fence": int,
    "grant": (str, type(None)),
    "kind": str,
    "log": str,
    "of": (int, type(None)),
    "prev": str,
    "principal": dict,
    "purpose": (str, type(None)),
    "records": list,
    "request": str,
    "resource": (dict, type(None)),
    "seq": int,
    "time": str,
    "trace": (str, type(None)),
    "upstream": (dict, type(None)),
    "v": int,
}
_KINDS = frozenset({"intent", "outcome", "served", "denied", "change", "note"})
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z")
_REF = re.compile(r"([1-9]\d{0,15}):([0-9a-f]{64})")


class BreakKind(StrEnum):
    """How a log was broken."""

    EDITED = "edited"
    DELETED = "deleted"
    INSERTED = "inserted"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    TRUNCATED = "truncated"  # entries are gone from the end
    REWRITTEN = "rewritten"  # a receipt names another entry
    HEAD = "head"  # the head row is behind the entries, missing, or says otherwise
    TIME = "time"  # an entry is older than the one before it
    FENCE = "fence"  # the fence goes back, or rises by more than one
    PART = "part"  # a record's part is not what the entry committed to
    DETAILS = "details"  # the sealed details are not what the entry committed to
    FOREIGN = "foreign"  # an entry of another log
    MALFORMED = "malformed"  # linked, but not an entry of this format


class Unreadable(Exception):
    """There is nothing to verify: no such file, or not a log. No statement about the log is made."""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as stored: its row number, canonical bytes, stored hash, parts as (place, salt, body), details."""

    seq: int
    body: bytes
    hash: bytes
    parts: tuple[tuple[int, bytes, bytes], ...]
    details: bytes | None


@dataclass(frozen=True, slots=True)
class HeadRow:
    """The head row as stored; `hash` in hex."""

    log: str
    seq: int
    hash: str
    fence: int
    time: str


@dataclass(frozen=True, slots=True)
class Stored:
    """One moment of a store.

    rows:    gives all rows by row number, again at each call.
    strays:  parts and details that lie beside no entry: (table, seq).
    """

    head: HeadRow | None
    rows: Callable[[], Iterator[Row]]
    strays: Callable[[], Iterator[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the log is not what it claims. `evidence` holds numbers and hashes, never content."""

    kind: BreakKind
    seq: int
    evidence: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found. `entries` counts those that are sound, from the first on; `intact` is the verdict.

    stated: how many the head row names. anchor: the last entry that a receipt given vouches for, 0 where none does.
    """

    log: str
    entries: int
    hash: str
    fence: int
    first_time: str
    last_time: str
    found: Break | None
    window: str
    stated: int = 0
    anchor: int = 0

    @property
    def intact(self) -> bool:
        return self.found is None


@dataclass(frozen=True, slots=True)
class _Last:
    """The entry that was accepted last, and what the next must agree with."""

    seq: int = 0
    hash: str = GENESIS
    prev: str = ""
    time: str = ""
    fence: int = 0
    first_time: str = ""


class _Malformed(Exception):
    pass


def verify(stored: Stored, receipts: Sequence[str] = ()) -> Report:
    """Walks the whole log and stops at the first break.

    receipts: `seq:hash` references kept elsewhere (an Audit-Ref header); the log must contain each of them.
    Raises: Unreadable for a receipt that is none. Everything wrong with the log itself is in the report.
    """
    known = dict(_receipt(text) for text in receipts)
    last = _Last()
    found: Break | None = None
    for row in stored.rows():
        if stored.head is None or row.seq > stored.head.seq:
            found = _beyond(stored, row, last)
        else:
            found = _linked(stored, row, last) or _sound(stored.head, row, last)
        found = found or _kept(known, row)
        if found is not None:
            break
        last = _after(row, last)
    if found is None:
        found = _ended(stored, last, known)
    return _report(stored, last, found, known)


def _linked(stored: Stored, row: Row, last: _Last) -> Break | None:
    """Whether `row` is the entry that follows `last`; otherwise what happened, from the evidence in the whole store."""
    digest = _leaf(row.body)
    claim = _claims(row.body)
    follows = claim is not None and claim == (last.seq + 1, last.hash)
    if follows and row.seq == last.seq + 1 and digest == row.hash.hex():
        return None
    if (twin := _earlier_twin(stored, row)) is not None:
        return Break(BreakKind.DUPLICATED, row.seq, f"row {row.seq} repeats entry {twin} ({digest})")
    if claim is not None and last.seq and claim == (last.seq, last.prev):
        text = f"row {row.seq} ({digest}) and entry {last.seq} ({last.hash}) both follow {last.prev}"
        return Break(BreakKind.INSERTED, last.seq, text)
    if not follows and (place := _successor(stored, row, last)) is not None:
        if claim is not None and claim[0] > last.seq + 1 and _is_prev_of_any(stored, digest):
            text = f"entry {claim[0]} stands at row {row.seq}, entry {last.seq + 1} at row {place}"
            return Break(BreakKind.REORDERED, last.seq + 1, text)
        text = f"row {row.seq} ({digest}) does not follow {last.hash}; row {place} does"
        return Break(BreakKind.INSERTED, row.seq, text)
    if row.seq > last.seq + 1 or (claim is not None and claim[0] > last.seq + 1 and claim[1] != last.hash):
        upto = max(row.seq, claim[0] if claim else 0) - 1
        return Break(BreakKind.DELETED, last.seq + 1, f"after entry {last.seq} comes {upto + 1}")
    return _edited(stored, row, last, digest, claim is not None)


def _edited(stored: Stored, row: Row, last: _Last, digest: str, claims: bool) -> Break:
    """Which of two neighbours that do not fit was changed: the one that its other neighbour does not know either."""
    if digest != row.hash.hex():
        return Break(BreakKind.EDITED, row.seq, f"its bytes hash to {digest}, stored is {row.hash.hex()}")
    if _is_prev_of_any(stored, digest):
        if not claims:
            return Break(BreakKind.MALFORMED, row.seq, "it says no seq and prev")
        if last.seq:
            text = f"its bytes hash to {last.hash}, entry {row.seq} follows another"
            return Break(BreakKind.EDITED, last.seq, text)
    return Break(BreakKind.EDITED, row.seq, f"its bytes hash to {digest} and do not follow {last.hash}")


def _sound(head: HeadRow, row: Row, last: _Last) -> Break | None:
    """Whether a linked entry keeps the format's promises and its parts keep its commitments."""
    try:
        entry = _parse(row.body)
    except _Malformed as error:
        return Break(BreakKind.MALFORMED, row.seq, str(error))
    if entry["log"] != head.log:
        return Break(
            BreakKind.FOREIGN,
            row.seq,
            f"it belongs to log {_short(entry['log'])}, the head to {_short(head.log)}",
        )
    if entry["time"] < last.time:
        return Break(BreakKind.TIME, row.seq, f"{entry['time']} comes after {last.time}")
    if not last.fence <= entry["fence"] <= last.fence + 1:
        return Break(BreakKind.FENCE, row.seq, f"fence {entry['fence']} comes after {last.fence}")
    if entry["of"] is not None and not 1 <= entry["of"] < row.seq:
        return Break(BreakKind.MALFORMED, row.seq, "`of` is no earlier entry")
    return _beside(row, entry)


def _beside(row: Row, entry: dict[str, Any]) -> Break | None:
    if [place for place, _, _ in row.parts] != list(range(len(entry["records"]))):
        text = f"parts beside it: {len(row.parts)}, commitments in it: {len(entry['records'])}"
        return Break(BreakKind.PART, row.seq, text)
    for (place, salt, body), committed in zip(row.parts, entry["records"], strict=True):
        digest = hashlib.sha256(b"\x02" + salt + body).hexdigest()
        if len(salt) != 32 or digest != committed:
            return Break(
                BreakKind.PART, row.seq, f"part {place} hashes to {digest}, committed is {_said(committed)}"
            )
    digest_or_none = None if row.details is None else hashlib.sha256(row.details).hexdigest()
    if digest_or_none != entry["details"]:
        beside = f"details hash to {digest_or_none}" if digest_or_none else "no details lie beside it"
        text = f"{beside}, committed is {_said(entry['details'])}"
        return Break(BreakKind.DETAILS, row.seq, text)
    return None


def _beyond(stored: Stored, row: Row, last: _Last) -> Break:
    """A row that the head does not cover."""
    if stored.head is None:
        return Break(BreakKind.HEAD, 0, "the head row is missing")
    if (found := _linked(stored, row, last)) is not None:
        return found
    text = f"the head row names entry {stored.head.seq}, yet entry {row.seq} ({_leaf(row.body)}) follows it"
    return Break(BreakKind.HEAD, row.seq, text)


def _ended(stored: Stored, last: _Last, known: dict[int, str]) -> Break | None:
    """Whether the log ends where its head, its strays and the receipts say."""
    head = stored.head
    if head is None:
        return Break(BreakKind.HEAD, 0, "the head row is missing")
    if head.seq > last.seq:
        return Break(BreakKind.TRUNCATED, last.seq + 1, f"the head row names entry {head.seq} ({head.hash})")
    # Before what else the head says: a head that was set back with the entries differs too, and would hide what is gone.
    for seq in sorted(known):
        if seq > last.seq:
            return Break(BreakKind.TRUNCATED, last.seq + 1, f"a receipt names entry {seq} ({known[seq]})")
    if head.hash != last.hash:
        return Break(
            BreakKind.EDITED, last.seq, f"its bytes hash to {last.hash}, the head row names {head.hash}"
        )
    if (head.fence, head.time) != (last.fence, last.time):
        fences = f"fence {head.fence}, the last entry {last.fence}" if head.fence != last.fence else ""
        times = f"time {_moment(head.time)}, the last entry {last.time}" if head.time != last.time else ""
        text = "the head row says " + "; ".join(filter(None, (fences, times)))
        return Break(BreakKind.HEAD, last.seq, text)
    for table, seq in stored.strays():
        return Break(BreakKind.PART, seq, f"a row in {table} lies beside no entry")
    return None


def _kept(known: dict[int, str], row: Row) -> Break | None:
    digest = _leaf(row.body)
    if known.get(row.seq, digest) == digest:
        return None
    return Break(BreakKind.REWRITTEN, row.seq, f"a receipt names {known[row.seq]}, the log holds {digest}")


def _after(row: Row, last: _Last) -> _Last:
    entry = _parse(row.body)
    first = last.first_time or entry["time"]
    return _Last(row.seq, _leaf(row.body), last.hash, entry["time"], entry["fence"], first)


def _report(stored: Stored, last: _Last, found: Break | None, known: dict[int, str]) -> Report:
    log = _short(stored.head.log) if stored.head else ""  # what somebody else wrote there is not repeated
    anchor = max((seq for seq in known if seq <= last.seq), default=0) if found is None else 0
    if last.seq == 0:
        window = "No entry was found sound, so nothing is said of any: what there was, only a receipt kept elsewhere shows."
    elif last.seq > anchor:
        window = (
            f"Entries {anchor + 1} to {last.seq} rest on the store alone: without a checkpoint kept outside, "
            "a rewrite of all of them, or their removal together with the head row's, would not show."
        )
    else:
        window = "Nothing rests on the store alone: the receipts given reach to the last entry."
    stated = stored.head.seq if stored.head else 0
    return Report(
        log, last.seq, last.hash, last.fence, last.first_time, last.time, found, window, stated, anchor
    )


# What the whole store says about one row. Run only once something is wrong, so a scan is affordable.


def _earlier_twin(stored: Stored, row: Row) -> int | None:
    return next(
        (other.seq for other in stored.rows() if other.seq < row.seq and other.body == row.body), None
    )


def _successor(stored: Stored, row: Row, last: _Last) -> int | None:
    """The row of the entry that truly follows `last`, if it stands later than `row`."""
    wanted = (last.seq + 1, last.hash)
    return next((r.seq for r in stored.rows() if r.seq > row.seq and _claims(r.body) == wanted), None)


def _is_prev_of_any(stored: Stored, digest: str) -> bool:
    if stored.head is not None and stored.head.hash == digest:
        return True
    return any(
        claim is not None and claim[1] == digest for claim in map(_claims, (r.body for r in stored.rows()))
    )


# Reading bytes strictly.


def _leaf(body: bytes) -> str:
    return hashlib.sha256(b"\x00" + body).hexdigest()


@lru_cache(maxsize=4)
def _claims(body: bytes) -> tuple[int, str] | None:
    """The seq and prev that some bytes claim, read leniently: they are evidence, not yet an entry. None where they claim none."""
    try:
        entry = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or type(entry.get("seq")) is not int or type(entry.get("prev")) is not str:
        return None
    return entry["seq"], entry["prev"]


@lru_cache(maxsize=4)  # a row is looked at more than once while it is the current one
def _parse(body: bytes) -> dict[str, Any]:
    """An entry of format 1 from its canonical bytes: exact keys, exact types, no number but integers, canonical again."""
    try:
        entry = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_no_number,
            parse_int=_integer,
            parse_constant=_no_number,
        )
        again = _canonical(entry).encode("utf-8")
    except (ValueError, RecursionError):
        raise _Malformed("it is no strict JSON") from None
    if again != body:
        raise _Malformed("its bytes are not canonical")
    if not isinstance(entry, dict) or entry.keys() != _KEYS.keys():
        raise _Malformed("its keys are not those of the format")
    for key, wanted in _KEYS.items():
        if not isinstance(entry[key], wanted) or (isinstance(entry[key], bool) and wanted is not bool):  # type: ignore[arg-type]  # a table of types
            raise _Malformed(f"`{key}` has the wrong type")
    if entry["v"] != 1 or entry["kind"] not in _KINDS or not _TIME.fullmatch(entry["time"]):
        raise _Malformed("its version, kind or time is not of the format")
    return entry


def _canonical(value: Any) -> str:
    """RFC 8785 for values without floats: keys by UTF-16 code units, the shortest escapes, no blanks."""
    out = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # json sorts by code point. That is UTF-16 order too, unless a character beyond U+FFFF is there.
    return out if out.isascii() or max(out) <= "\uffff" else _in_utf16_order(value)


def _in_utf16_order(value: Any) -> str:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return (
            "{"
            + ",".join(
                json.dumps(key, ensure_ascii=False) + ":" + _in_utf16_order(value[key]) for key in keys
            )
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(_in_utf16_order, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(value := int(digits)) > 2**53 - 1:
        raise ValueError("an integer beyond 2^53 - 1")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(result := dict(pairs)) != len(pairs):
        raise ValueError("a key twice")
    return result


def _no_number(_: str) -> Any:
    raise ValueError("a number that is no integer")


def _receipt(text: str) -> tuple[int, str]:
    if (match := _REF.fullmatch(text)) is None:
        raise Unreadable("a receipt reads seq:hash, the hash in 64 hex digits")
    return int(match[1]), match[2]


def _said(digest: object) -> str:
    """A digest as a report may hold it: nothing that a store made by somebody else says in its place."""
    if digest is None:
        return "to none"
    is_one = isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest)
    return str(digest) if is_one else "of an unknown form"


def _moment(time: str) -> str:
    return time if _TIME.fullmatch(time) else "of an unknown form"


def _short(log: str) -> str:
    return log if re.fullmatch(r"[0-9a-f]{32}", log) else "of an unknown form"


# A SQLite file, read without its owner's help and without disturbing it.


@contextmanager
def sqlite_snapshot(path: Path | str) -> Iterator[Stored]:
    """One moment of a log in a SQLite file, also while its owner writes. Raises: Unreadable."""
    path = Path(path)
    if not path.is_file():
        raise Unreadable(f"there is no file {path}")
    connection = sqlite3.connect(
        path.resolve().as_uri() + "?mode=ro", uri=True, isolation_level=None, timeout=10
    )
    try:
        connection.execute("BEGIN")
        yield Stored(
            _sqlite_head(connection), lambda: _sqlite_rows(connection), lambda: _sqlite_strays(connection)
        )
    except (
        sqlite3.Error,
        UnicodeDecodeError,
    ) as error:  # the second: its word on a damaged schema quotes that
        raise Unreadable(
            "the file is not a log, or SQLite cannot read it: try its own integrity check"
        ) from error
    finally:
        connection.close()


def _sqlite_head(connection: sqlite3.Connection) -> HeadRow | None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"head", "entries", "parts", "details"} <= tables:  # a view may have no end
        raise Unreadable("the file is not a log: a table of it is missing, or is a view")
    found = connection.execute("SELECT log, seq, hash, fence, time FROM head").fetchall()
    if len(found) != 1:
        return None
    log, seq, digest, fence, time = _typed(found[0], (str, int, bytes, int, str))
    return HeadRow(log, seq, digest.hex(), fence, time)


def _typed(row: Sequence[Any], types: tuple[type | tuple[type, ...], ...]) -> Sequence[Any]:
    """The row, where its columns are of the types of the log's own tables, which hold nothing else."""
    if not all(map(isinstance, row, types)):
        raise Unreadable("a column holds another type than the log's own tables can: somebody made this file")
    return row


def _sqlite_parts(connection: sqlite3.Connection) -> Iterator[Sequence[Any]]:
    for row in connection.execute("SELECT seq, n, salt, body FROM parts ORDER BY seq, n"):
        yield _typed(row, (int, int, bytes, bytes))


def _sqlite_rows(connection: sqlite3.Connection) -> Iterator[Row]:
    parts = _sqlite_parts(connection)
    part = next(parts, None)
    query = "SELECT e.seq, e.body, e.hash, d.body FROM entries e LEFT JOIN details d ON d.seq = e.seq ORDER BY e.seq"
    for row in connection.execute(query):
        seq, body, digest, details = _typed(row, (int, bytes, bytes, (bytes, type(None))))
        mine = []
        while part is not None and part[0] <= seq:
            if part[0] == seq:
                mine.append((part[1], part[2], part[3]))
            part = next(parts, None)
        yield Row(seq, body, digest, tuple(mine), details)


def _sqlite_strays(connection: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    yield from connection.execute(
        "SELECT 'parts', seq FROM parts WHERE seq NOT IN (SELECT seq FROM entries)"
        " UNION ALL SELECT 'details', seq FROM details WHERE seq NOT IN (SELECT seq FROM entries) ORDER BY 2 LIMIT 1"
    )


def verify_sqlite(path: Path | str, receipts: Sequence[str] = ()) -> Report:
    """`verify` on a SQLite file. Raises: Unreadable."""
    with sqlite_snapshot(path) as stored:
        return verify(stored, receipts)


def text(report: Report) -> str:
    """A report for people, in a few lines."""
    lines = [f"log      {report.log}"]
    if report.entries:
        lines.append(f"time     {report.first_time} to {report.last_time}, fence {report.fence}")
    if report.found is not None:
        found = report.found
        lines.append(f"BROKEN   {found.kind.value} at entry {found.seq}: {found.evidence}")
        lines.append(
            f"         sound before it: {report.entries} of the {report.stated} entries that the head row names, "
            f"up to {report.entries}:{report.hash}; the check ended there"
        )
    else:
        lines.append("INTACT   every entry, link, record part and the head agree")
        lines.append(f"entries  {report.entries}, up to {report.entries}:{report.hash}")
    return "\n".join([*lines, f"window   {report.window}"])


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where the log is intact, 1 where it is broken, 2 where there is nothing to read."""
    parser = argparse.ArgumentParser(
        prog="python -m audit.verify", description="Verify a Gatehouse log in a SQLite file."
    )
    parser.add_argument("path", help="the log's SQLite file")
    parser.add_argument(
        "--receipt", action="append", default=[], metavar="SEQ:HASH", help="an Audit-Ref to be found"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    given = parser.parse_args(arguments)
    try:
        report = verify_sqlite(given.path, given.receipt)
    except Unreadable as error:
        sys.stderr.write(f"cannot verify: {error}\n")
        return 2
    out = json.dumps({"intact": report.intact, **asdict(report)}) if given.json else text(report)
    sys.stdout.write(out + "\n")
    return 0 if report.intact else 1


if __name__ == "__main__":
    sys.exit(main())
