"""JSON is read in exactly one way, or refused with one code."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.wire.json import MAX_INT64, dump, parse
from gateway.words.errors import Code, Refused

REFUSED: dict[str, list[bytes]] = {
    "duplicate names": [
        b'{"a":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1, "a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"b":{"a":1,"a":2}}',
        b'[{"a":1},{"a":1,"b":2,"a":3}]',
        '{"张":1,"\\u5f20":2}'.encode(),
        b'{"":1,"":2}',
        b'{"a":{"x":[{"y":1,"y":[]}]}}',
    ],
    "numbers that are none": [
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"[NaN]",
        b'{"a":-Infinity}',
        b"nan",
        b"inf",
    ],
    "numbers beyond a double": [b"1e400", b"-1e400", b"1e-400", b"-2.5E-999", b"[1e309]", b"1" * 400 + b".0"],
    "integers that do not survive": [
        b"9007199254740992",
        b"-9007199254740992",
        b"9223372036854775807",
        b"18446744073709551615",
        b"18446744073709551616",
        b"123456789012345678901234567890",
        b"[9007199254740993]",
        b'{"id":9007199254740993}',
        b'{"id": 9007199254740993}',
        b"1" * 5000,
        b"[" + b"9" * 100_000 + b"]",
    ],
    "numbers in other spellings": [
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"0x10",
        b"1e",
        b"1_000",
        b"--1",
        b"- 1",
        b"-",
    ],
    "text that is not UTF-8": [b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b'"\xc0\xaf"', '"张"'.encode("gbk")],
    "lone surrogates": [
        b'"\\ud800"',
        b'"\\udfff"',
        b'"\\ud800\\u0041"',
        b'"\\udc00\\ud800"',
        b'{"\\ud800":1}',
    ],
    "another encoding": ['{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-16-le"), '"a"'.encode("utf-32")],
    "a byte order mark": [b"\xef\xbb\xbf{}", b"\xef\xbb\xbf1"],
    "something after the value": [b"{} {}", b"1 2", b"{}x", b"[]]", b'"a""b"', b"{}\x00", b"1,", b"{}//x"],
    "too deep": [
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"[" * 50_000,
        b"[" * 50_000 + b"]" * 50_000,
        b'{"a":' * 50_000,
        b'[{"a":' * 40 + b"1" + b"}]" * 40,
    ],
    "control characters in text": [b'"a\nb"', b'"\x00"', b'"\x1f"', b'"\t"'],
    "escapes that are none": [b'"\\x41"', b'"\\u12"', b'"\\u{41}"', b'"\\\'"', b'"\\'],
    "what other languages allow": [
        b"{a:1}",
        b"{'a':1}",
        b"[1,]",
        b'{"a":1,}',
        b"// x\n1",
        b"/* x */1",
        b"undefined",
    ],
    "nothing, or half of it": [
        b"",
        b" ",
        b"\n",
        b"{",
        b"[",
        b'"',
        b'{"a"',
        b'{"a":',
        b"[1",
        b"tru",
        b"nul",
        b"\x00",
    ],
    "blanks that are none": [b"\x0b1", b"\x0c1", "\u00a01".encode(), "\u20281".encode(), b"[1\x0b]"],
}


def refusal_of(data: bytes) -> Refused | None:
    try:
        parse(data)
    except Refused as refused:
        return refused
    return None


@pytest.mark.parametrize("family", REFUSED)
def test_a_document_that_two_readers_read_differently_is_malformed(family: str) -> None:
    refusals = {data[:60]: refusal_of(data) for data in REFUSED[family]}
    codes = {start: refusal and refusal.code for start, refusal in refusals.items()}
    assert codes == dict.fromkeys(refusals, Code.BODY_MALFORMED)


def test_a_refusal_keeps_nothing_of_the_document() -> None:
    for data in (b'{"name":"Zhang Wei" 1}', b'{"a": 1, "a": "Zhang Wei"}'):
        refused = refusal_of(data)
        assert refused is not None
        assert (refused.params, refused.__cause__, refused.__suppress_context__) == ({}, None, True)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"{}", {}),
        (b" [ ] ", []),
        (b"\r\n\t1 \n", 1),
        (b"9007199254740991", 9007199254740991),
        (b"-9007199254740991", -9007199254740991),
        (b'{"card":"6222021234567890123"}', {"card": "6222021234567890123"}),
        (b"0.1", 0.1),
        (b"-0.0", -0.0),
        (b"-0", 0),
        (b"0e-999", 0.0),
        (b"1.5E3", 1500.0),
        (b"0.10000000000000000555", 0.1),
        (b'"\\u5f20\\ud83d\\ude00\\/"', "张😀/"),
        (b'"a\\u0000b"', "a\0b"),
        (b'{"a":1,"A":2,"a ":3}', {"a": 1, "A": 2, "a ": 3}),
        (b'[{"a":1},{"a":1}]', [{"a": 1}, {"a": 1}]),
        (b"null", None),
        (b"[true,false]", [True, False]),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
        (b"[" + b"[]," * 500 + b"[]]", [[]] * 501),
    ],
)
def test_a_document_that_everyone_reads_alike_is_read(data: bytes, value: Any) -> None:
    read = parse(data)
    assert read == value
    assert type(read) is type(value)


def test_an_upstream_with_64_bit_ids_may_keep_them() -> None:
    assert parse(b'{"id":9223372036854775807}', max_integer=MAX_INT64) == {"id": 2**63 - 1}
    assert parse(b'{"id": -9223372036854775807}', max_integer=MAX_INT64) == {"id": -(2**63) + 1}
    for beyond in (b"9223372036854775808", b"[9223372036854775808 ]", b"-9223372036854775809"):
        with pytest.raises(Refused):
            parse(beyond, max_integer=MAX_INT64)


def test_bounds_wider_than_readers_have_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="max_depth"):
        parse(b"1", max_depth=65)
    with pytest.raises(ValueError, match="max_integer"):
        parse(b"1", max_integer=2**64)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)))
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(documents)
def test_what_is_dumped_is_read_back_as_it_was(value: Any) -> None:
    assert parse(dump(value)) == value


@given(documents, st.booleans(), st.sampled_from([None, 1, 4]))
def test_spelling_and_blanks_change_nothing(value: Any, ascii_only: bool, indent: int | None) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()) == value


class _No(Exception):
    """The naive reader's refusal."""


def naive(data: bytes, depth: int = 64) -> Any:
    """A strict reader with nothing in common with ours but the standard library's grammar."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in found]
        if len(set(names)) < len(names):
            raise _No
        return dict(found)

    def constant(_: str) -> float:
        raise _No

    def integer(text: str) -> int:
        if not -(2**53) < int(text) < 2**53:
            raise _No
        return int(text)

    def number(text: str) -> float:
        read = float(text)
        mantissa = text.lower().split("e")[0]
        if math.isinf(read) or (read == 0.0) != (set(mantissa) <= set("-0.")):
            raise _No
        return read

    def walk(value: Any, left: int) -> None:
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, (list, dict)):
            if left == 0:
                raise _No
            for member in value:
                walk(member, left - 1)
            for member in value.values() if isinstance(value, dict) else ():
                walk(member, left - 1)

    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=pairs,
            parse_constant=constant,
            parse_int=integer,
            parse_float=number,
        )
        walk(value, depth)
    except (ValueError, RecursionError) as error:
        raise _No from error
    return value


LINES = rb"""{ } [ ] , : "a" "b" "\u0061" 1 -0 9007199254740992 9007199254740991 1e400 1e-400 0.5 true null " \ NaN 1E5 01
"a":1, {"a": {"b":[ ]} "\ud800" """
fragments = st.sampled_from([*LINES.split(), b" ", b"\n", b"\xff", b"\xef\xbb\xbf"])


@settings(max_examples=400)
@given(st.lists(fragments, max_size=14).map(b"".join))
@example(b'{"a":1,"a":1}')
@example(b'{"a":1,"\\u0061":1}')
@example(b"[9007199254740992]")
def test_ours_reads_what_a_naive_strict_reader_reads_and_nothing_else(data: bytes) -> None:
    try:
        expected = naive(data)
    except _No:
        with pytest.raises(Refused):
            parse(data)
    else:
        assert parse(data) == expected


@given(documents, st.data())
def test_a_name_that_is_given_twice_is_found_wherever_it_stands(value: Any, draw: st.DataObject) -> None:
    outer = draw.draw(st.sampled_from([b'{"k":%b,"k":%b}', b'[{"k":%b,"k":%b}]', b'{"o":{"k":%b,"k":%b}}']))
    one = dump(value)
    with pytest.raises(Refused):
        parse(outer % (one, one))


DEAR = {
    "floats": b"0.0 ,",
    "exponents": b"1e1,",
    "integers": b"1 ,",
    "arrays": b"[],",
    "arrays deep": b"[" * 60 + b"]" * 60 + b",",
    "objects": b"{} ,",
    "members": b'{"a":1} ,',
    "names twice": b'{"a":1,"a":1},',
    "strings": b'"\\u0061",',
}


@pytest.mark.parametrize("piece", DEAR.values(), ids=DEAR)
def test_no_document_takes_a_step_of_ours_for_each_of_its_values(piece: bytes) -> None:
    """Beside what orjson takes for it: a megabyte of small values, read one by one, would be a second of everybody's time."""
    data = b"[" + piece * (300_000 // len(piece)) + b"0]"

    def best(work: Callable[[bytes], object]) -> float:
        times = []
        for _ in range(4):
            start = time.thread_time()
            with suppress(Refused):
                work(data)
            times.append(time.thread_time() - start)
        return min(times)

    assert best(parse) < 20 * best(lambda given: orjson.dumps(orjson.loads(given))) + 0.02
