"""A policy folder's remarks, as findings beside those of a review. Imported only where they are asked for: a start needs none of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.plainfile import read_plain
from gateway.policy.engine.faults import MODEL
from gateway.policy.finding import Finding, warning
from gateway.policy.kinds import KINDS
from gateway.policy.load import MAX_FILE_BYTES
from gateway.policy.portable.files import remarks
from gateway.policy.portable.remark import Remark
from gateway.policy.review import Review
from gateway.policy.source import MODEL_FILE, POLICY_FILE


def with_remarks(found: Review, folder: Path) -> Review:
    """Gives the review with what is not portable of its folder; as it is where the folder could not run."""
    if found.engine is None:
        return found
    files = (read_plain(folder / name, MAX_FILE_BYTES).decode() for name in (MODEL_FILE, POLICY_FILE))
    more = [_finding(remark) for remark in remarks(*files)]
    return replace(found, findings=tuple(sorted((*found.findings, *more))))


def _finding(remark: Remark) -> Finding:
    kind = KINDS[remark.kind]
    file = MODEL_FILE if remark.file == MODEL else POLICY_FILE
    would_have, suggestion = (f"{text[:1].upper()}{text[1:]}" for text in (kind.would_have, kind.do))
    return warning(
        file, remark.line, f"not portable: {remark.part}", would_have, suggestion, rule=remark.kind
    )
