"""What arithmetic may do: the operators of pycasbin's evaluator, each with a bound on what it makes.

Where pycasbin has a bound of its own, it is the same one. Where it has none that would help (a power of two large numbers, a text
formatted by `%`), the operation is an error here: no such request is ever allowed.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

MAX_LENGTH = 100_000
"""Of a text or list that `+` or `*` makes (simpleeval.MAX_STRING_LENGTH)."""
MAX_BITS = 100_000
"""Of a whole number that `**` makes; pycasbin would go on to numbers of millions of digits."""
MAX_SHIFT = 10_000


class Unbounded(ArithmeticError):
    """The operation would make something too large."""


def add(one: Any, other: Any) -> Any:
    """Gives `one + other`."""
    if hasattr(one, "__len__") and hasattr(other, "__len__") and len(one) + len(other) > MAX_LENGTH:
        raise Unbounded
    return one + other


def multiply(one: Any, other: Any) -> Any:
    """Gives `one * other`."""
    for many, times in ((one, other), (other, one)):
        if hasattr(many, "__len__") and times * len(many) > MAX_LENGTH:
            raise Unbounded
    return one * other


def modulo(one: Any, other: Any) -> Any:
    """Gives `one % other` of numbers. Of a text it would be a format, and `%999999999d` is a gigabyte."""
    if isinstance(one, str):
        raise Unbounded
    return one % other


def power(one: Any, other: Any) -> Any:
    """Gives `one ** other` of numbers."""
    if isinstance(one, int) and isinstance(other, int) and one.bit_length() * abs(other) > MAX_BITS:
        raise Unbounded
    return one**other


def shift_left(one: Any, other: Any) -> Any:
    """Gives `one << other`."""
    if abs(other) > MAX_SHIFT or one.bit_length() > MAX_BITS:
        raise Unbounded
    return one << other


def shift_right(one: Any, other: Any) -> Any:
    """Gives `one >> other`."""
    if abs(other) > MAX_SHIFT:
        raise Unbounded
    return one >> other


BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: add,
    ast.Sub: operator.sub,
    ast.Mult: multiply,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: modulo,
    ast.Pow: power,
    ast.LShift: shift_left,
    ast.RShift: shift_right,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
ORDER: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
EQUAL: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {ast.Eq: operator.eq, ast.NotEq: operator.ne}
