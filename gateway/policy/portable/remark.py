"""One thing that is not portable: where it stands, and which kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SHOWN = 60
"""Characters of a part that a remark repeats."""

SPOKEN: Mapping[str, str] = {
    "portable-words": "portable.words",
    "portable-constants": "portable.constants",
    "portable-in": "portable.in",
    "portable-chain": "portable.chain",
    "portable-python": "portable.python",
    "portable-operator": "portable.operator",
    "portable-touching": "portable.touching",
    "portable-negation": "portable.negation",
    "portable-brackets": "portable.brackets",
    "portable-number": "portable.number",
    "portable-literal": "portable.literal",
    "portable-number-text": "portable.number-text",
    "portable-date": "portable.date",
    "portable-absent": "portable.absent",
    "portable-function": "portable.function",
    "portable-regex": "portable.regex",
    "portable-unanchored": "portable.unanchored",
    "portable-path": "portable.path",
    "portable-address": "portable.address",
    "portable-quote": "portable.quote",
    "portable-comma": "portable.comma",
    "portable-blank": "portable.blank",
    "portable-semicolon": "portable.semicolon",
    "portable-bar": "portable.bar",
    "portable-section": "portable.section",
}
"""Every kind by its id in kinds.toml, and its text in the message catalogue."""


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """file: faults.MODEL or faults.POLICY. line: from 1. kind: a key of SPOKEN. part: the file's own text, short."""

    file: str
    line: int
    kind: str
    part: str


Found = tuple[str, str]
"""A kind and the part that it is about, before anybody knows the line."""


def short(text: str) -> str:
    """Gives a part as a remark repeats it."""
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
