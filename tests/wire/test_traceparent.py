"""The line in which a trace travels: read in one way or not at all, and written so that it can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.traceparent import Parent, line, parse

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)]
)
def test_a_parent_is_read_with_its_sampling_flag_and_no_other(flags: str, sampled: bool) -> None:
    assert parse([f"00-{TRACE}-{SPAN}-{flags}"]) == Parent(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "given",
    [
        [],
        [""],
        [GOOD, GOOD],
        [GOOD, ""],
        [GOOD.upper()],
        [GOOD + " "],
        [" " + GOOD],
        [GOOD + "\n"],
        [GOOD + "-00"],
        ["01" + GOOD[2:]],
        ["ff" + GOOD[2:]],
        [GOOD[3:]],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE[:-1]}-{SPAN}-01"],
        [f"00-{TRACE}0-{SPAN}-01"],
        [f"00-{TRACE}-{SPAN}-1"],
        [f"00-{TRACE}-{SPAN}-0g"],
        [f"00_{TRACE}_{SPAN}_01"],
        [f"00-{TRACE[:-1]}\uff11-{SPAN}-01"],
        [f"00-{'13800138000'.rjust(32, 'g')}-{SPAN}-01"],
        [f"{GOOD},{GOOD}"],
    ],
)
def test_what_is_not_exactly_one_line_of_that_form_is_no_parent(given: list[str]) -> None:
    assert parse(given) is None


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8), st.booleans())
def test_what_is_written_is_read(trace: bytes, span: bytes, sampled: bool) -> None:
    expected = Parent(trace.hex(), span.hex(), sampled) if any(trace) and any(span) else None
    assert parse([line(trace.hex(), span.hex(), sampled=sampled)]) == expected


@given(st.text())
def test_whatever_is_sent_it_is_read_or_it_is_none(text: str) -> None:
    found = parse([text])
    assert found is None or line(found.trace, found.span, sampled=found.sampled)[:53] == text[:53]
