"""Verification names what was done to a log: kind, entry, evidence; on both stores, by an attacker with the database's rights."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit import Kind, Log
from audit.verify import (
    Break,
    BreakKind,
    HeadRow,
    Report,
    Row,
    Stored,
    Unreadable,
    main,
    verify,
    verify_sqlite,
)
from audit.verify_postgres import verify_postgres
from tests.audit.builders import Place, SqlitePlace, event, part

HEX = re.compile(r"\b[0-9a-f]{64}\b")
Change = tuple[Any, ...]


async def written(place: Place, count: int = 6) -> list[str]:
    """A log of `count` entries, two parts each, the fourth with details; gives the receipts."""
    log = await Log.open(place.store(), create=True)
    receipts = [
        (
            await log.append(
                event(
                    request=f"req_{n}",
                    records=(part(f"ref-a{n}"), part(f"ref-b{n}")),
                    details=b"sealed" if n == 4 else None,
                ),
                raises_fence=n == 3,
            )
        ).ref
        for n in range(1, count + 1)
    ]
    await log.close()
    return receipts


def leaf(body: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + body).digest()


def body_of(place: Place, seq: int) -> bytes:
    return bytes(place.ask("SELECT body FROM entries WHERE seq = $1", seq)[0][0])


def changed(body: bytes, **fields: Any) -> bytes:
    return json.dumps(
        {**json.loads(body), **fields}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()


def rewrite(seq: int, body: bytes) -> list[Change]:
    """The row replaced together with its stored hash."""
    return [("UPDATE entries SET body = $1, hash = $2 WHERE seq = $3", body, leaf(body), seq)]


def shift(table: str, above: int, by: int) -> list[Change]:
    """Renumbers rows, past the primary key."""
    return [
        (f"UPDATE {table} SET seq = seq + 1000000 + {by} WHERE seq > {above}",),
        (f"UPDATE {table} SET seq = seq - 1000000 WHERE seq > 1000000",),
    ]


def shift_all(above: int, by: int) -> list[Change]:
    return [change for table in ("entries", "parts", "details") for change in shift(table, above, by)]


def edited(place: Place) -> list[Change]:
    return [("UPDATE entries SET body = $1 WHERE seq = 3", body_of(place, 3).replace(b"req_3", b"req_x"))]


def edited_with_its_hash(place: Place) -> list[Change]:
    return rewrite(3, body_of(place, 3).replace(b"req_3", b"req_x"))


def edited_link(place: Place) -> list[Change]:
    return rewrite(3, changed(body_of(place, 3), prev="ab" * 32))


def edited_number(place: Place) -> list[Change]:
    return rewrite(3, changed(body_of(place, 3), seq=9))


def edited_stored_hash(place: Place) -> list[Change]:
    return [("UPDATE entries SET hash = $1 WHERE seq = 3", leaf(b"other"))]


def edited_last_with_its_hash(place: Place) -> list[Change]:
    return rewrite(6, body_of(place, 6).replace(b"req_6", b"req_x"))


def deleted(place: Place) -> list[Change]:
    return [(f"DELETE FROM {table} WHERE seq = 3",) for table in ("entries", "parts")]


def deleted_and_closed_up(place: Place) -> list[Change]:
    return [*deleted(place), *shift_all(3, -1), ("UPDATE head SET seq = 5",)]


def deleted_first(place: Place) -> list[Change]:
    return [(f"DELETE FROM {table} WHERE seq = 1",) for table in ("entries", "parts")]


def last_renumbered(place: Place) -> list[Change]:
    return [*shift_all(5, 1), ("UPDATE head SET seq = 7",)]


def inserted(place: Place) -> list[Change]:
    forged = body_of(place, 3).replace(b"req_3", b"req_x")
    return [
        *shift_all(2, 1),
        ("INSERT INTO entries VALUES (3, $1, $2)", forged, leaf(forged)),
        ("INSERT INTO parts SELECT 3, n, salt, body FROM parts WHERE seq = 4",),
        ("UPDATE head SET seq = 7",),
    ]


def inserted_without_a_link(place: Place, **more: Any) -> list[Change]:
    forged = changed(body_of(place, 3), prev="ab" * 32, **more)
    return [
        *shift_all(2, 1),
        ("INSERT INTO entries VALUES (3, $1, $2)", forged, leaf(forged)),
        ("UPDATE head SET seq = 7",),
    ]


def inserted_with_a_later_number(place: Place) -> list[Change]:
    return inserted_without_a_link(place, seq=5)


def reordered(place: Place) -> list[Change]:
    return [
        change
        for table in ("entries", "parts")
        for change in (
            (f"UPDATE {table} SET seq = 1000000 WHERE seq = 3",),
            (f"UPDATE {table} SET seq = 3 WHERE seq = 4",),
            (f"UPDATE {table} SET seq = 4 WHERE seq = 1000000",),
        )
    ]


def bodies_swapped(place: Place) -> list[Change]:
    return [
        ("UPDATE entries SET body = $1 WHERE seq = 3", body_of(place, 4)),
        ("UPDATE entries SET body = $1 WHERE seq = 4", body_of(place, 3)),
    ]


def duplicated(place: Place) -> list[Change]:
    return [
        *shift_all(3, 1),
        ("INSERT INTO entries SELECT 4, body, hash FROM entries WHERE seq = 3",),
        ("INSERT INTO parts SELECT 4, n, salt, body FROM parts WHERE seq = 3",),
        ("UPDATE head SET seq = 7",),
    ]


def truncated(place: Place) -> list[Change]:
    return [(f"DELETE FROM {table} WHERE seq > 4",) for table in ("entries", "parts", "details")]


def head_rolled_back(place: Place) -> list[Change]:
    digest, time = (
        place.ask("SELECT hash FROM entries WHERE seq = 4")[0][0],
        json.loads(body_of(place, 4))["time"],
    )
    return [("UPDATE head SET seq = 4, hash = $1, time = $2", digest, time)]


def head_rolled_back_over_an_edit(place: Place) -> list[Change]:
    edit = ("UPDATE entries SET body = $1 WHERE seq = 5", body_of(place, 5).replace(b"req_5", b"req_x"))
    return [*head_rolled_back(place), edit]


def head_with_another_fence(place: Place) -> list[Change]:
    return [("UPDATE head SET fence = 0",)]


def head_with_another_time(place: Place) -> list[Change]:
    return [("UPDATE head SET time = '2999-01-01T00:00:00.000000Z'",)]


def head_gone(place: Place) -> list[Change]:
    return [("DELETE FROM head",)]


def part_swapped(place: Place) -> list[Change]:
    salt, body = place.ask("SELECT salt, body FROM parts WHERE seq = 2 AND n = 0")[0]
    return [("UPDATE parts SET salt = $1, body = $2 WHERE seq = 5 AND n = 0", salt, body)]


def part_edited(place: Place) -> list[Change]:
    body = bytes(place.ask("SELECT body FROM parts WHERE seq = 5 AND n = 1")[0][0])
    return [("UPDATE parts SET body = $1 WHERE seq = 5 AND n = 1", body.replace(b"masked", b"hidden"))]


def part_removed(place: Place) -> list[Change]:
    return [("DELETE FROM parts WHERE seq = 5 AND n = 1",)]


def part_added(place: Place) -> list[Change]:
    return [("INSERT INTO parts SELECT seq, 2, salt, body FROM parts WHERE seq = 5 AND n = 1",)]


def part_of_no_entry(place: Place) -> list[Change]:
    return [("INSERT INTO parts SELECT 99, n, salt, body FROM parts WHERE seq = 5 AND n = 1",)]


def part_before_the_first(place: Place) -> list[Change]:
    return [("INSERT INTO parts SELECT 0, n, salt, body FROM parts WHERE seq = 5 AND n = 1",)]


def details_of_no_entry(place: Place) -> list[Change]:
    return [("INSERT INTO details SELECT 99, body FROM details WHERE seq = 4",)]


def details_edited(place: Place) -> list[Change]:
    return [("UPDATE details SET body = $1 WHERE seq = 4", b"other")]


def details_removed(place: Place) -> list[Change]:
    return [("DELETE FROM details WHERE seq = 4",)]


@pytest.mark.parametrize(
    ("attack", "kind", "seq"),
    [
        (edited, BreakKind.EDITED, 3),
        (edited_with_its_hash, BreakKind.EDITED, 3),
        (edited_link, BreakKind.EDITED, 3),
        (edited_number, BreakKind.EDITED, 3),
        (edited_stored_hash, BreakKind.EDITED, 3),
        (edited_last_with_its_hash, BreakKind.EDITED, 6),
        (deleted, BreakKind.DELETED, 3),
        (deleted_and_closed_up, BreakKind.DELETED, 3),
        (deleted_first, BreakKind.DELETED, 1),
        (last_renumbered, BreakKind.DELETED, 6),
        (inserted, BreakKind.INSERTED, 3),
        (inserted_without_a_link, BreakKind.INSERTED, 3),
        (inserted_with_a_later_number, BreakKind.INSERTED, 3),
        (reordered, BreakKind.REORDERED, 3),
        (bodies_swapped, BreakKind.REORDERED, 3),
        (duplicated, BreakKind.DUPLICATED, 4),
        (truncated, BreakKind.TRUNCATED, 5),
        (head_rolled_back, BreakKind.HEAD, 5),
        (head_rolled_back_over_an_edit, BreakKind.EDITED, 5),
        (head_with_another_fence, BreakKind.HEAD, 6),
        (head_with_another_time, BreakKind.HEAD, 6),
        (head_gone, BreakKind.HEAD, 0),
        (part_swapped, BreakKind.PART, 5),
        (part_edited, BreakKind.PART, 5),
        (part_removed, BreakKind.PART, 5),
        (part_added, BreakKind.PART, 5),
        (part_of_no_entry, BreakKind.PART, 99),
        (part_before_the_first, BreakKind.PART, 0),
        (details_of_no_entry, BreakKind.PART, 99),
        (details_edited, BreakKind.DETAILS, 4),
        (details_removed, BreakKind.DETAILS, 4),
    ],
    ids=lambda value: value.__name__ if callable(value) and not isinstance(value, BreakKind) else "",
)
async def test_verification_names_what_was_done(
    place: Place, attack: Callable[[Place], list[Change]], kind: BreakKind, seq: int
) -> None:
    await written(place)
    assert place.verify().found is None
    place.tamper(*attack(place))
    report = place.verify()
    assert report.found is not None
    assert (report.found.kind, report.found.seq) == (kind, seq)
    assert not report.intact
    assert report.found.evidence
    assert "ref-" not in report.found.evidence  # a reference stands in a part, never in evidence


def emptied(_: Place) -> list[Change]:
    return [(f"DELETE FROM {table}",) for table in ("entries", "parts", "details", "head")]


def head_of_another_log(_: Place) -> list[Change]:
    return [("UPDATE head SET log = $1", "0" * 32)]


@pytest.mark.parametrize(
    ("attack", "wrong_receipt"),
    [(lambda _: [], True), (head_gone, False), (emptied, False), (head_of_another_log, False)],
    ids=["a receipt of another first entry", "no head row", "all tables emptied", "the head of another log"],
)
async def test_a_log_of_which_nothing_is_sound_is_not_said_to_rest_on_receipts(
    place: Place, attack: Callable[[Place], list[Change]], wrong_receipt: bool
) -> None:
    receipts = await written(place)
    place.tamper(*attack(place))
    for given in ([f"1:{'a' * 64}"],) if wrong_receipt else ([], receipts):
        report = place.verify(*given)
        assert (report.intact, report.entries) == (False, 0)
        assert report.window.startswith("No entry was found sound")


async def test_a_log_without_entries_is_not_said_to_rest_on_receipts(place: Place) -> None:
    await (await Log.open(place.store(), create=True)).close()
    report = place.verify()
    assert (report.intact, report.entries) == (True, 0)
    assert report.window.startswith("No entry was found sound")


async def test_what_is_cut_off_with_its_head_shows_against_a_receipt_kept_elsewhere(place: Place) -> None:
    receipts = await written(place)
    assert place.verify(*receipts).intact
    digest, time = (
        place.ask("SELECT hash FROM entries WHERE seq = 4")[0][0],
        json.loads(body_of(place, 4))["time"],
    )
    place.tamper(*truncated(place), ("UPDATE head SET seq = 4, hash = $1, time = $2", digest, time))
    assert place.verify().intact  # the window that every report states
    found = place.verify(receipts[5]).found
    assert found is not None
    assert (found.kind, found.seq) == (BreakKind.TRUNCATED, 5)
    assert found.evidence.endswith(f"({receipts[5].split(':')[1]})")


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (head_with_another_fence, r"the head row says fence 0, the last entry 1"),
        (
            head_with_another_time,
            r"the head row says time 2999-01-01T00:00:00\.000000Z, the last entry 20\d\d-[^ ]+Z",
        ),
        (
            lambda _: [("UPDATE head SET fence = 0, time = $1", "li.wei@example.com")],
            r"the head row says fence 0, the last entry 1; time of an unknown form, the last entry 20\d\d-[^ ]+Z",
        ),
    ],
    ids=["fence", "time", "both, and a time that is none"],
)
async def test_a_head_that_says_otherwise_is_told_with_what_differs(
    place: Place, attack: Callable[[Place], list[Change]], says: str
) -> None:
    await written(place)
    place.tamper(*attack(place))
    found = place.verify().found
    assert found is not None
    assert re.fullmatch(says, found.evidence)


async def test_what_is_cut_off_shows_against_a_receipt_before_what_else_the_head_says(place: Place) -> None:
    receipts = await written(place)
    (digest,) = place.ask("SELECT hash FROM entries WHERE seq = 5")[0]
    place.tamper(*[(f"DELETE FROM {table} WHERE seq > 5",) for table in ("entries", "parts", "details")])
    for more in (", hash = $1", ", fence = 0"):
        place.tamper((f"UPDATE head SET seq = 5{more}", *([digest] if "$1" in more else [])))
        found = place.verify(receipts[5]).found
        assert found is not None
        assert (found.kind, found.seq) == (BreakKind.TRUNCATED, 6)
        assert found.evidence == f"a receipt names entry 6 ({receipts[5].split(':')[1]})"


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (part_removed, r"parts beside it: 1, commitments in it: 2"),
        (details_removed, r"no details lie beside it, committed is [0-9a-f]{64}"),
        (
            lambda _: [("INSERT INTO details VALUES (5, $1)", b"more")],
            r"details hash to [0-9a-f]{64}, committed is to none",
        ),
    ],
    ids=["a part gone", "details gone", "details too many"],
)
async def test_what_lies_beside_an_entry_is_told_in_words(
    place: Place, attack: Callable[[Place], list[Change]], says: str
) -> None:
    await written(place)
    place.tamper(*attack(place))
    found = place.verify().found
    assert found is not None
    assert re.fullmatch(says, found.evidence)


async def test_a_log_rewritten_to_its_head_shows_against_a_receipt_kept_elsewhere(place: Place) -> None:
    receipts = await written(place)
    place.tamper(*rewritten_tail(place, 3, request="req_x"))
    assert place.verify().intact
    assert place.verify(receipts[1]).intact
    found = place.verify(receipts[4]).found
    assert found is not None
    assert (found.kind, found.seq) == (BreakKind.REWRITTEN, 5)
    assert receipts[4].split(":")[1] in HEX.findall(found.evidence)


def rewritten_tail(place: Place, start: int, **fields: Any) -> list[Change]:
    """Every entry from `start` on forged anew, links and head with them; what only a checkpoint outside can show."""
    prev = leaf(body_of(place, start - 1)).hex()
    changes: list[Change] = []
    digest = b""
    for seq in range(start, 7):
        new = changed(body_of(place, seq), prev=prev, **(fields if seq == start else {}))
        digest = leaf(new)
        prev = digest.hex()
        changes += rewrite(seq, new)
    return [*changes, ("UPDATE head SET hash = $1", digest)]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"time": "2020-01-01T00:00:00.000000Z"}, BreakKind.TIME),
        ({"time": "2999-01-01 00:00:00.000000Z"}, BreakKind.MALFORMED),
        ({"fence": 0}, BreakKind.FENCE),
        ({"fence": 9}, BreakKind.FENCE),
        ({"log": "0" * 32}, BreakKind.FOREIGN),
        ({"v": 2}, BreakKind.MALFORMED),
        ({"kind": "other"}, BreakKind.MALFORMED),
        ({"of": 4}, BreakKind.MALFORMED),
        ({"of": 0}, BreakKind.MALFORMED),
        ({"seq": "4"}, BreakKind.MALFORMED),
        ({"fence": True}, BreakKind.MALFORMED),
        ({"extra": 1}, BreakKind.MALFORMED),
        ({"upstream": {"took": 0.5}}, BreakKind.MALFORMED),
        ({"upstream": {"n": 2**53}}, BreakKind.MALFORMED),
        ({"records": []}, BreakKind.PART),
        ({"details": None}, BreakKind.DETAILS),
    ],
    ids=str,
)
async def test_a_well_linked_entry_must_still_keep_the_formats_promises(
    tmp_path: Path, fields: dict[str, Any], kind: BreakKind
) -> None:
    place = SqlitePlace(tmp_path / "audit.db")
    await written(place)
    place.tamper(*rewritten_tail(place, 4, **fields))
    found = place.verify().found
    assert found is not None
    assert (found.kind, found.seq) == (kind, 4)


def canonical_entry(**fields: Any) -> bytes:
    base = {
        "action": "a", "decision": None, "details": None, "fence": 0, "grant": None, "kind": "note", "log": "ab" * 16,
        "of": None, "prev": "0" * 64, "principal": {}, "purpose": None, "records": [], "request": "r", "resource": None,
        "seq": 1, "time": "2026-09-21T14:13:20.000000Z", "trace": None, "upstream": None, "v": 1,
    }  # fmt: skip
    return changed(json.dumps(base).encode(), **fields)


def one_entry(body: bytes, *parts: tuple[int, bytes, bytes]) -> Report:
    head = HeadRow("ab" * 16, 1, leaf(body).hex(), 0, "2026-09-21T14:13:20.000000Z")
    return verify(Stored(head, lambda: iter([Row(1, body, leaf(body), parts, None)]), lambda: iter(())))


def test_nothing_at_all_is_no_log() -> None:
    found = verify(Stored(None, lambda: iter(()), lambda: iter(()))).found
    assert found is not None
    assert found.kind is BreakKind.HEAD


def test_a_part_has_its_own_place_and_a_salt_of_its_length() -> None:
    salt, data = b"s" * 32, b"{}"
    body = canonical_entry(records=[hashlib.sha256(b"\x02" + salt + data).hexdigest()])
    assert one_entry(body, (0, salt, data)).intact
    for wrong in ((1, salt, data), (0, salt + b"{", b"}")):
        found = one_entry(body, wrong).found
        assert found is not None
        assert found.kind is BreakKind.PART


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.replace(b'"seq":1', b'"seq": 1'),
        lambda body: body.replace(b'"seq":1', b'"seq":1.0'),
        lambda body: body.replace(b'"v":1', b'"v":1,"v":1'),
        lambda body: body.replace(b'"r"', b'"\\u0072"'),
        lambda body: body.replace(b'"r"', b'"\\ud800"'),
        lambda body: body.replace(b'"r"', b'"\xff"'),
        lambda body: body.replace(b'"upstream":null', b'"upstream":NaN'),
        lambda body: body.replace(
            b'"upstream":null', b'"upstream":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000
        ),
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: body + b"\n",
        lambda body: b"",
        lambda body: b"[]",
    ],
)
def test_bytes_that_are_not_strictly_canonical_are_no_entry(spoil: Callable[[bytes], bytes]) -> None:
    body = canonical_entry()
    assert one_entry(body).intact
    found = one_entry(spoil(body)).found
    assert found is not None
    assert found.kind in {BreakKind.MALFORMED, BreakKind.EDITED}


def test_keys_beyond_the_basic_plane_are_in_the_standards_order() -> None:
    right = canonical_entry(upstream={}).replace(
        b'"upstream":{}', '"upstream":{"\U0001f600":1,"\ufb33":2}'.encode()
    )
    wrong = canonical_entry(upstream={}).replace(
        b'"upstream":{}', '"upstream":{"\ufb33":2,"\U0001f600":1}'.encode()
    )
    assert one_entry(right).intact
    assert not one_entry(wrong).intact


async def test_every_report_states_the_window_that_rests_on_the_store_alone(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path / "audit.db")
    receipts = await written(place)
    assert "Entries 1 to 6 rest on the store alone" in place.verify().window
    assert "Entries 5 to 6 rest on the store alone" in place.verify(receipts[3]).window
    assert "Nothing rests on the store alone" in place.verify(receipts[5]).window


async def test_the_command_says_intact_broken_or_unreadable_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = SqlitePlace(tmp_path / "audit.db")
    receipts = await written(place)
    assert main([str(place.path), "--receipt", receipts[2]]) == 0
    assert "INTACT" in capsys.readouterr().out
    place.tamper(*part_removed(place))
    assert main([str(place.path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["intact"], report["found"]["kind"], report["found"]["seq"]) == (False, "part", 5)
    assert main([str(tmp_path / "none.db")]) == 2
    assert main([str(place.path), "--receipt", "5"]) == 2
    (tmp_path / "other.db").write_bytes(b"no database at all" * 100)
    assert main([str(tmp_path / "other.db")]) == 2


async def test_the_verifier_is_one_file_that_runs_without_anything_of_ours(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path / "audit.db")
    await written(place)
    alone = tmp_path / "verify.py"
    alone.write_text(inspect.getsource(sys.modules["audit.verify"]), encoding="utf-8")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-I", "-S", str(alone), str(place.path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "INTACT" in done.stdout
    module = [sys.executable, "-W", "error", "-m", "audit.verify", str(place.path)]
    done = await asyncio.to_thread(subprocess.run, module, capture_output=True, text=True, check=True)
    assert "INTACT" in done.stdout


async def test_a_log_is_verified_while_it_is_written(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    for count in range(1, 4):
        await log.append(event(Kind.NOTE))
        assert place.verify().entries == count
    await log.close()


def test_what_is_no_log_is_unreadable(tmp_path: Path, postgres: str) -> None:
    with pytest.raises(Unreadable):
        verify_sqlite(tmp_path / "none.db")
    with pytest.raises(Unreadable):
        verify_postgres(postgres)
    with pytest.raises(Unreadable):
        verify_postgres(postgres, schema="a; drop")


def test_a_break_holds_numbers_and_hashes_only() -> None:
    secret = canonical_entry(request="zhang@example.org", log="zhang@example.org")
    report = one_entry(secret)
    assert report.found == Break(
        BreakKind.FOREIGN, 1, f"it belongs to log of an unknown form, the head to {'ab' * 16}"
    )
