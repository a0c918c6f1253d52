"""A log in somebody else's hands: whatever stands in its file, verification gives a report or says that there is nothing to read.

Two laws beside the one of all parsers. What was changed is found, as far as the format says that it can be: with the receipt of the last
entry, always. And what a report says is numbers, hashes and our own words: an auditor reads it in a terminal.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.verify import (
    HeadRow,
    Report,
    Row,
    Stored,
    Unreadable,
    sqlite_snapshot,
    text,
    verify,
    verify_sqlite,
)
from tests.fuzz.laws import NEEDLE, fuzz, held, in_time, mutated, odd_json

GOLDEN = Path(__file__).parents[1] / "audit" / "golden" / "format_1.sqlite"
WHOLE = GOLDEN.read_bytes()
with tempfile.TemporaryDirectory() as _folder:  # SQLite leaves files beside what it reads
    _copy = Path(_folder, "log.sqlite")
    _copy.write_bytes(WHOLE)
    with sqlite_snapshot(_copy) as _stored:
        assert _stored.head is not None
        HEAD: HeadRow = _stored.head
        ROWS: tuple[Row, ...] = tuple(_stored.rows())
RECEIPT = f"{HEAD.seq}:{HEAD.hash}"
FIELDS = sorted(json.loads(ROWS[0].body))
PLAIN = re.compile(r"[ -~]*")


def leaf(body: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + body).digest()


def canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def linked(rows: Sequence[Row], head: HeadRow) -> tuple[list[Row], HeadRow]:
    """The rows numbered and chained anew, and the head after them, as somebody with the store's rights would write them."""
    made: list[Row] = []
    prev, entry = "0" * 64, {"fence": 0, "time": ""}
    for seq, row in enumerate(rows, 1):
        body = row.body
        try:
            entry = json.loads(body)
            body = canonical({**entry, "seq": seq, "prev": prev})
        except (ValueError, TypeError):
            entry = {}
        made.append(replace(row, seq=seq, body=body, hash=leaf(body)))
        prev = leaf(body).hex()
    fence, time = entry.get("fence"), entry.get("time")
    return made, replace(
        head,
        seq=len(made),
        hash=prev,
        fence=fence if type(fence) is int else 0,
        time=time if type(time) is str else "",
    )


def known(rows: Sequence[Row], head: HeadRow | None) -> bool:
    """True for what test_a_report_holds_no_text_of_the_store says: content that verification repeats."""
    said = [] if head is None else [head.log]
    for row in rows:
        try:
            entry = json.loads(row.body)
            said += [entry["details"], *entry["records"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return not all(s is None or (isinstance(s, str) and re.fullmatch(r"[0-9a-f]{0,64}", s)) for s in said)


@st.composite
def stores(draw: st.DrawFn) -> tuple[list[Row], HeadRow | None]:
    """The golden log after some changes, now and then linked anew."""
    rows: list[Row] = list(ROWS)
    head: HeadRow | None = HEAD
    for _ in range(draw(st.integers(0, 3))):
        if not rows:
            break
        at = draw(st.integers(0, len(rows) - 1))
        row = rows[at]
        match draw(
            st.sampled_from(
                ("field", "field", "bytes", "drop", "double", "swap", "seq", "hash", "part", "details")
            )
        ):
            case "field":
                entry = json.loads(ROWS[at % len(ROWS)].body)
                entry[draw(st.sampled_from([*FIELDS, "more"]))] = draw(
                    odd_json
                    | st.sampled_from([[NEEDLE], {"a": NEEDLE}, "note", "2026-11-21T09:30:00.000000Z", -1])
                )
                rows[at] = replace(row, body=canonical(entry))
            case "bytes":
                rows[at] = replace(
                    row,
                    body=draw(
                        mutated(
                            [row.body],
                            [b"{", b'"', b"\xff", b"\\ud800", b"1e9", b"[" * 3000, b"9" * 5000],
                            st.binary(max_size=3),
                            2,
                        )
                    ),
                )
            case "drop":
                del rows[at]
            case "double":
                rows.insert(at, row)
            case "swap":
                to = draw(st.integers(0, len(rows) - 1))
                rows[at], rows[to] = rows[to], rows[at]
            case "seq":
                rows[at] = replace(row, seq=draw(st.integers(-1, 12)))
            case "hash":
                rows[at] = replace(row, hash=draw(st.binary(max_size=33)))
            case "part":
                parts = draw(
                    st.sampled_from(
                        [
                            (),
                            row.parts[:1],
                            (*row.parts, (0, bytes(32), b"{}")),
                            tuple((n, s, b + b" ") for n, s, b in row.parts),
                        ]
                    )
                )
                rows[at] = replace(row, parts=parts)
            case _:
                rows[at] = replace(row, details=draw(st.none() | st.binary(max_size=3)))
    match draw(st.sampled_from(("stays", "stays", "linked", "linked", "gone", "odd"))):
        case "linked":
            rows, head = linked(rows, HEAD)
        case "gone":
            head = None
        case "odd":
            head = replace(
                HEAD,
                **draw(
                    st.fixed_dictionaries(
                        {},
                        optional={
                            "seq": st.integers(-1, 12),
                            "fence": st.integers(-1, 9),
                            "hash": st.sampled_from(["", "0" * 64]),
                            "time": st.sampled_from(["", "z"]),
                            "log": st.sampled_from(["", "0" * 32]),
                        },
                    )
                ),
            )
    return rows, head


@fuzz(80, 40_000)
@given(store=stores(), kept=st.sampled_from([(), (RECEIPT,), (RECEIPT,), ("1:" + "0" * 64,), ("0:x",)]))
def test_a_store_gives_a_report_and_what_was_changed_is_found(
    store: tuple[list[Row], HeadRow | None], kept: tuple[str, ...]
) -> None:
    rows, head = store
    if known(rows, head):
        return
    stored = Stored(head, lambda: iter(rows), lambda: iter(()))

    def whole() -> Report:
        report = verify(stored, kept)
        if not report.intact:
            raise _Broken(report)
        return report

    found = held(whole, Unreadable, _Broken)
    same = (tuple(rows), head) == (ROWS, HEAD)
    if isinstance(found, Report) and kept == (RECEIPT,):
        assert tuple(rows[: len(ROWS)]) == ROWS  # what follows the receipt's entry is the window
    if same and kept in ((), (RECEIPT,)):
        assert isinstance(found, Report)
    if isinstance(found, _Broken):
        for line in text(found.report).split("\n"):
            assert PLAIN.fullmatch(line), line
            assert line.startswith(("log ", "time ", "BROKEN ", "    ", "window ")), line


class _Broken(Exception):
    """A report that names a break. Its text is what a person is shown."""

    def __init__(self, report: Report) -> None:
        super().__init__(text(report))
        self.report = report


@pytest.mark.parametrize("where", ["log", "records", "details"])
def test_a_report_holds_no_text_of_the_store(where: str) -> None:
    forged = f"{NEEDLE}\nINTACT   every entry, link, record part and the head agree"
    rows, head = list(ROWS), HEAD
    if where == "log":
        head = replace(HEAD, log=forged)
    else:
        at = next(n for n, row in enumerate(ROWS) if row.parts)
        entry = json.loads(ROWS[at].body)
        entry[where] = [forged] * len(entry["records"]) if where == "records" else forged
        rows[at] = replace(ROWS[at], body=canonical(entry))
        rows, head = linked(rows, HEAD)
    report = verify(Stored(head, lambda: iter(rows), lambda: iter(())))
    assert not report.intact
    assert "\nINTACT" not in text(report)
    assert NEEDLE not in text(report)


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@fuzz(45, 20_000)
@given(
    places=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1) | st.integers(0, 120), st.binary(min_size=1, max_size=4)), max_size=5),
    cut=st.none() | st.none() | st.integers(0, len(WHOLE)),
)  # fmt: skip
def test_a_damaged_file_gives_a_report_or_is_unreadable(
    shelf: Path, places: list[tuple[int, bytes]], cut: int | None
) -> None:
    data = bytearray(WHOLE)
    for at, new in places:
        data[at : at + len(new)] = new
    path = shelf / "damaged.sqlite"
    path.write_bytes(bytes(data[: len(WHOLE)])[:cut])
    found = held(lambda: verify_sqlite(path, [RECEIPT]), Unreadable)
    if isinstance(found, Report) and found.intact:
        with sqlite_snapshot(path) as stored:
            assert tuple(stored.rows()) == ROWS


def loose(path: Path, **values: Any) -> Path:
    """A file with the log's tables but no types, holding the golden log with some columns replaced in every row."""
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; CREATE TABLE entries (seq, body, hash);"
        "CREATE TABLE parts (seq, n, salt, body); CREATE TABLE details (seq, body); CREATE TABLE head (one, log, seq, hash, fence, time);"
    )
    for row in ROWS:
        entry = {"seq": row.seq, "body": row.body, "hash": row.hash} | _of("entries", values)
        connection.execute("INSERT INTO entries VALUES (:seq, :body, :hash)", entry)
        for n, salt, body in row.parts:
            part = {"seq": row.seq, "n": n, "salt": salt, "body": body} | _of("parts", values)
            connection.execute("INSERT INTO parts VALUES (:seq, :n, :salt, :body)", part)
        if row.details is not None:
            connection.execute(
                "INSERT INTO details VALUES (:seq, :body)",
                {"seq": row.seq, "body": row.details} | _of("details", values),
            )
    head = {
        "log": HEAD.log,
        "seq": HEAD.seq,
        "hash": bytes.fromhex(HEAD.hash),
        "fence": HEAD.fence,
        "time": HEAD.time,
    } | _of("head", values)
    connection.execute("INSERT INTO head VALUES (1, :log, :seq, :hash, :fence, :time)", head)
    connection.commit()
    connection.close()
    return path


def _of(table: str, values: dict[str, Any]) -> dict[str, Any]:
    return {
        name.removeprefix(f"{table}_"): value
        for name, value in values.items()
        if name.startswith(f"{table}_")
    }


def test_a_file_without_types_is_read_as_the_log_that_it_holds(shelf: Path) -> None:
    assert verify_sqlite(loose(shelf / "loose.sqlite"), [RECEIPT]).intact


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("head_hash", "text"), ("head_seq", "text"), ("head_log", None), ("entries_hash", "text"), ("entries_body", "text"),
        ("entries_seq", None), ("parts_salt", "text"), ("details_body", 7),
    ],
)  # fmt: skip
def test_columns_of_another_type_are_a_break_or_unreadable(shelf: Path, column: str, value: Any) -> None:
    path = loose(shelf / "loose.sqlite", **{column: value})
    with in_time():
        try:
            assert not verify_sqlite(path, [RECEIPT]).intact
        except Unreadable:
            return


def test_one_damaged_byte_of_the_schema_is_unreadable(shelf: Path) -> None:
    data = bytearray(WHOLE)
    data[955] = 0x80  # within the text of a CREATE statement
    path = shelf / "damaged.sqlite"
    path.write_bytes(data)
    with pytest.raises(Unreadable):
        verify_sqlite(path)


def test_a_view_without_an_end_is_no_log(shelf: Path) -> None:
    path = shelf / "endless.sqlite"
    connection = sqlite3.connect(loose(path))
    connection.executescript(
        "DROP TABLE entries; CREATE VIEW entries AS WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n FROM r)"
        " SELECT n AS seq, x'00' AS body, x'00' AS hash FROM r;"
    )
    connection.close()
    # In a process of its own: SQLite does not come back to be interrupted.
    done = subprocess.run([sys.executable, "-m", "audit.verify", path], timeout=3, capture_output=True)
    assert done.returncode in (1, 2)
