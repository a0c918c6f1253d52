"""Beside the request path: policy.csv and model.conf, from bytes to rows with line numbers.

What stock Casbin would read in another way than it looks is not read at all: each finding says what it would have done.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from gateway.policy.finding import Finding, error

MODEL_FILE = "model.conf"
POLICY_FILE = "policy.csv"
_CLOSING = {")": "(", "]": "["}


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands: its line, its kind (`p`, `g`) and the columns after it, stripped."""

    line: int
    kind: str
    columns: tuple[str, ...]
    text: str


def text_of(file: str, data: bytes) -> tuple[str | None, list[Finding]]:
    """Gives the file's text when every reader would see the same lines in it, else what is wrong."""
    if not data.strip():
        return None, [
            error(
                file,
                1,
                "the file is empty",
                "A matcher could allow everything",
                "Restore it",
                rule="file-empty",
            )
        ]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        return None, [
            error(
                file, line, "it is no UTF-8", "Casbin would not load it", "Save it as UTF-8", rule="not-utf8"
            )
        ]
    findings = []
    for number, written in enumerate(text.split("\n"), 1):
        # Most lines are plain ASCII, which holds nothing strange.
        plain = written.isascii() and written.isprintable()
        strange = None if plain else next((c for c in written if _strange(c)), None)
        if strange is not None:
            name = unicodedata.name(strange, f"U+{ord(strange):04X}")
            findings.append(
                error(
                    file,
                    number,
                    f"the character {name} stands here",
                    "Readers disagree on it: a line's end, a space or part of a name",
                    "Use plain spaces and LF, no byte order mark, no tab",
                    rule="strange-character",
                )
            )
    if not text.endswith("\n"):
        findings.append(
            error(
                file,
                text.count("\n") + 1,
                "the last line has no end",
                "A file that was cut off while being written would be believed",
                "End the file with a newline",
                rule="file-cut",
            )
        )
    return (None if findings else text), findings


def _strange(character: str) -> bool:
    """Controls, separators other than space, formats (BOM, joiners, direction marks), surrogates, private use."""
    category = unicodedata.category(character)
    return category in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or (category == "Zs" and character != " ")


def rows(text: str) -> tuple[list[Row], list[Finding]]:
    """Gives the rows of a policy.csv: comments and blank lines are left out, columns are split as pycasbin splits them."""
    found: list[Row] = []
    findings: list[Finding] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        columns = _split(line)
        if columns is None:
            findings.append(
                error(
                    POLICY_FILE,
                    number,
                    "brackets do not pair",
                    "Casbin would take commas for something else than column ends, or raise",
                    "Pair them",
                    rule="brackets",
                )
            )
            continue
        found.append(Row(number, columns[0], tuple(columns[1:]), line))
    return found, findings


def _split(line: str) -> list[str] | None:
    """Columns end at commas outside of ( and [ (casbin.persist.adapter); quotes mean nothing. None when brackets do not pair."""
    stack: list[str] = []
    columns = []
    start = 0
    for at, character in enumerate(line):
        if character in "([":
            stack.append(character)
        elif character in ")]":
            if not stack or stack.pop() != _CLOSING[character]:
                return None
        elif character == "," and not stack:
            columns.append(line[start:at].strip())
            start = at + 1
    columns.append(line[start:].strip())
    return None if stack else columns
