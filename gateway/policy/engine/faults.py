"""What can be wrong with a model, with its rules, and with one request. Values only; the words for people are in gateway/text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MODEL, POLICY = "model", "policy"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that refuses a model or its rules.

    file: MODEL or POLICY. line: from 1. key: of the message catalogue. params: its placeholders; names, columns and patterns as
    the files spell them, never a request's value.
    """

    file: str
    line: int
    key: str
    params: dict[str, str | int] = field(default_factory=dict)


class Unfit(Exception):
    """The files are refused: nothing is decided by them, on any engine. Carries every fault that was found, in order of lines."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(", ".join(f"{f.file}:{f.line}: {f.key}" for f in self.faults))


class Beyond(Exception):
    """What the compiler does not know and pycasbin does: the model runs there. `part` is the model's own text."""

    def __init__(self, part: str) -> None:
        self.part = part
        super().__init__(part)


class Undecidable(Exception):
    """One request has no answer: pycasbin would raise, or would have compared Python's own methods. Never an allow."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)
