"""How much of a campaign is run: a small seeded count in `make test`, the full one in `make proof` (GATEHOUSE_PROOF=1)."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import TypeVar

import pytest

Test = TypeVar("Test", bound=Callable[..., object])
SEED = int(os.environ.get("GATEHOUSE_TEST_SEED", "20261121"))


def proving() -> bool:
    """True when the full counts are asked for."""
    return os.environ.get("GATEHOUSE_PROOF") == "1"


def in_proof_alone(why: str = "a minute of waiting") -> Callable[[Test], Test]:
    """Marks a test that `make test` passes over, and says why; as a campaign it is found by `make proof`, or it would run nowhere."""
    passed_over = pytest.mark.skipif(not proving(), reason=f"{why}: in `make proof`")
    return lambda test: pytest.mark.campaign(passed_over(test))


def count(small: int, full: int) -> int:
    """Gives the count of this run."""
    return full if proving() else small


def dice(name: str) -> random.Random:
    """Gives the campaign's own dice: equal for equal seed and name."""
    return random.Random(f"{SEED}:{name}")
