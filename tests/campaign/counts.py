"""How much of a campaign is run: a small seeded count in `make test`, the full one in `make proof` (GATEHOUSE_PROOF=1)."""

from __future__ import annotations

import os
import random

SEED = int(os.environ.get("GATEHOUSE_TEST_SEED", "20261121"))


def proving() -> bool:
    """True when the full counts are asked for."""
    return os.environ.get("GATEHOUSE_PROOF") == "1"


def count(small: int, full: int) -> int:
    """Gives the count of this run."""
    return full if proving() else small


def dice(name: str) -> random.Random:
    """Gives the campaign's own dice: equal for equal seed and name."""
    return random.Random(f"{SEED}:{name}")
