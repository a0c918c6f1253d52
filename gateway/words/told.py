"""What a caller is told of a denial: made from what he sent and from his own roles, and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.words.decision import Reason


class Cause(StrEnum):
    """Closed list of what a caller can do something about."""

    PURPOSE_NOT_HELD = "purpose-not-held"  # he named none of his credential's purposes
    OTHER_PURPOSE = "other-purpose"  # his roles may do it for another purpose of his credential's
    APPLICATION = "application"  # the application may not, whoever it acts for
    ROLES = "roles"  # no role of his allows it
    FORBIDDEN = "forbidden"  # a rule forbids it to a role of his
    WHO_OR_WHEN = "who-or-when"  # his roles may allow it, to somebody else, for somebody, or at another time, whatever the record is
    DEPENDS = "depends"  # his roles may allow it; it hangs on the record or the moment, and which of both is not said
    UNDECIDED = "undecided"  # there is no policy, or it cannot answer


@dataclass(frozen=True, slots=True)
class Told:
    """The caller's part of an explanation.

    reason:   as the decision's where no record can change it, else NO_RULE: which rule met a record says something of the record.
    purposes: those of his own credential for which his roles may do it. roles: his own, as `role` or `role@unit`.
    Promises: no fact, no record and no role of anybody else's stands here or has any part in it.
    """

    reason: Reason
    cause: Cause
    action: str
    purpose: str | None = None
    application: str = ""
    purposes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
