"""What became of recorded decisions that were made again, by the bundle that made them and by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class LeftOut(StrEnum):
    """Why a decision could not be made again."""

    ANOTHER_BUNDLE = "another-bundle"  # made by a bundle that is not at hand
    ANOTHER_ENGINE = "another-engine"  # by another engine, or another version of it
    WITHOUT_RESOURCE = "without-resource"  # the catalogue does not name its resource any more
    ASKER_UNKNOWN = "asker-unknown"  # roles of a credential, and which unit they count in is not told
    OTHERWISE = (
        "otherwise"  # not even its own bundle decides it so: an attribute, a floor, a fact that was not kept
    )


@dataclass(frozen=True, slots=True)
class Flip:
    """Decisions that would come out otherwise, alike but for their records. roles: the outermost of those that were looked at.

    what: `-` for the record as a whole, else a field. was, now: `allowed` or `denied`, or how the field is shown. seq: one example.
    """

    roles: tuple[str, ...]
    resource: str
    action: str
    purpose: str | None
    what: str
    was: str
    now: str
    count: int
    seq: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of decisions that were made again. decisions: all that were looked at. left_out: how many could not be, by `LeftOut`."""

    decisions: int
    again: int
    left_out: Mapping[str, int]
    flips: tuple[Flip, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one entry's decisions. bundle: the digest that it names. outcomes: None each where it came out the same, else why
    not; None altogether where that bundle is not at hand."""

    seq: int
    bundle: str | None
    outcomes: Sequence[LeftOut | None] | None
