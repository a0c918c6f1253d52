"""pycasbin itself, behind the same protocol: for a model that the compiler does not know, and to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import casbin
from casbin.core_enforcer import EnforceContext
from casbin.persist import Adapter, load_policy_line
from casbin.util import glob_match as _glob_match

from gateway.policy.engine.faults import Undecidable
from gateway.policy.engine.verdict import Verdict

NAME = f"pycasbin/{version('pycasbin')}"


class _Lines(Adapter):  # type: ignore[misc] # pycasbin has no types
    """Hands pycasbin the lines of a policy's text, as its own reader of files would."""

    def __init__(self, text: str) -> None:
        self._text = text

    def load_policy(self, model: object) -> None:
        """Gives each line to pycasbin's own reader of lines."""
        for line in self._text.split("\n"):
            load_policy_line(line.strip(), model)


class StockEngine:
    """Decides by `Enforcer.enforce_ex`. Raises whatever pycasbin raises when it is made."""

    name = NAME

    def __init__(self, model: str, policy: str, suffix: str = "") -> None:
        self._enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=model), _Lines(policy))
        self._context = [EnforceContext(*(letter + suffix for letter in "rpem"))] if suffix else []

    def decide(self, request: Sequence[Any]) -> Verdict:
        """Gives pycasbin's answer and the rule that it explains it by. Raises Undecidable where it raises."""
        try:
            allowed, rule = self._enforcer.enforce_ex(*self._context, *request)
        except Exception:  # noqa: BLE001 - whatever it meets: no answer
            raise Undecidable("engine.error.raises") from None
        return Verdict(allowed is True, tuple(rule) or None)


def glob_match(value: str, pattern: str) -> bool:
    """Gives pycasbin's own answer, which is another library's."""
    return bool(_glob_match(value, pattern))
