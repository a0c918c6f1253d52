"""Canonical bytes: ours against PyPI's rfc8785, and what an entry cannot hold."""

from __future__ import annotations

import json
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit import AuditEvent, EventRefused, Kind, RecordPart
from audit.canon import canonical
from audit.chain import MAX_DETAILS_BYTES, link, prepare
from audit.event import Head
from tests.audit.builders import event

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBER = st.integers(-(2**53) + 1, 2**53 - 1)
VALUE = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
MAPPING = st.dictionaries(TEXT, VALUE, max_size=4)
HEAD = Head(6, "cd" * 32, 3, "2026-09-21T14:13:20.000000Z", "ab" * 16)


@given(VALUE)
def test_our_canonical_bytes_are_those_of_an_independent_implementation(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)
    assert json.loads(canonical(value)) == value


@given(MAPPING, MAPPING, TEXT | st.none(), st.lists(MAPPING, max_size=3), st.sampled_from(list(Kind)))
def test_a_linked_entry_is_canonical_whatever_the_event_says(
    upstream: dict[str, Any], deep: dict[str, Any], text: str | None, bodies: list[dict[str, Any]], kind: Kind
) -> None:
    made = event(
        kind,
        upstream=upstream,
        decision={"rule": deep},
        grant=text,
        purpose=text,
        trace=text,
        records=tuple(map(RecordPart, bodies)),
        of=6,
    )
    entry, head = link(HEAD, prepare(made, bytes), "2026-09-21T14:13:20.000001Z", 4)
    fields = orjson.loads(entry.body)
    assert entry.body == rfc8785.dumps(fields)
    assert (fields["seq"], fields["prev"], fields["fence"], fields["log"]) == (7, "cd" * 32, 4, "ab" * 16)
    assert (fields["upstream"], fields["grant"], fields["of"], fields["kind"]) == (
        upstream,
        text,
        6,
        kind.value,
    )
    assert [part.body for part in entry.parts] == [rfc8785.dumps(body) for body in bodies]
    assert head == Head(7, entry.hash.hex(), 4, "2026-09-21T14:13:20.000001Z", "ab" * 16)


def test_keys_sort_by_utf_16_units_where_code_points_would_sort_otherwise() -> None:
    # RFC 8785 section 3.2.3 sorts U+1F600 (D83D DE00) before U+FB33.
    assert canonical({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()
    assert canonical({"a": {"\ufb33": 1, "\U0001f600": [{"\ufb33": 1, "\U0001f600": 2}]}}) == rfc8785.dumps(
        {"a": {"\ufb33": 1, "\U0001f600": [{"\ufb33": 1, "\U0001f600": 2}]}}
    )


class Colour(StrEnum):
    RED = "red"


def test_read_only_mappings_tuples_and_text_enums_are_plain_values() -> None:
    assert canonical(MappingProxyType({Colour.RED: (Colour.RED, 1)})) == b'{"red":["red",1]}'


def nested(levels: int) -> list[Any]:
    return [nested(levels - 1)] if levels else []


@pytest.mark.parametrize(
    "value",
    [
        0.0,
        float("nan"),
        float("inf"),
        1e300,
        2**53,
        -(2**53),
        10**40,
        "\ud800",
        b"bytes",
        {1: "a"},
        {None: 1},
        {"a": {"b": [1, 0.5]}},
        {"\ud800": 1},
        {1, 2},
        object(),
        nested(17),
        __import__("datetime").datetime(2026, 1, 1),
        __import__("uuid").UUID(int=1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_another_reader_could_read_otherwise_is_refused_and_not_quoted(value: Any) -> None:
    with pytest.raises(EventRefused) as refused:
        canonical({"x": value})
    assert "ud800" not in repr(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "changes",
    [
        {"principal": {"application": "a", "email": "li@example.org"}},
        {"principal": None},
        {"principal": "app"},
        {"resource": {"upstream": "crm", "id": "7"}},
        {"decision": {"allowed": True, "why": "x"}},
        {"upstream": ["200"]},
        {"request": ""},
        {"request": 7},
        {"action": None},
        {"purpose": 1},
        {"trace": b"x"},
        {"grant": 0},
        {"kind": "served"},
        {"kind": Kind.OUTCOME, "of": None},
        {"of": 0},
        {"of": True},
        {"of": "1"},
        {"of": 2**53},
        {"of": 8},
        {"details": "text"},
        {"details": bytes(MAX_DETAILS_BYTES + 1)},
        {"records": (RecordPart({"x": 0.5}),)},
        {"records": (RecordPart({}),) * 10_001},
        {"records": (RecordPart({"x": "y" * 1024 * 1024}),)},
        {"upstream": {"x": "y" * 1024 * 1024}},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_an_event_that_the_format_has_no_place_for_is_refused(changes: dict[str, Any]) -> None:
    link(HEAD, prepare(event(), bytes), HEAD.time, 3)
    with pytest.raises(EventRefused) as refused:
        link(HEAD, prepare(event(**changes), bytes), HEAD.time, 3)
    assert "example" not in str(refused.value)


def test_dice_that_give_too_little_salt_are_refused() -> None:
    with pytest.raises(EventRefused):
        prepare(event(), lambda count: bytes(count - 1))


def test_nothing_that_an_event_holds_stands_in_its_repr() -> None:
    made = AuditEvent(Kind.NOTE, "req_1", {"person": "li@example.org"}, "note", details=b"secret")
    assert repr(made) == "AuditEvent(note, req_1)"
