"""What an engine answers, and what an engine is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol


class Verdict(NamedTuple):
    """allowed; and the rule that decided, without its kind, as pycasbin explains it. None where no rule matched."""

    allowed: bool
    rule: tuple[str, ...] | None


class Engine(Protocol):
    """One model and its rules, ready to decide. The same answers from every implementation.

    name: what decided, for the answer.
    """

    name: str

    def decide(self, request: Sequence[Any]) -> Verdict:
        """Gives the verdict on one request: values as JSON has them, in the model's order.

        Raises Undecidable, and nothing else, where there is no answer: that is never an allow.
        """
        ...
