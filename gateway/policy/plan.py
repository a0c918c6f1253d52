"""Step 5, inside: the compiled form. One principal's question, with everything that does not depend on the record worked out beforehand.

For a unit, the rows that can apply are known; what remains are their conditions. Each distinct condition is evaluated once a record, and
the vector of outcomes names one of a few finished outcomes: decision, read view, write view.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from gateway.policy.beforehand import beforehand
from gateway.policy.bundle import ANY, SET, SHOW_CLEAR, SHOW_MASKED, SHOW_TOKEN, Bundle, Line, resource_name
from gateway.policy.condition import Asked, Condition, Test
from gateway.words.decision import NOTHING_SHOWN, Disclosure, FieldView, Reason, Rule, narrower
from gateway.words.json import Pattern
from gateway.words.principal import ANYWHERE, Party
from gateway.words.resource import FieldSpec, ResourceSpec

TRUE, FAILED = True, 2  # what a condition gave besides False: its truth, or that it could not be evaluated
MAX_OUTCOMES = 4096
LADDER = (
    (SHOW_CLEAR, Disclosure.CLEAR),
    (SHOW_MASKED, Disclosure.MASKED),
    (SHOW_TOKEN, Disclosure.TOKEN),
)
"""A party's disclosure of a field is the first of these that it is allowed; none: withheld."""
RECORD = "-"
"""The field column of rules about the record as a whole."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished answer, shared by every record with the same outcomes of conditions."""

    reason: Reason
    rule: Rule | None
    read: FieldView
    write: frozenset[Pattern]

    @property
    def allowed(self) -> bool:
        """True when a rule allowed and none denied, for every party."""
        return self.reason is Reason.RULE_ALLOWED


def denial(reason: Reason, rule: Rule | None = None) -> Outcome:
    """Gives the outcome that shows and sets nothing."""
    return Outcome(reason, rule, NOTHING_SHOWN, frozenset())


@dataclass(frozen=True, slots=True)
class Query:
    """The rows that can speak about one action on one field for one party, each with its condition's place in the vector."""

    denies: tuple[tuple[int, Line], ...]
    allows: tuple[tuple[int, Line], ...]

    def verdict(self, vector: Sequence[int]) -> tuple[Reason, Rule | None]:
        """Deny over allow over nothing; a failed condition denies, since pycasbin would have raised."""
        failed = False
        for place, line in self.denies:
            if vector[place] == TRUE:
                return Reason.RULE_DENIED, line.rule
            failed = failed or vector[place] == FAILED
        first: Rule | None = None
        for place, line in self.allows:
            if vector[place] == TRUE and first is None:
                first = line.rule
            failed = failed or vector[place] == FAILED
        if failed:
            return Reason.ENGINE_ERROR, None
        return (Reason.NO_RULE, None) if first is None else (Reason.RULE_ALLOWED, first)

    def allowed(self, vector: Sequence[int]) -> bool:
        """True when the verdict allows."""
        return self.verdict(vector)[0] is Reason.RULE_ALLOWED


Rungs = tuple[tuple[Query, Disclosure], ...]
"""How a field may be seen, widest first."""


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One field's rungs, and whether it may be set."""

    spec: FieldSpec
    rungs: Rungs
    set: Query

    def disclosure(self, vector: Sequence[int]) -> Disclosure:
        """Gives how the party may see the field."""
        return next(
            (shown for query, shown in self.rungs if query.allows and query.allowed(vector)),
            Disclosure.WITHHELD,
        )


@dataclass(frozen=True, slots=True)
class PartyPlan:
    """What one party may do on records of one unit. `roles` were looked at."""

    record: Query
    fields: tuple[FieldPlan, ...]
    conditions: tuple[Condition, ...]
    tests: tuple[Test, ...]  # theirs, in the same order
    roles: frozenset[str]

    def vector(self, asked: Asked) -> tuple[int, ...]:
        """Evaluates each distinct condition once."""
        try:
            return tuple([test(asked) for test in self.tests])
        except (TypeError, KeyError):
            return tuple([_outcome(test, asked) for test in self.tests])


def _outcome(test: Test, asked: Asked) -> int:
    try:
        return test(asked)
    except (TypeError, KeyError):
        return FAILED


class _Places:
    """Gives each distinct condition a place in the vector."""

    def __init__(self) -> None:
        self.conditions: list[Condition] = []
        self._places: dict[str, int] = {}

    def of(self, condition: Condition) -> int:
        """Gives the place, the same for the same text."""
        place = self._places.get(condition.text)
        if place is None:
            place = self._places[condition.text] = len(self.conditions)
            self.conditions.append(condition)
        return place


def effective_roles(bundle: Bundle, party: Party, unit: str) -> frozenset[str]:
    """Gives every role of the party that counts on a record of that unit."""
    holders = [party.id, *(held.role for held in party.roles if held.unit in (unit, ANYWHERE))]
    reached: set[str] = set()
    for holder in holders:
        reached |= bundle.roles.effective(holder, unit)
    return frozenset(name for name in reached if name.startswith("role:"))


def party_plan(
    bundle: Bundle, party: Party, unit: str, action: str, purpose: str, resource: ResourceSpec
) -> PartyPlan:
    """Works out what one party may do on records of one unit."""
    roles = effective_roles(bundle, party, unit)
    res = resource_name(resource)
    places = _Places()

    def applying(act: str) -> list[Line]:
        return [line for line in bundle.rules.about(roles, res, act, purpose) if line.unit in (unit, ANY)]

    def query(lines: Iterable[Line], names: tuple[str, ...]) -> Query:
        fitting = [(places.of(line.condition), line) for line in lines if line.field in names]
        return Query(
            tuple(pair for pair in fitting if not pair[1].allows),
            tuple(pair for pair in fitting if pair[1].allows),
        )

    record = query(applying(action), (RECORD, ANY))
    shows = [(applying(act), shown) for act, shown in LADDER]
    sets = applying(SET)
    named = {line.field for lines, _shown in shows for line in lines} | {line.field for line in sets}
    same: dict[tuple[str, str], tuple[Rungs, Query]] = {}  # fields of a class that no rule names are alike
    fields = []
    for spec in resource.fields if record.allows else ():
        names = (spec.pattern if spec.pattern in named else "", spec.cls.value)
        made = same.get(names)
        if made is None:
            rungs = tuple((query(lines, (*names, ANY)), shown) for lines, shown in shows)
            made = same[names] = rungs, query(sets, (*names, ANY))
        fields.append(FieldPlan(spec, *made))
    tests = tuple(condition.test for condition in places.conditions)
    return PartyPlan(record, tuple(fields), tuple(places.conditions), tests, roles)


class UnitPlan:
    """All parties together, for records of one unit."""

    def __init__(self, parties: tuple[PartyPlan, ...]) -> None:
        self.parties = parties
        self.roles = tuple(sorted(frozenset().union(*(party.roles for party in parties))))
        self._beforehand = tuple(
            beforehand((line for _, line in party.record.denies), (line for _, line in party.record.allows))
            for party in parties
        )
        self._outcomes: dict[tuple[tuple[int, ...], ...], Outcome] = {}

    def decide(self, asked: Sequence[Asked]) -> Outcome:
        """Gives the outcome for a record; `asked` holds one value a party, in order."""
        vectors = tuple([p.vector(question) for p, question in zip(self.parties, asked, strict=True)])
        known = self._outcomes.get(vectors)
        if known is None:
            if len(self._outcomes) >= MAX_OUTCOMES:
                self._outcomes.clear()
            known = self._outcomes[vectors] = self._met(vectors)
        return known

    def _met(self, vectors: Sequence[Sequence[int]]) -> Outcome:
        """The parties meet: every one must be allowed, the narrower view holds field by field, write views intersect."""
        rule: Rule | None = None
        for party, vector in zip(self.parties, vectors, strict=True):
            reason, rule = party.record.verdict(vector)
            if reason is not Reason.RULE_ALLOWED:
                return denial(reason, rule)
        pairs = list(zip(self.parties, vectors, strict=True))
        read: dict[Pattern, Disclosure] = {}
        write: set[Pattern] = set()
        for at, first in enumerate(self.parties[0].fields):
            pattern = first.spec.pattern
            shown = Disclosure.CLEAR
            for party, vector in pairs:
                shown = narrower(shown, party.fields[at].disclosure(vector))
            if shown is not Disclosure.WITHHELD:
                read[pattern] = shown
            if not first.spec.server_set and all(p.fields[at].set.allowed(v) for p, v in pairs):
                write.add(pattern)
        # The rule named is the last party's: the person's, where there is one, since it is he who is to be explained.
        return Outcome(Reason.RULE_ALLOWED, rule, FieldView(MappingProxyType(read)), frozenset(write))

    def settled(self) -> Outcome | None:
        """Gives the denial that holds on every record of the unit: nothing allows, or a rule without condition denies."""
        for party in self.parties:
            for _place, line in party.record.denies:
                if line.condition.always:
                    return denial(Reason.RULE_DENIED, line.rule)
        if any(not party.record.allows for party in self.parties):
            return denial(Reason.NO_RULE)
        return None

    @property
    def open(self) -> bool:
        """True where who asks, when or what for could deny every record of the unit."""
        return any(each.open for each in self._beforehand)

    def settled_for(self, asked: Sequence[Asked]) -> Outcome | None:
        """Gives the denial that holds on every record of the unit for these parties, now. `asked` holds no record."""
        known = self.settled()
        if known is not None:
            return known
        for each, question in zip(self._beforehand, asked, strict=True):
            if (found := each.settled(question)) is not None:
                return denial(*found)
        return None

    def sees_all(self) -> bool:
        """True where every record of the unit is allowed, whatever its facts."""
        return all(
            not party.record.denies
            and all(line.condition.total for _place, line in party.record.allows)
            and any(line.condition.always for _place, line in party.record.allows)
            for party in self.parties
        )

    def searchable(self) -> frozenset[Pattern]:
        """Gives the fields that are certainly CLEAR on every record of the unit that could be allowed."""
        patterns = frozenset(field.spec.pattern for field in self.parties[0].fields)
        for party in self.parties:
            patterns &= {field.spec.pattern for field in party.fields if _always_clear(party, field)}
        return patterns


def _always_clear(party: PartyPlan, field: FieldPlan) -> bool:
    clear = field.rungs[0][0]
    if clear.denies:
        return False
    for _place, allow in party.record.allows:
        given = allow.condition
        covered = any(line.condition.conjuncts <= given.conjuncts for _at, line in clear.allows)
        # A condition that may fail on some record denies the field there, unless it is known to have held.
        safe = all(
            line.condition.total or line.condition.conjuncts <= given.conjuncts for _at, line in clear.allows
        )
        if not covered or not safe:
            return False
    return True


def _told(found: Sequence[Outcome]) -> Outcome:
    """Of several denials the one that is told: a rule's word before the absence of any."""
    return next((outcome for outcome in found if outcome.reason is Reason.RULE_DENIED), found[0])


class Question:
    """One principal's question about one resource under one bundle. Promises: pure; kept and asked again for other records and times."""

    def __init__(
        self, bundle: Bundle, parties: tuple[Party, ...], action: str, purpose: str, resource: ResourceSpec
    ) -> None:
        self._bundle = bundle
        self._parties = parties
        self._action = action
        self._purpose = purpose
        self._resource = resource
        self.special = self._special_units()
        self._plans: dict[str | None, UnitPlan] = {}
        conditions = [
            c for unit in (None, *self.special) for p in self.plan(unit).parties for c in p.conditions
        ]
        self.facts: frozenset[str] = frozenset().union(*(c.facts for c in conditions))
        self.early = self._early()
        self.open = self.early is None and all(
            plan.open or plan.settled() is not None for plan in self._all_plans()
        )
        self.searchable = self._searchable()
        self.sees_all = all(plan.sees_all() for plan in self._all_plans())

    def _special_units(self) -> frozenset[str]:
        """Units where this principal's rules may differ from those of any other unit."""
        held = {role for party in self._parties for role in party.roles}
        units = {role.unit for role in held}
        names = {party.id for party in self._parties} | {role.role for role in held}
        units |= self._bundle.roles.units_touching(names)
        units |= self._bundle.rules.units
        return frozenset(units - {ANYWHERE})

    def plan(self, unit: str | None) -> UnitPlan:
        """Gives the plan for a unit; every unit that is not special has the same."""
        key = unit if unit in self.special else None
        plan = self._plans.get(key)
        if plan is None:
            # `\0` is no unit's name: roles and rules of `*` alone apply
            where = "\0" if key is None else key
            arguments = (where, self._action, self._purpose, self._resource)
            plan = UnitPlan(tuple(party_plan(self._bundle, party, *arguments) for party in self._parties))
            self._plans[key] = plan
        return plan

    def _all_plans(self) -> list[UnitPlan]:
        return [self.plan(unit) for unit in (None, *sorted(self.special))]

    def _early(self) -> Outcome | None:
        settled = [plan.settled() for plan in self._all_plans()]
        found = [outcome for outcome in settled if outcome is not None]
        if len(found) < len(settled):
            return None
        return _told(found)

    def early_for(self, asked: Sequence[Asked]) -> Outcome | None:
        """Gives the denial that holds on every record for these parties, now; `asked` holds no record. Only asked where `open`."""
        found = []
        for plan in self._all_plans():
            outcome = plan.settled_for(asked)
            if outcome is None:
                return None
            found.append(outcome)
        return _told(found)

    def _searchable(self) -> frozenset[Pattern]:
        if self.early is not None:
            return frozenset()
        possible = [plan.searchable() for plan in self._all_plans() if plan.settled() is None]
        return possible[0].intersection(*possible[1:])

    @property
    def resource(self) -> ResourceSpec:
        """What is asked about."""
        return self._resource

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that was looked at, over all units."""
        return tuple(sorted({role for plan in self._all_plans() for role in plan.roles}))

    def answer(self, asked: Sequence[Asked]) -> tuple[Outcome, tuple[str, ...]]:
        """Gives the outcome for a record, and the roles that were looked at. `asked` holds one value a party, of one unit."""
        plan = self.plan(asked[0].dom)
        return plan.decide(asked), plan.roles
