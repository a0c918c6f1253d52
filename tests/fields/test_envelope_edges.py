"""The envelope at its edges: what opened and is padded otherwise, names that are no text, the longest and the shortest."""

from __future__ import annotations

import pytest

from gateway.fields.envelope import (
    INTEGER,
    STRING,
    FieldKey,
    Malformed,
    Unsealable,
    about_field,
    about_record,
    decoded,
    parse,
    plain_of,
    value_of,
    write,
)

KEY = FieldKey(bytes(32), bytes(range(16)), 1, "profile")
RECORD = about_record("crm", "customer", "seal_1")
NONCE = b"n" * 12


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        bytes(16),
        b"abc" + bytes(13),
        b"abc\x81" + bytes(12),
        b"abc\x80x" + bytes(11),
        b"abc\x80\x01" + bytes(11),
        b"\x00\x00",
    ],
    ids=["nothing", "zeros", "unmarked", "another-mark", "a-letter-behind", "a-one-behind", "two-zeros"],
)
@pytest.mark.parametrize("kind", [STRING, INTEGER])
def test_what_is_padded_otherwise_is_no_value(kind: int, plain: bytes) -> None:
    with pytest.raises(Malformed):
        value_of(kind, plain)
    assert value_of(STRING, b"abc\x80" + bytes(12)) == "abc"
    assert value_of(INTEGER, b"12\x80" + bytes(13)) == 12


@pytest.mark.parametrize("length", range(34))
def test_padding_fills_a_block_and_never_adds_a_whole_one(length: int) -> None:
    kind, plain = plain_of("a" * length)
    assert (kind, len(plain)) == (STRING, (length // 16 + 1) * 16)
    assert plain == b"a" * length + b"\x80" + bytes(15 - length % 16)


def test_a_name_that_is_no_text_still_has_a_place_of_its_own() -> None:
    one, other = (about_field(pointer, STRING) for pointer in ("/a\ud800", "/a\udfff"))
    assert one != other
    assert one == b"\0\0\0\x05/a\xed\xa0\x80\0\0\0\1" + bytes([STRING])


def test_the_longest_value_is_sealed_and_one_byte_more_is_not() -> None:
    text = KEY.seal(RECORD, "/note", "a" * 48_000, NONCE)
    assert len(text) <= 65_536
    assert KEY.open(RECORD, "/note", decoded(text)) == "a" * 48_000
    for value in ("a" * 48_001, "是" * 16_001):
        with pytest.raises(Unsealable):
            KEY.seal(RECORD, "/note", value, NONCE)


def test_a_text_longer_than_any_envelope_is_not_read() -> None:
    assert len(decoded("gh1:" + "A" * 65_532)) == 49_149
    with pytest.raises(Malformed):
        decoded("gh1:" + "A" * 65_536)


@pytest.mark.parametrize("cut", range(len(decoded(KEY.seal(RECORD, "/a", True, NONCE)))))
def test_an_envelope_that_is_cut_anywhere_is_malformed(cut: int) -> None:
    data = decoded(KEY.seal(RECORD, "/a", True, NONCE))
    whole = parse(KEY.seal(RECORD, "/a", True, NONCE))
    if cut < len(KEY.header) + 1 + 12 + 16:
        with pytest.raises(Malformed):
            KEY.open(RECORD, "/a", data[:cut])
    text = write(whole)
    with pytest.raises(Malformed):
        parse("gh1:" + text[4:][: cut * 4 // 3])
