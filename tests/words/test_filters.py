"""The word `Filter`: made short without another meaning, written and read again."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.words.filter import (
    EVERYTHING,
    NOTHING,
    Absent,
    And,
    Compare,
    Contains,
    Eq,
    Filter,
    In,
    Not,
    Or,
    Prefix,
    Text,
    both,
    either,
    holds,
    negated,
)
from gateway.words.filtertext import Unwritten, read, written

FIELD = st.sampled_from(["/a", "/b"])
SCALAR = st.sampled_from(["", "a", "张", "\0", 0, 1, True, False, -(2**70)])
LEAF = st.one_of(
    st.builds(Eq, FIELD, SCALAR),
    st.builds(In, FIELD, st.lists(SCALAR, max_size=3).map(tuple)),
    st.builds(Compare, FIELD, st.sampled_from(["lt", "le", "gt", "ge"]), st.sampled_from(["a", 1, -5])),
    st.builds(Prefix, FIELD, st.sampled_from(["", "a"])),
    st.builds(Contains, FIELD, st.sampled_from(["", "a"])),
    st.builds(Absent, FIELD),
    st.builds(Text, FIELD),
)
FILTER = st.recursive(
    LEAF,
    lambda part: st.one_of(
        st.builds(Not, part),
        st.builds(And, st.lists(part, max_size=3).map(tuple)),
        st.builds(Or, st.lists(part, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)
VALUES = (None, "", "a", "ab", "张", "a" * 4097, 0, 1, True, False, 1.0, ["a"], {})
RECORDS = [{"/a": one, "/b": other} for one in VALUES for other in VALUES[::3]]


def chosen(what: Filter) -> list[bool]:
    return [holds(what, record.get) for record in RECORDS]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(parts=st.lists(FILTER, max_size=4))
def test_what_is_made_short_means_the_same(parts: list[Filter]) -> None:
    assert chosen(both(parts)) == chosen(And(tuple(parts)))
    assert chosen(either(parts)) == chosen(Or(tuple(parts)))
    for part in parts:
        assert chosen(negated(part)) == chosen(Not(part))


def test_a_truth_and_a_number_are_two_values() -> None:
    assert Eq("/a", 1) != Eq("/a", True)
    assert In("/a", (0,)) != In("/a", (False,))
    assert chosen(either([In("/a", (1,)), In("/a", (True,))])).count(True) == 2 * len(VALUES[::3])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(what=FILTER)
def test_what_is_written_is_read_as_it_was(what: Filter) -> None:
    assert read(written(what)) == what


@pytest.mark.parametrize(
    "plain",
    [
        *("", "{}", '"and"', "[]", '["or",{}]', '["eq","/a"]', '["eq","/a",1.5]', '["eq","/a",null]', '["eq",1,"a"]'),
        *('["in","/a",[]]', '["not"]', '["not",["and"],["and"]]', '["lt","/a",[]]', '["prefix","/a",1]', '["absent"]'),
        *('["like","/a","b"]', "[" * 3000, '["and" ]', '["eq","/a","\\u0061"]', '["eq","/a","\\ud800"]'),
        '["not",' * 41 + '["and"]' + "]" * 41,
    ],
)  # fmt: skip
def test_a_text_that_no_filter_gives_is_refused(plain: str) -> None:
    with pytest.raises(Unwritten):
        read(urlsafe_b64encode(plain.encode()).rstrip(b"=").decode())


@pytest.mark.parametrize("text", ["=", "!", "龙", "WyJhbmQiXQ==", "WyJhbmQiXR", "A" * 6001])
def test_another_spelling_is_refused(text: str) -> None:
    assert read("WyJhbmQiXQ") == EVERYTHING
    with pytest.raises(Unwritten):
        read(text)


def test_what_is_too_long_or_too_deep_is_not_written() -> None:
    deep: Filter = NOTHING
    for _ in range(40):
        deep = Not(deep)
    for what in (deep, In("/a", ("x" * 5000,)), Eq("/a", "\ud800")):
        with pytest.raises(Unwritten):
            written(what)
