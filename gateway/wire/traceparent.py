"""Step 1, and step 7: the one line in which a trace travels, read strictly and written back. Pure.

Source: W3C Trace Context, sections 3.2 (traceparent) and 4 (mutating). `tracestate` and other tracers' headers are neither read nor
passed on: they may say anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

HEADER: Final = "traceparent"
# Version 00 alone: a later one may mean something else by the same places. Lower case, as section 3.2.2.2 demands.
_LINE: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16
_SAMPLED: Final = 1


@dataclass(frozen=True, slots=True)
class Parent:
    """Whom a request was made for, as a listed peer says: its trace, its span (hex), and whether that trace is kept."""

    trace: str
    span: str
    sampled: bool


def parse(lines: Iterable[str]) -> Parent | None:
    """Gives the parent that the header lines of that name say; None where there is not exactly one, or it is not well formed."""
    given = list(lines)
    read = _LINE.fullmatch(given[0]) if len(given) == 1 else None
    if read is None or read[1] == _NO_TRACE or read[2] == _NO_SPAN:
        return None
    return Parent(read[1], read[2], bool(int(read[3], 16) & _SAMPLED))


def line(trace: str, span: str, *, sampled: bool) -> str:
    """Gives the header's value for a request that we make ourselves."""
    return f"00-{trace}-{span}-{'01' if sampled else '00'}"
