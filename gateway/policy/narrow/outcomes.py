"""Step 5 for a list: what a condition gives, as filters. For each of its three outcomes the records on which it may have that one.

A condition holds, does not hold, or fails (`<` between a text and nothing, a value that is no fact), and a failure denies. So each
outcome has a filter of its own, made from those of the parts without a single negation: a filter that takes too many records stays
one that takes too many, however it is joined. What is known to be neither too much nor too little is `exact`, and it alone is negated.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.words.filter import EVERYTHING, NOTHING, Filter, both, either, negated


@dataclass(frozen=True, slots=True)
class Over:
    """Records that an outcome is possible on. Promises: takes every record of that outcome; exact: and no other."""

    filter: Filter
    exact: bool


ALL, NONE = Over(EVERYTHING, True), Over(NOTHING, True)
ANY = Over(EVERYTHING, False)
"""Nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Three:
    """A condition's outcomes: it holds, it does not, it fails. Every record is in one of them."""

    true: Over
    false: Over
    failed: Over


HOLDS, FALLS, FAILS = Three(ALL, NONE, NONE), Three(NONE, ALL, NONE), Three(NONE, NONE, ALL)
UNKNOWN = Three(ANY, ANY, ANY)


def meet(*parts: Over) -> Over:
    """Gives the records on which all are possible."""
    if NONE in parts:
        return NONE
    return Over(both(part.filter for part in parts), all(part.exact for part in parts))


def join(*parts: Over) -> Over:
    """Gives the records on which any is possible."""
    if ALL in parts:
        return ALL
    return Over(either(part.filter for part in parts), all(part.exact for part in parts))


def without(part: Over) -> Over:
    """Gives the records on which the outcome is not the case: those that are not taken, where it is known to take no other."""
    return Over(negated(part.filter), True) if part.exact else ANY


def opposite(of: Three) -> Three:
    """Gives `not`: what fails, fails still."""
    return Three(of.false, of.true, of.failed)


def conjunction(first: Three, second: Three) -> Three:
    """Gives `first and second`: the second is asked only where the first holds."""
    # Where the first never fails, it holds wherever it does not fall: the shorter filter says the same.
    asked = second.false if first.failed == NONE else meet(first.true, second.false)
    return Three(
        meet(first.true, second.true),
        join(first.false, asked),
        join(first.failed, meet(first.true, second.failed)),
    )


def disjunction(first: Three, second: Three) -> Three:
    """Gives `first or second`: the second is asked only where the first does not hold."""
    return opposite(conjunction(opposite(first), opposite(second)))
