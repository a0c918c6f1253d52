"""The corpus of request targets: written by hand, family by family, not by the code that it is held against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_DATA: dict[str, Any] = json.loads(Path(__file__).with_name("targets.json").read_text(encoding="utf-8"))

REFUSED: dict[str, list[bytes]] = {
    family: [target.encode("latin-1") for target in targets] for family, targets in _DATA["refused"].items()
}
# target, segments, query pairs
ACCEPTED: list[tuple[bytes, tuple[str, ...], tuple[tuple[str, str], ...]]] = [
    (target.encode("ascii"), tuple(segments), tuple((name, value) for name, value in query))
    for target, segments, query in _DATA["accepted"]
]
