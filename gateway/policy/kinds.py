"""Beside the request path: every kind of finding, by the id under which it is counted and passed over (kinds.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.policy.finding import Severity


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of finding says, what would have happened, and what to do. Sentences without their capital and full stop."""

    severity: Severity
    meaning: str
    would_have: str
    do: str


def _read() -> dict[str, Kind]:
    said = tomllib.loads(Path(__file__).with_name("kinds.toml").read_text(encoding="utf-8"))
    return {
        rule: Kind(Severity(row["severity"]), row["meaning"], row["would_have"], row["do"])
        for rule, row in said.items()
    }


KINDS: Mapping[str, Kind] = _read()
