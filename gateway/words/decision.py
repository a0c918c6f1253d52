"""The decision as a value: it feeds the answer, the entry, the explanation and the 403 alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from gateway.words.json import Json, Pattern

FactValue = None | bool | int | str | tuple[str, ...]
MAX_FACT_INTEGER = 2**53 - 1  # beyond it an entry could not hold it
MAX_FACT_TEXT = 4096  # characters, those of a list's texts together
MAX_FACT_TEXTS = 256


def may_be_fact(value: FactValue) -> bool:
    """True for what an entry can hold: nothing is decided on a value that could not be recorded."""
    if isinstance(value, str):
        return len(value) <= MAX_FACT_TEXT
    if isinstance(value, tuple):
        return len(value) <= MAX_FACT_TEXTS and sum(map(len, value)) <= MAX_FACT_TEXT
    return value is None or -MAX_FACT_INTEGER <= value <= MAX_FACT_INTEGER


class Unfit(Exception):
    """A value that stands where a fact belongs and can be none: of a type that no rule compares, or too large for an entry."""


def as_fact(value: Json) -> FactValue:
    """Gives the value as a fact: text, whole number, boolean, list of texts; None, which is absent, for null alone.

    Raises Unfit for any other value. It is never taken for absent: a deny would be escaped by making its fact too large.
    """
    if type(value) is str and len(value) <= MAX_FACT_TEXT:  # nearly every one
        return value
    fact: FactValue
    if value is None or isinstance(value, bool | int | str):
        fact = value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        fact = tuple(str(item) for item in value)
    else:
        raise Unfit
    if not may_be_fact(fact):
        raise Unfit
    return fact


class Disclosure(IntEnum):
    """How a field may be shown. MASKED and TOKEN do not compare: where both apply nothing is shown."""

    CLEAR = 0
    MASKED = 1
    TOKEN = 2
    WITHHELD = 3

    @property
    def word(self) -> str:
        """The lower-case word that entries use."""
        return self.name.lower()


def narrower(one: Disclosure, other: Disclosure) -> Disclosure:
    """Gives the narrower of two: MASKED with TOKEN is WITHHELD."""
    if one != other and {one, other} == {Disclosure.MASKED, Disclosure.TOKEN}:
        return Disclosure.WITHHELD
    return max(one, other)


@dataclass(frozen=True, slots=True)
class FieldView:
    """Disclosure by field pattern; a pattern that is not named is WITHHELD."""

    by_pattern: Mapping[Pattern, Disclosure] = field(default_factory=dict)

    def of(self, pattern: Pattern) -> Disclosure:
        """Gives the disclosure of a catalogued pattern."""
        return self.by_pattern.get(pattern, Disclosure.WITHHELD)

    def meet(self, other: FieldView) -> FieldView:
        """Gives the narrower of both, field by field."""
        return FieldView(
            {p: narrower(d, other.of(p)) for p, d in self.by_pattern.items() if p in other.by_pattern}
        )


NOTHING_SHOWN = FieldView()


@dataclass(frozen=True, slots=True)
class Floors:
    """What no policy, role or grant lifts. Refusals and holds join when their rooms exist."""

    erased: bool = False
    held: bool = False
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """Non-personal facts about the record (unit, region, owner, level, tags …), and its floors. Absent is a fact: None.

    unfit: names under which the record holds a value that is no fact (see `as_fact`). They stand in no entry, and a rule that asks
           for one of them cannot be answered.
    """

    values: Mapping[str, FactValue] = field(default_factory=dict)
    floors: Floors = Floors()
    unfit: frozenset[str] = frozenset()


class DecidedBy(StrEnum):
    """Which of the three layers decided."""

    FLOOR = "floor"
    BUNDLE = "bundle"
    GRANT = "grant"


class Reason(StrEnum):
    """Closed list of why."""

    RULE_ALLOWED = "rule-allowed"
    RULE_DENIED = "rule-denied"
    NO_RULE = "no-rule"
    PURPOSE_NOT_HELD = "purpose-not-held"
    ERASED = "erased"
    REFUSED_BY_CUSTOMER = "refused-by-customer"
    ON_HOLD = "on-hold"
    GRANT_ALLOWED = "grant-allowed"
    ENGINE_ERROR = "engine-error"
    NO_BUNDLE = "no-bundle"


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule that decided: where it stands and its text, as an administrator would look for it."""

    file: str
    line: int
    text: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Obligation:
    """Something that must be done for the decision to hold (e.g. `watermark`)."""

    name: str
    params: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """Step 5's outcome.

    read:    how each field may be shown. write: patterns that this principal may set.
    roles:   the roles that were looked at, application's and person's, for the entry.
    bundle:  digest (`sha256:…`) of the policy that decided. facts: what it decided on. engine: name and version.
    fence:   the fence that everything cached for this decision was read at.
    Promises: `allowed` is False for every reason that is not RULE_ALLOWED or GRANT_ALLOWED, and then `read` and `write` are empty.
    """

    allowed: bool
    reason: Reason
    by: DecidedBy
    rule: Rule | None
    read: FieldView
    write: frozenset[Pattern]
    facts: Facts
    bundle: str
    engine: str
    fence: int
    roles: tuple[str, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    grant: str | None = None

    def __post_init__(self) -> None:
        if self.allowed != (self.reason in (Reason.RULE_ALLOWED, Reason.GRANT_ALLOWED)):
            raise ValueError("a decision allows exactly for the reasons that allow")
        if not self.allowed and (self.read.by_pattern or self.write):
            raise ValueError("a denial shows and sets nothing")
