"""Request targets, header fields and JSON: whatever comes from the network is read in one way or refused by our own word."""

from __future__ import annotations

from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import headers
from gateway.wire.headers import SINGLETONS, well_formed
from gateway.wire.json import MAX_INT64, MAX_SAFE_INTEGER, dump, parse
from gateway.wire.target import Target, canonical
from gateway.words.errors import Code, Refused
from tests.fuzz.laws import NEEDLE, fuzz, held, mutated
from tests.wire.corpus import ACCEPTED, REFUSED

NOISE = st.binary(min_size=1, max_size=3)

# ── targets: the corpus of tests/wire, and what is dangerous in pieces ───────────────────────────────────────────────

TARGETS = [raw for raw, _, _ in ACCEPTED] * 3 + [raw for family in REFUSED.values() for raw in family]
TARGET_PIECES = [
    NEEDLE.encode(), b"/", b"//", b"/./", b"/../", b"..", b"%2F", b"%2f", b"%2E", b"%25", b"%252E", b"%5C", b"\\", b";", b"?", b"&", b"=",
    b"+", b"%2B", b"#", b"%", b"%0", b"%00", b"%0A", b"%7E", b"~", b"%C0%AF", b"%ED%A0%80", b"%EF%BC%8F", b"%EF%BC%8E", b"%E2%80%A8",
    b"%E9%BE%99", b"%F0%9F%98%80", b"[in]", b"%5B", b"@", b":", b"http://h", b"*", b"a" * 40,
]  # fmt: skip


@fuzz(80, 100_000)
@given(raw=mutated(TARGETS, TARGET_PIECES, NOISE), most=st.sampled_from([8192, 8192, 8192, 30, 0]))
def test_a_target_is_kept_byte_for_byte_or_refused(raw: bytes, most: int) -> None:
    found = held(lambda: canonical(raw, max_bytes=most), Refused)
    if isinstance(found, Refused):
        assert found.code in (Code.TARGET_AMBIGUOUS, Code.TARGET_TOO_LONG)
        assert (dict(found.params), found.__cause__, str(found)) == ({}, None, found.code.value)
        return
    assert isinstance(found, Target)
    assert (found.path + ("?" + found.raw_query if found.raw_query else "")).encode("ascii") == raw
    assert [unquote(segment) for segment in found.segments] == list(found.segments)
    assert len({name for name, _ in found.query}) == len(found.query)
    assert not any(mark in segment for segment in found.segments for mark in "/\\;\0")


# ── header fields ────────────────────────────────────────────────────────────────────────────────────────────────────

FIELDS = [
    (b"Host", b"gate.example"), (b"Authorization", b"Bearer " + NEEDLE.encode()), (b"gatehouse-purpose", b"service"), (b"If-Match", b'"1"'),
    (b"Accept", b"application/json, */*;q=0.1"), (b"Connection", b"close, x-a"), (b"connection", b"authorization"), (b"X-A", b"1"),
    (b"content-length", b"12"), (b"X-Forwarded-For", b"10.0.0.1"), (b"transfer-encoding", b"chunked"), (b"x-empty", b""),
]  # fmt: skip
NAMES, VALUES = [name for name, _ in FIELDS], [value for _, value in FIELDS]
FIELD_PIECES = [
    NEEDLE.encode(), b" ", b"\t", b"\r\n", b"\n", b"\0", b":", b",", b"_", b"-", b"\xe9", b"\x7f", b"\x0b", "龙".encode(), b"close",
    b"host", b"\xff\xfe", b"a" * 50,
]  # fmt: skip
fields = st.lists(
    st.sampled_from(FIELDS)
    | st.tuples(mutated(NAMES, FIELD_PIECES, NOISE, 2), mutated(VALUES, FIELD_PIECES, NOISE, 2)),
    max_size=6,
)


@fuzz(70, 60_000)
@given(raw=fields)
def test_header_fields_are_read_alike_by_everyone_or_refused(raw: list[tuple[bytes, bytes]]) -> None:
    found = held(lambda: headers.read(raw), Refused)
    if isinstance(found, Refused):
        assert (found.code, found.__cause__) == (Code.HEADER_MALFORMED, None)
        assert set(found.params) <= {"header", "cause"}
        assert set(found.params.values()) <= SINGLETONS | {"connection", "form"}
        return
    assert isinstance(found, tuple)
    names = [name for name, _ in found]
    assert all(well_formed(name, value) for name, value in found)
    assert all(names.count(name) == 1 for name in SINGLETONS & set(names))
    sent = [(name.decode().lower(), value.strip(b" \t").decode()) for name, value in raw]
    assert [field for field in sent if field in found] == list(found)


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

DOCUMENTS = [
    b"{}", b"[]", b"null", b"-0.0", b'""', b'{"name":"%b","level":1}' % NEEDLE.encode(),
    b'{"a":{"b":[1,2.5e3,true,false,null,"\\u5f20\\ud83d\\ude00"]}}', '{"姓名": "张伟", "emoji": "😀"}'.encode(), b' [ 1 , 2 ]\r\n\t',
    b"9007199254740991", b'{"id":9223372036854775807}', b"0e-999", b"[" * 64 + b"]" * 64, b'{"a":' * 20 + b"1" + b"}" * 20,
    b'[{"a":1},{"a":1}]', b'{"k":"%b"}' % (b"x" * 200),
]  # fmt: skip
JSON_PIECES = [
    NEEDLE.encode(), b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b'"a":', b'{"a":1,"a":2}', b'"\\u0061"', b'"\\ud800"', b"\\udc00",
    b"NaN", b"-Infinity", b"1e400", b"1e-400", b"01", b"-", b".", b"E", b"9" * 20, b"9" * 5000, b"9007199254740992", b"0.1", b"\xff",
    b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\0", b"\x0b", b"// x\n", b"[" * 70, b'{"a":' * 70, b"[" * 2000, b" ", b"\n", b"true", b"tru",
]  # fmt: skip


@fuzz(110, 100_000)
@given(
    data=mutated(DOCUMENTS, JSON_PIECES, NOISE),
    depth=st.sampled_from([64, 64, 20, 1, 0]),
    limit=st.sampled_from([MAX_SAFE_INTEGER, MAX_SAFE_INTEGER, MAX_INT64]),
)
def test_json_is_read_in_one_way_or_refused(data: bytes, depth: int, limit: int) -> None:
    found = held(lambda: parse(data, max_depth=depth, max_integer=limit), Refused)
    if isinstance(found, Refused):
        assert (found.code, dict(found.params), found.__cause__) == (Code.BODY_MALFORMED, {}, None)
        assert found.__suppress_context__
        return
    again = dump(found)
    assert parse(again, max_depth=depth, max_integer=limit) == found
