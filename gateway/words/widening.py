"""What a change of policy or catalogue could give to somebody: found before it acts, and the reason why a second person is asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.words.decision import Rule


class Why(StrEnum):
    """How a change could widen somebody's access. A change without any of these is proven to widen nobody's."""

    ALLOWED = "allowed"  # a rule allows what none allowed before
    ROLE = "role"  # somebody holds a role that he did not hold, and that allows something
    NO_LONGER_DENIED = "no-longer-denied"  # what a rule denied is denied by none
    NO_LONGER_FAILS = (
        "no-longer-fails"  # a rule that could not be answered on some record denied it, and stands no more
    )
    TOKEN_FOR_MASK = "token-for-mask"  # noqa: S105 - no secret: where no mask is shown a token now is
    PURPOSE = "purpose"  # a purpose that nobody could state before
    CLOCK = "clock"  # conditions on the hour or the day mean another time
    ENGINE = "engine"  # one of both runs on stock Casbin's own evaluation: nothing can be proven about it
    CATALOGUE = "catalogue"  # what there is, or what a name means, is another
    TOO_MUCH = "too-much"  # more changed than is looked through
    DECOY = "decoy"  # a record that gave whoever touched it away is a decoy no more
    BUDGET = "budget"  # somebody is bound by a budget no more, or less tightly


@dataclass(frozen=True, slots=True)
class Widening:
    """One reason. rule: where it stands, in the old files where `was`, else in the new. holder, unit: for whom and where, as an example.

    about: a role's or a purpose's name, or a place in the catalogue. Promises: names of policy and catalogue only.
    """

    why: Why
    rule: Rule | None = None
    was: bool = False
    holder: str | None = None
    unit: str | None = None
    about: str | None = None
