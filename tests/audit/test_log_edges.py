"""What an entry holds at its edges: the most of each, one more, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from audit import EventRefused, Kind
from audit.canon import canonical
from audit.chain import link, prepare
from audit.event import Head, RecordPart
from tests.audit.builders import event, part

HEAD = Head(4, "0" * 64, 0, "", "log")


def salt(length: int) -> bytes:
    return bytes(length)


def sized(length: int) -> RecordPart:
    """A part whose canonical bytes are that many."""
    return RecordPart({"note": "a" * (length - len(b'{"note":""}'))})


@pytest.mark.parametrize(
    "changes",
    [
        {"records": tuple(map(part, ["x"] * 10_000))},
        {"records": (sized(1024 * 1024),)},
        {"details": bytes(16 * 1024 * 1024)},
        {"of": 1},
        {"of": 4},
        {"principal": {}},
        {"upstream": {}},
        {"resource": None, "decision": None},
    ],
    ids=[
        "records",
        "part",
        "details",
        "first",
        "newest",
        "no-principal-members",
        "no-upstream-members",
        "absent",
    ],
)
def test_the_most_that_fits_is_taken(changes: dict[str, Any]) -> None:
    entry, head = link(HEAD, prepare(event(**changes), salt), "2026-11-21T09:30:00.000000Z", 0)
    assert (entry.seq, head.seq) == (5, 5)


@pytest.mark.parametrize(
    "changes",
    [
        {"records": tuple(map(part, ["x"] * 10_001))},
        {"records": (sized(1024 * 1024 + 1),)},
        {"details": bytes(16 * 1024 * 1024 + 1)},
        {"details": bytearray(3)},
        {"of": 0},
        {"of": True},
        {"of": 2**53},
        {"of": "1"},
        {"kind": "served"},
        {"principal": None},
        {"principal": ["application"]},
        {"resource": ["type"]},
        {"decision": ("rule",)},
        {"decision": {"secret": 1}},
        {"upstream": [1]},
        {"request": ""},
        {"action": 7},
        {"trace": 7},
        {"grant": b"x"},
        {"purpose": ["x"]},
        {"kind": Kind.OUTCOME, "of": None},
    ],
    ids=lambda changes: "-".join((*changes, *(type(value).__name__ for value in changes.values()))),
)
def test_one_more_and_what_only_looks_like_it_is_refused_before_anything_is_written(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(EventRefused):
        prepare(event(**changes), salt)


@pytest.mark.parametrize("over", [0, 1])
def test_an_entry_is_at_most_one_mebibyte(over: int) -> None:
    bare = sum(map(len, prepare(event(upstream={"x": ""}), salt).pieces))
    full = event(upstream={"x": "a" * (1024 * 1024 - bare + over)})
    if over:
        with pytest.raises(EventRefused):
            prepare(full, salt)
    else:
        assert sum(map(len, prepare(full, salt).pieces)) == 1024 * 1024


def test_an_entry_settles_none_that_does_not_stand_before_it() -> None:
    with pytest.raises(EventRefused):
        link(HEAD, prepare(event(of=5), salt), "2026-11-21T09:30:00.000000Z", 0)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_dice_that_give_another_salt_are_refused(length: int) -> None:
    with pytest.raises(EventRefused):
        prepare(event(records=(part("x"),)), lambda _: bytes(length))


@pytest.mark.parametrize("depth", [16, 17])
def test_nesting_ends_at_sixteen(depth: int) -> None:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    if depth == 16:
        assert canonical(value) == b"[" * 16 + b'"x"' + b"]" * 16
    else:
        with pytest.raises(EventRefused):
            canonical(value)


@pytest.mark.parametrize("number", [2**53 - 1, 1 - 2**53])
def test_the_largest_integers_are_taken_and_the_next_are_not(number: int) -> None:
    assert canonical(number) == str(number).encode()
    with pytest.raises(EventRefused):
        canonical(number + (1 if number > 0 else -1))
