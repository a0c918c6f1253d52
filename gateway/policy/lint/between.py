"""Beside the request path: what only shows between the rows of policy.csv. Each refuses the bundle but the last."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.policy.finding import Finding, error, warning
from gateway.policy.source import POLICY_FILE, Row
from gateway.policy.vocabulary import Vocabulary


def empty(rows: Sequence[Row]) -> list[Finding]:
    """A policy that allows nothing."""
    if any(row.kind == "p" and row.columns[-1:] == ("allow",) for row in rows):
        return []
    return [
        error(
            POLICY_FILE,
            1,
            "no rule allows anything",
            "A half-written file looks so",
            "Restore it",
            rule="no-allow",
        )
    ]


def twice(rows: Sequence[Row]) -> list[Finding]:
    """A row that stands twice, or beside its own opposite."""
    findings = []
    seen: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = (row.kind, *row.columns)
        first = seen.setdefault(key, row)
        opposite = seen.get((*key[:-1], "allow")) if key[-1] == "deny" else seen.get((*key[:-1], "deny"))
        if first is not row:
            findings.append(
                error(
                    POLICY_FILE,
                    row.line,
                    f"the same as line {first.line}",
                    "Removing one would leave the other",
                    "Remove one",
                    rule="duplicate",
                )
            )
        elif row.kind == "p" and opposite is not None:
            findings.append(
                error(
                    POLICY_FILE,
                    row.line,
                    f"the opposite of line {opposite.line}",
                    "The deny wins: the allow is dead",
                    "Keep one",
                    rule="opposite",
                )
            )
    return findings


def unused(rows: Sequence[Row], vocabulary: Vocabulary) -> list[Finding]:
    """A role that is given, has no rule and inherits none."""
    used = {row.columns[0] for row in rows if row.kind == "p"}
    linked = {row.columns[1]: row for row in rows if row.kind == "g"}
    heirs = {row.columns[0] for row in rows if row.kind == "g"}
    return [
        warning(
            POLICY_FILE,
            row.line,
            f"`{role}` has no rule",
            "It gives nothing",
            "Remove it",
            rule="role-without-rule",
        )
        for role, row in sorted(linked.items())
        if role not in used | heirs and role in vocabulary.roles
    ]
