"""Beside step 5: what an explanation says, as one value. Names, rules, facts and disclosures; never a record's value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.words.access import Access
from gateway.words.decision import Decision, Disclosure, Facts, FactValue, Reason, Rule
from gateway.words.json import Pattern
from gateway.words.resource import FieldClass, ResourceSpec
from gateway.words.told import Told

Said = None | bool | int | str | tuple[str, ...]
"""What a name of a condition stood for."""


@dataclass(frozen=True, slots=True)
class Posed:
    """A question as it was posed, with the facts that it was decided on."""

    access: Access
    resource: ResourceSpec
    facts: Facts


class Column(StrEnum):
    """What of a rule did not fit."""

    ROLE = "role"
    UNIT = "unit"
    PURPOSE = "purpose"
    CONDITION = "condition"


class Kind(StrEnum):
    """What can be otherwise in a question. The order is that of how much it asks of others: from another header to another record."""

    PURPOSE = "purpose"  # state another purpose that the credential holds
    TIME = "time"  # ask at another hour, day of the week or date
    CREDENTIAL = "credential"  # use a credential that holds the purpose
    ROLE = "role"  # hold a role within a unit
    ATTRIBUTE = "attribute"  # be somebody with another attribute
    FACT = "fact"  # ask about a record with another fact


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is otherwise. party: whose role or attribute. name: of the fact, attribute or part of the time. unit: of a role."""

    kind: Kind
    name: str
    value: Said
    party: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """A rule that applied to a party. failed: its condition could not be evaluated, which denies."""

    party: str
    rule: Rule
    allows: bool
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Near:
    """A rule that did not apply to a party because of exactly one thing.

    wanted: the role, unit or purpose of its column, or the one part of its condition that was not true. found: what stood there instead,
    by name. change: what would make the rule apply, None where nothing of the question's own can.
    """

    party: str
    rule: Rule
    allows: bool
    column: Column
    wanted: str
    found: Mapping[str, Said]
    change: Change | None


@dataclass(frozen=True, slots=True)
class Seen:
    """A fact that was looked at. fit: False where the record holds something that is no fact, and `value` is then None."""

    name: str
    value: FactValue
    fit: bool = True


class Why(StrEnum):
    """Why a field is shown as it is, or may not be set."""

    RULE = "rule"  # a rule says so
    DEFAULT = "default"  # no rule shows it
    FORBIDDEN = "forbidden"  # a rule forbids to show it wider
    UNANSWERABLE = "unanswerable"  # a condition could not be evaluated
    NARROWED = "narrowed"  # another party sees less of it
    SERVER_SET = "server-set"  # the upstream sets it
    DENIED = "denied"  # the record is not allowed at all


@dataclass(frozen=True, slots=True)
class PartyShown:
    """How one party would see a field, and by which rule."""

    party: str
    shown: Disclosure
    why: Why
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class FieldSaid:
    """One field: how it is shown, why, and how each party would see it; whether it may be set, and why."""

    pattern: Pattern
    cls: FieldClass
    shown: Disclosure
    why: Why
    parties: tuple[PartyShown, ...]
    settable: bool
    set_why: Why
    set_rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class PartyVerdict:
    """What the rules say to one party about the record as a whole. roles: those that counted on this record."""

    party: str
    roles: tuple[str, ...]
    reason: Reason
    rule: Rule | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a question came out as it did.

    decision: the engine's own; everything beside it was read from the rules once more and agrees with it.
    whole:    False where the bundle runs on pycasbin: then nothing but the decision, the ways and the caller's part is known.
    rules:    those that applied, for and against. near: those that one thing kept from applying.
    ways:     the smallest changes of the question under which the engine allows it, smallest first; empty where it is allowed, and
              where no change was found.
    told:     what the caller is told, made without the facts.
    """

    posed: Posed
    decision: Decision
    whole: bool
    verdicts: tuple[PartyVerdict, ...]
    rules: tuple[Heard, ...]
    near: tuple[Near, ...]
    facts: tuple[Seen, ...]
    fields: tuple[FieldSaid, ...]
    ways: tuple[tuple[Change, ...], ...]
    told: Told

    @property
    def allowed(self) -> bool:
        """Whether it is allowed."""
        return self.decision.allowed
