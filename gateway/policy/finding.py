"""Beside the request path: what a load or `policy check` says about the files, one value a finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error refuses the bundle; a warning is shown and does not, unless `--strict` asks for it; a note is only told."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing about one line.

    what: what stands there. would_have: what Casbin would have made of it. suggestion: what to write instead.
    rule: which kind of finding it is, one of kinds.KINDS; never renamed, so that it can be counted and passed over.
    Promises: names, columns and line numbers of the policy only; policies hold no personal data, and cases hold invented people.
    """

    file: str
    line: int
    severity: Severity
    what: str
    would_have: str
    suggestion: str
    rule: str = "other"

    def __str__(self) -> str:
        said = (text for text in (self.what, self.would_have, self.suggestion) if text)
        # A text may be a question, which needs no full stop behind it.
        return f"{self.file}:{self.line}: {self.severity}: " + " ".join(
            text if text.endswith((".", "?")) else f"{text}." for text in said
        )


def error(
    file: str, line: int, what: str, would_have: str, suggestion: str, *, rule: str = "other"
) -> Finding:
    """Gives a finding that refuses the bundle."""
    return Finding(file, line, Severity.ERROR, what, would_have, suggestion, rule)


def warning(
    file: str, line: int, what: str, would_have: str, suggestion: str, *, rule: str = "other"
) -> Finding:
    """Gives a finding that is shown, and counts where `--strict` asks for it."""
    return Finding(file, line, Severity.WARNING, what, would_have, suggestion, rule)


def note(
    file: str, line: int, what: str, would_have: str, suggestion: str, *, rule: str = "other"
) -> Finding:
    """Gives a finding that is only told."""
    return Finding(file, line, Severity.NOTE, what, would_have, suggestion, rule)
