"""Beside the request path: whether one name can have a value for which several comparisons with literals all hold."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Literal = None | bool | int | str
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Bound:
    """A name that must be one of the values (`==`), none of them (`!=`), or stand in an order to the only one."""

    name: str
    op: str
    values: tuple[Literal, ...]


def holds(value: Literal, bound: Bound) -> bool:
    """True when the comparison holds for that value; one that fails does not hold. Python's equality, as both engines': 1 is True."""
    if bound.op == "==":
        return any(value == one for one in bound.values)
    if bound.op == "!=":
        return not any(value == one for one in bound.values)
    try:
        return _ORDERS[bound.op](value, bound.values[0])
    except TypeError:
        return False


def can_hold(domain: Sequence[Literal] | None, bounds: Sequence[Bound]) -> bool:
    """False when no value makes all hold. domain: every value that the name can have, None where it can have any."""
    chosen = domain
    if chosen is None:
        chosen = next((bound.values for bound in bounds if bound.op == "=="), None)
    if chosen is not None:
        return any(all(holds(value, bound) for bound in bounds) for value in chosen)
    limits = [(bound.op, bound.values[0]) for bound in bounds if bound.op in _ORDERS]
    others = [value for bound in bounds if bound.op == "!=" for value in bound.values]
    numbers = [(op, int(value)) for op, value in limits if isinstance(value, int)]
    texts = [(op, value) for op, value in limits if isinstance(value, str)]
    if len(numbers) == len(limits):
        return _a_number(numbers, others)
    if len(texts) == len(limits):
        return _a_text(texts, others)
    return False  # nothing is ordered beside a number and a text, or beside None


def _a_number(limits: Sequence[tuple[str, int]], others: Sequence[Literal]) -> bool:
    """Whole numbers only: a fraction is no fact."""
    low = [value + (op == ">") for op, value in limits if op in (">", ">=")]
    high = [value - (op == "<") for op, value in limits if op in ("<", "<=")]
    if not low or not high:
        return True
    # Soon found: there are no more exceptions than a condition has literals.
    return any(number not in others for number in range(max(low), min(high) + 1))


def _a_text(limits: Sequence[tuple[str, str]], others: Sequence[Literal]) -> bool:
    low = [(value, op == ">") for op, value in limits if op in (">", ">=")]
    high = [(value, op == "<") for op, value in limits if op in ("<", "<=")]
    if not low or not high:
        return not any(op == "<" and value == "" for op, value in limits)
    (least, above), (most, below) = max(low), min((value, not under) for value, under in high)
    below = not below
    if least == most:
        return not above and not below and least not in others
    return least < most
