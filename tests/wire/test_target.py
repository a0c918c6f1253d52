"""A request target has one spelling, or it is refused."""

from __future__ import annotations

import time
import unicodedata
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import target
from gateway.wire.target import canonical
from gateway.words.errors import Code, Refused
from tests.wire.corpus import ACCEPTED, REFUSED


def test_the_corpus_has_300_forms() -> None:
    assert sum(len(targets) for targets in REFUSED.values()) + len(ACCEPTED) >= 300


def code_of(raw: bytes) -> Code | None:
    try:
        canonical(raw)
    except Refused as refused:
        return refused.code
    return None


@pytest.mark.parametrize("family", REFUSED)
def test_a_target_that_can_be_read_in_two_ways_is_refused(family: str) -> None:
    codes = {raw: code_of(raw) for raw in REFUSED[family]}
    assert codes == dict.fromkeys(codes, Code.TARGET_AMBIGUOUS)


@pytest.mark.parametrize(("raw", "segments", "query"), ACCEPTED)
def test_a_plain_target_is_read_once_and_kept_as_it_came(
    raw: bytes, segments: tuple[str, ...], query: tuple[tuple[str, str], ...]
) -> None:
    target = canonical(raw)
    assert (target.segments, target.query) == (segments, query)
    assert (target.path + ("?" + target.raw_query if target.raw_query else "")).encode() == raw


def test_a_target_is_bounded() -> None:
    assert canonical(b"/" + b"a" * 8191).segments == ("a" * 8191,)
    with pytest.raises(Refused) as refused:
        canonical(b"/" + b"a" * 8192)
    assert refused.value.code is Code.TARGET_TOO_LONG


def test_a_refusal_says_nothing_of_the_target() -> None:
    with pytest.raises(Refused) as refused:
        canonical("/crm/张伟".encode())
    assert (str(refused.value), refused.value.params, refused.value.__cause__) == (
        "target-ambiguous",
        {},
        None,
    )


def segments_by_the_pattern(raw: bytes) -> tuple[str, ...] | None:
    """The slow way, for every path: what the fast one for plain paths must agree with."""
    if target._PATH.fullmatch(raw) is None or b"//" in raw:
        return None
    pieces = raw[1:].split(b"/")
    if any(piece and not piece.strip(b".") for piece in pieces):
        return None
    return () if raw == b"/" else tuple(piece.decode("ascii") for piece in pieces)


@given(st.text(alphabet="/.-a~!;:@=\\ \x00?\xe9", max_size=12))
def test_a_plain_path_is_read_fast_as_it_is_read_slowly(tail: str) -> None:
    raw = f"/{tail}".encode("latin-1")
    try:
        found: tuple[str, ...] | None = target._segments(raw)
    except Refused:
        found = None
    assert found == segments_by_the_pattern(raw)


def test_what_stands_in_a_plain_path_is_what_the_pattern_allows() -> None:
    allowed = {bytes([byte]) for byte in range(256) if target._PATH.fullmatch(b"/" + bytes([byte]))}
    assert allowed == {bytes([byte]) for byte in target._UNENCODED}


@given(st.binary(max_size=60))
def test_whatever_comes_it_is_refused_or_kept_byte_for_byte(tail: bytes) -> None:
    raw = b"/" + tail
    try:
        target = canonical(raw)
    except Refused:
        return
    assert (target.path + ("?" + target.raw_query if target.raw_query else "")).encode("ascii") == raw
    # Decoding once or twice, and taking dot segments away, gives the same: nobody behind us can read another path.
    assert [unquote(segment) for segment in target.segments] == list(target.segments)
    assert all(segment.strip(". ") or not segment for segment in target.segments)
    assert not any(mark in segment for segment in target.segments for mark in "/\\;")


@given(st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1), min_size=1))
def test_what_a_careful_client_encodes_comes_back_as_it_was(parts: list[str]) -> None:
    raw = "/".join(["", *(quote(part, safe="") for part in parts)]).encode("ascii")
    try:
        target = canonical(raw)
    except Refused:
        return
    assert target.segments == tuple(parts)


@given(st.text("0123456789abcxyzABC龙张é ,@:", min_size=1).filter(lambda text: text.strip()))
def test_ordinary_text_as_a_segment_is_never_refused(part: str) -> None:
    assert canonical(b"/crm/" + quote(part, safe="").encode()).segments == ("crm", part)


@pytest.mark.parametrize("hexed", ["%e9%be%99%2c%3a", "%E9%be%99%2C%3a", "%E9%BE%99%2C%3A"])
def test_triplets_of_a_query_are_written_in_capitals_whoever_wrote_them(hexed: str) -> None:
    read = canonical(f"/crm/a?b={hexed}&c=d".encode())
    assert read.raw_query == "b=%E9%BE%99%2C%3A&c=d"
    assert read.query == (("b", "龙,:"), ("c", "d"))


@pytest.mark.parametrize("needless", ["%31", "%2d", "%2D", "%5f", "%6a"])
def test_a_needless_triplet_of_a_query_is_refused_in_either_case(needless: str) -> None:
    with pytest.raises(Refused):
        canonical(f"/crm/a?b={needless}".encode())


def test_the_controls_are_those_of_unicode() -> None:
    marks = (chr(code) for code in range(0x11_0000))
    closed = {mark for mark in marks if unicodedata.category(mark) in ("Cc", "Zl", "Zp")}
    assert closed == {mark for mark in map(chr, range(0x11_0000)) if target.CONTROLS.match(mark)}


@pytest.mark.parametrize(
    "raw",
    [
        b"/" + b"/".join([b"%E5%BC%A0"] * 225),
        b"/" + b"a/" * 65,
        b"/%20" + b"a" * 2_048,
        b"/crm?" + b"&".join(b"a%d=%%20" % number for number in range(65)),
    ],
    ids=["encoded segments", "segments", "a long encoded path", "pairs"],
)
def test_nobody_has_a_target_looked_at_in_very_many_pieces(raw: bytes) -> None:
    assert len(raw) < 8_192
    assert code_of(raw) is Code.TARGET_TOO_LONG


@pytest.mark.parametrize(
    "raw",
    [
        b"/" + b"/".join([b"%EF%B7%BA" * 3] * 64),
        b"/" + b"%EF%B7%BA" * 220,
        b"/a?" + b"&".join(b"a%d=%b" % (number, b"%EF%B7%BA" * 13) for number in range(64)),
        b"/a?a=" + b"%E5%BC%A0" * 900,
    ],
    ids=["segments", "one segment", "pairs", "one value"],
)
def test_the_dearest_target_costs_no_more_than_a_few_refusals(raw: bytes) -> None:
    best = 1.0
    for _ in range(20):
        start = time.perf_counter()
        code_of(raw)
        best = min(best, time.perf_counter() - start)
    assert best < 0.002
