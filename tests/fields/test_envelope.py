"""The envelope's bytes, pinned: what one version wrote every later one reads."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from gateway.fields.envelope import (
    Envelope,
    FieldKey,
    Malformed,
    Unsealable,
    about_record,
    decoded,
    holds_envelope,
    is_envelope,
    parse,
    plain_of,
    value_of,
    write,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "envelope.json").read_text())
SECRET, KEY = bytes(range(32)), bytes(range(16, 32))
RECORD = about_record("crm", "customer", "seal_1")
JSON = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner | st.none(), max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner | st.none(), max_size=4)
    ),
    max_leaves=8,
)


def field_key(case: dict[str, Any]) -> FieldKey:
    return FieldKey(bytes.fromhex(case["secret"]), bytes.fromhex(case["key"]), case["version"], case["class"])


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_the_golden_envelopes_are_written_and_read(case: dict[str, Any]) -> None:
    record = about_record(case["upstream"], case["resource"], case["seal"])
    key = field_key(case)
    value = json.loads(case["value"])
    assert key.seal(record, case["pointer"], value, bytes.fromhex(case["nonce"])) == case["envelope"]
    opened = key.open(record, case["pointer"], decoded(case["envelope"]))
    assert json.dumps(opened, ensure_ascii=False) == case["value"]


def test_a_golden_envelope_is_read_by_hand() -> None:
    # The format of docs/sealing.md, step by step, with nothing of ours but the golden file.
    case = next(c for c in GOLDEN["cases"] if c["name"] == "an element of an array")
    text = case["envelope"].removeprefix("gh1:")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert data[:16].hex() == case["key"]
    assert data[16:20] == case["version"].to_bytes(4, "big")
    end = 21 + data[20]
    assert data[21:end] == case["class"].encode()
    assert data[end] == 4
    parts = [
        b"gatehouse/envelope/1",
        b"gh1:",
        data[:16],
        data[16:20],
        data[21:end],
        case["upstream"].encode(),
        case["resource"].encode(),
        case["seal"].encode(),
        case["pointer"].encode(),
        data[end : end + 1],
    ]
    about = b"".join(len(p).to_bytes(4, "big") + p for p in parts)
    plain = AESGCM(bytes.fromhex(case["secret"])).decrypt(data[end + 1 : end + 13], data[end + 13 :], about)
    assert len(plain) % 16 == 0
    assert plain.rstrip(b"\0") == json.loads(case["value"]).encode() + b"\x80"


@given(JSON, st.text(st.characters(codec="utf-8"), max_size=20), st.binary(min_size=12, max_size=12))
def test_what_is_sealed_opens_to_the_same_value_and_type(value: Any, pointer: str, nonce: bytes) -> None:
    key = FieldKey(SECRET, KEY, 1, "profile")
    text = key.seal(RECORD, pointer, value, nonce)
    opened = key.open(RECORD, pointer, decoded(text))
    assert json.dumps(opened) == json.dumps(value)
    assert write(parse(text)) == text
    assert is_envelope(text)


@given(st.text(max_size=200) | st.text("ABCDwxyz0189-_", max_size=200))
def test_a_parser_meets_any_text_with_our_error(text: str) -> None:
    for candidate in (text, "gh1:" + text):
        try:
            taken = parse(candidate)
        except Malformed:
            continue
        assert write(taken) == candidate


@given(st.binary(max_size=120))
def test_a_parser_meets_any_bytes_with_our_error(data: bytes) -> None:
    candidate = "gh1:" + base64.urlsafe_b64encode(data).decode().rstrip("=")
    with contextlib.suppress(Malformed):
        assert write(parse(candidate)) == candidate
    try:
        FieldKey(SECRET, KEY, 1, "profile").open(RECORD, "/x", decoded(candidate))
    except (Malformed, InvalidTag):
        pass
    else:
        raise AssertionError("random bytes opened")


@given(st.integers(0, 300), st.binary(max_size=60))
def test_plain_bytes_that_are_no_value_are_malformed(kind: int, plain: bytes) -> None:
    try:
        value = value_of(kind, plain)
    except Malformed:
        return
    again, padded = plain_of(value)
    assert again == kind
    assert value_of(again, padded) == value


GOOD = Envelope(KEY, 1, "profile", 4, bytes(12), bytes(32))


@pytest.mark.parametrize(
    "bad",
    [
        GOOD._replace(version=0),
        GOOD._replace(cls="Profile"),
        GOOD._replace(cls=""),
        GOOD._replace(cls="a" * 33),
        GOOD._replace(cls="a b"),
        GOOD._replace(kind=0),
        GOOD._replace(kind=7),
        GOOD._replace(sealed=bytes(16)),
        GOOD._replace(sealed=bytes(33)),
        GOOD._replace(sealed=b""),
        GOOD._replace(sealed=bytes(65_536)),
    ],
)
def test_an_envelope_that_nobody_writes_is_malformed(bad: Envelope) -> None:
    assert parse(write(GOOD)) == GOOD
    with pytest.raises(Malformed):
        parse(write(bad))


@pytest.mark.parametrize(
    "text", ["", "gh1", "gh1:", "gh1:A", "gh1:AA", "gh2:" + "A" * 96, "GH1:" + "A" * 96, " gh1:AAAA", "gh1:é"]
)
def test_other_texts_are_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)


@pytest.mark.parametrize(
    "value", [None, "x" * 48_001, "\ud800", ["\ud800"], float("nan"), [float("inf")], [10**5000]]
)
def test_what_cannot_be_sealed_is_refused(value: Any) -> None:
    with pytest.raises(Unsealable):
        plain_of(value)


def test_too_deep_a_value_is_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unsealable):
        plain_of(deep)


def test_the_longest_value_fits_into_64_kib() -> None:
    text = FieldKey(SECRET, KEY, 1, "a" * 32).seal(RECORD, "/x", "x" * 48_000, bytes(12))
    assert len(text) < 65_536
    parse(text)


def test_the_length_says_little() -> None:
    key = FieldKey(SECRET, KEY, 1, "profile")
    sizes = {
        len(key.seal(RECORD, "/x", v, bytes(12)))
        for v in (True, False, 0, 999_999, "", "张伟", "13812345678", "x" * 15)
    }
    assert len(sizes) == 1


def test_envelopes_are_found_wherever_they_stand() -> None:
    for value in ("gh1:", "gh1:x", ["gh1:"], {"a": [{"b": "gh1:x"}]}, {"gh1:x": 1}):
        assert holds_envelope(value)
    for value in ("gh1", " gh1:", "agh1:", None, 1, True, [], {}, ["x"]):
        assert not holds_envelope(value)


def test_nothing_of_a_key_or_an_envelope_is_shown() -> None:
    key = FieldKey(SECRET, KEY, 1, "profile")
    assert repr(key) == "FieldKey()"
    assert repr(GOOD) == "Envelope()"
