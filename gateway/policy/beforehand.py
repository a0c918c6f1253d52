"""Step 5, inside: what conditions on who asks, when and what for settle before there is any record.

A part of a condition that names no fact and no unit of the record has its value already. A deny of such parts alone denies every record; an
allow with one of them that does not hold allows none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from gateway.policy.bundle import Line
from gateway.policy.condition import Asked, Condition, Malformed, Test, parse
from gateway.words.decision import Reason, Rule

Settled = tuple[Reason, Rule | None]
"""Why every record is denied, and by which rule where one says so."""


@dataclass(frozen=True, slots=True)
class Beforehand:
    """The rules about the record as a whole, of one party on one unit, as far as they can be asked without a record.

    denies: rules that ask nothing of it. allows: what each allow asks besides the record; empty where some allow asks nothing of the kind.
    """

    denies: tuple[tuple[Test, Line], ...]
    allows: tuple[tuple[Test, ...], ...]

    @property
    def open(self) -> bool:
        """True where the answer hangs on who asks and when."""
        return bool(self.denies or self.allows)

    def settled(self, asked: Asked) -> Settled | None:
        """Gives the denial of every record, None where some may be allowed. `asked` holds no record."""
        for test, line in self.denies:
            if _value(test, asked):
                return Reason.RULE_DENIED, line.rule
        if self.allows and not any(all(_value(test, asked) for test in tests) for tests in self.allows):
            return Reason.NO_RULE, None
        return None


def beforehand(denies: Iterable[Line], allows: Iterable[Line]) -> Beforehand:
    """Gives what of these rules can be asked without a record."""
    whole = tuple((line.condition.test, line) for line in denies if _asks_no_record(line.condition))
    besides = tuple(_tests(line.condition) for line in allows)
    return Beforehand(whole, besides if all(besides) else ())


def _asks_no_record(condition: Condition) -> bool:
    return bool(condition.parts) and len(_tests(condition)) == len(condition.parts)


def _tests(condition: Condition) -> tuple[Test, ...]:
    return tuple(test for part in condition.parts if (test := _test(part)) is not None)


@lru_cache(maxsize=4096)
def _test(part: str) -> Test | None:
    """Gives the part made ready, None where it asks for something of the record."""
    try:
        condition = parse(part)
    except Malformed:
        return None  # its normal text is longer or otherwise quoted than what may be written: it is asked with the record
    return None if condition.facts or "r.dom" in part else condition.test


def _value(test: Test, asked: Asked) -> bool:
    """What cannot be answered does not hold here: an allow that fails allows nothing, and a deny that fails is met with the record."""
    try:
        return test(asked)
    except (TypeError, KeyError):
        return False
