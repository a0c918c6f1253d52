"""Step 5 of the request path: decides. Floors first, then the bundle. No I/O, no clock: the time is the question's.

Whatever goes wrong in here is a denial (ENGINE_ERROR); nothing is raised and nothing is allowed by accident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from gateway.policy.budgets import binding
from gateway.policy.bundle import Bundle, resource_name
from gateway.policy.condition import Asked
from gateway.policy.facts import NOWHERE, environment, plain, unit_of
from gateway.policy.layers import Granted, Grants, floored, granted
from gateway.policy.narrow import askers, within
from gateway.policy.plan import Outcome, Question, denial
from gateway.policy.reference import ENGINE as PYCASBIN
from gateway.policy.reference import Reference, ReferenceQuestion
from gateway.policy.refusal import Refusal
from gateway.policy.told import tell
from gateway.words.access import Access
from gateway.words.budget import Budget
from gateway.words.decision import DecidedBy, Decision, Disclosure, Facts, FieldView, Reason
from gateway.words.filter import UNKNOWN, Within
from gateway.words.json import Pattern
from gateway.words.principal import ANYWHERE, Party, Principal
from gateway.words.resource import PERSONAL, ResourceSpec
from gateway.words.told import Cause, Told

COMPILED = "gatehouse-policy/1"
MAX_QUESTIONS = 10_000
MAX_NARROWED = 1_000
_NO_FACTS = Facts()
NO_RECORD: Mapping[str, Any] = MappingProxyType({})
_PLAIN = (str, int, bool)


class Asking(Protocol):
    """What an engine makes of a question: see plan.Question."""

    facts: frozenset[str]
    early: Outcome | None
    open: bool
    searchable: frozenset[Pattern]
    sees_all: bool

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that could be looked at."""
        ...

    def early_for(self, asked: Sequence[Asked]) -> Outcome | None:
        """Gives the denial that holds on every record for these parties, now. Only asked where `open`."""
        ...

    def answer(self, asked: Sequence[Asked]) -> tuple[Outcome, tuple[str, ...]]:
        """Gives the outcome for a record and the roles that were looked at."""
        ...


@dataclass(frozen=True, slots=True)
class Ready:
    """One principal's question, and its parties as conditions see them."""

    principal: Principal
    resource: ResourceSpec
    asking: Asking
    subjects: Sequence[Mapping[str, str | int | bool | None]]
    budgets: tuple[Budget, ...] = ()


class Engine:
    """One bundle, ready to be asked. reference: use pycasbin although the model compiles."""

    def __init__(self, bundle: Bundle, *, reference: bool = False) -> None:
        self.bundle = bundle
        by_casbin = reference or not bundle.model.compiled
        self.name = PYCASBIN if by_casbin else COMPILED
        self._reference = Reference(bundle, narrowed=True) if by_casbin else None
        self._questions: dict[tuple[object, ...], tuple[ResourceSpec, Asking]] = {}
        self._ready: dict[tuple[int, str, str, int], Ready] = {}
        self._narrowed: dict[tuple[object, ...], Within] = {}
        self._budgets: dict[tuple[object, ...], tuple[Budget, ...]] = {}
        self._minute: tuple[int, Mapping[str, str | int]] = (-1, {})

    def ready(self, principal: Principal, action: str, purpose: str, resource: ResourceSpec) -> Ready:
        """Gives the question with its parties made plain, from memory for a principal that asked it before. Raises as `question`."""
        key = (id(principal), action, purpose, id(resource))
        known = self._ready.get(key)
        # What is in memory is kept alive by it, so that an id is no other value's.
        if known is None or known.principal is not principal or known.resource is not resource:
            alone = principal.person is None
            known = Ready(
                principal,
                resource,
                self.question(principal, action, purpose, resource),
                [self.subject(party, alone=alone) for party in principal.parties],
                self.budgets(principal, purpose, resource) if self.bundle.budgets else (),
            )
            if alone:  # an application's own principal is one value; with a person it is another each time
                if len(self._ready) >= MAX_QUESTIONS:
                    self._ready.clear()
                self._ready[key] = known
        return known

    def budgets(self, principal: Principal, purpose: str, resource: ResourceSpec) -> tuple[Budget, ...]:
        """Gives the budgets that hold for a principal, worked out once for the same roles, purpose and resource."""
        name = resource_name(resource)
        key = (purpose, name, *[(self._identity(party), party.roles) for party in principal.parties])
        if (known := self._budgets.get(key)) is None:
            if len(self._budgets) >= MAX_QUESTIONS:
                self._budgets.clear()
            known = binding(self.bundle.budgets, self.bundle.roles, principal, purpose, name)
            self._budgets[key] = known
        return known

    def environment(self, time: datetime) -> Mapping[str, str | int]:
        """Gives what conditions know of an aware time: worked out once a minute, since nothing in it is finer."""
        minute = int(time.timestamp()) // 60
        if self._minute[0] != minute:
            self._minute = minute, environment(time, self.bundle.vocabulary.zone)
        return self._minute[1]

    def question(self, principal: Principal, action: str, purpose: str, resource: ResourceSpec) -> Asking:
        """Gives the question, worked out once for the same principal, action, purpose and resource. Raises ValueError for names
        that are not what they stand for: a party that calls itself a role would get the role."""
        parties = principal.parties
        for party in parties:
            _hold_names(party)
        key = (
            action,
            purpose,
            resource.upstream,
            resource.name,
            *[(self._identity(party), party.roles) for party in parties],
        )
        known = self._questions.get(key)
        if known is not None and known[0] is resource:
            return known[1]
        made: Asking
        if self._reference is None:
            made = Question(self.bundle, parties, action, purpose, resource)
        else:
            made = ReferenceQuestion(self._reference, self.bundle, parties, action, purpose, resource)
        if len(self._questions) >= MAX_QUESTIONS:
            self._questions.clear()
        self._questions[key] = (resource, made)
        return made

    def within(
        self,
        asking: Asking,
        subjects: Sequence[Mapping[str, str | int | bool | None]],
        env: Mapping[str, str | int],
        purpose: str,
        *,
        named: bool,
    ) -> Within:
        """Gives which records a question could be allowed on; worked out once for the same parties and hour."""
        if not isinstance(asking, Question):
            return UNKNOWN  # pycasbin reads its conditions itself
        key = (asking, named, *env.values(), *(value for sub in subjects for value in sub.items()))
        known = self._narrowed.get(key)
        if known is None:
            if len(self._narrowed) >= MAX_NARROWED:
                self._narrowed.clear()
            made = within(asking, askers(subjects, env, purpose, named=named), self.bundle.sets)
            known = self._narrowed[key] = made
        return known

    def _identity(self, party: Party) -> str:
        """Parties that no link names differ by their roles alone, so they share one question; conditions see each one's id anyway."""
        linked = self._reference is not None or party.id in self.bundle.roles.members
        return party.id if linked else party.id.partition(":")[0]

    def subject(self, party: Party, *, alone: bool) -> dict[str, str | int | bool | None]:
        """Gives `r.sub`: the id, whether an application acts for nobody, and every declared attribute, None where the party has none."""
        made: dict[str, str | int | bool | None] = {}
        for name in self.bundle.vocabulary.attributes:
            value = party.attributes.get(name)
            made[name] = value if type(value) in _PLAIN else None
        made["id"] = party.id
        made["alone"] = alone
        return made


def _hold_names(party: Party) -> None:
    if not party.id.startswith(("app:", "person:", "system:")):
        raise ValueError("a party is an application, a person or a system principal")
    # a unit has a kind (`branch:…`): `-` would be held where no unit is
    units = [held.unit for held in party.roles if held.unit != ANYWHERE]
    if not all(held.role.startswith("role:") for held in party.roles) or not all(":" in u for u in units):
        raise ValueError("a credential holds roles within units")


class PreparedQuestion:
    """One principal's question about one resource at one time, against one bundle and fence."""

    __slots__ = (
        "_access",
        "_asking",
        "_engine",
        "_env",
        "_fence",
        "_grants",
        "_purpose",
        "_resource",
        "_subjects",
        "budgets",
    )

    def __init__(
        self,
        engine: Engine,
        ready: Ready,
        access: Access,
        purpose: str,
        fence: int,
        grants: Sequence[Grants] = (),
    ) -> None:
        self._grants = [source for source in grants if source.may(access, ready.resource)] if grants else ()
        self._resource = ready.resource
        self._engine = engine
        self._asking = ready.asking
        self._access = access
        self._purpose = purpose
        self._fence = fence
        self._subjects = ready.subjects
        self.budgets = ready.budgets
        self._env = engine.environment(access.time)

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that could be looked at."""
        return self._asking.roles

    def early(self) -> Decision | None:
        """Gives the denial that holds whatever the record's facts turn out to be, else None: by roles, by who asks, by the time."""
        outcome = self._asking.early
        if outcome is None and self._asking.open:
            try:
                outcome = self._asking.early_for(self._asked_of(NO_RECORD, NOWHERE))
            except Exception:  # noqa: BLE001 - an error is a denial, whatever it is
                outcome = denial(Reason.ENGINE_ERROR)
        if outcome is None or (outcome.reason is Reason.NO_RULE and self._grants):
            return None
        return self._made(outcome, _NO_FACTS, self._asking.roles)

    def ruled_out(self) -> bool:
        """True where the roles alone deny every record, whoever acts by them and when."""
        return self._asking.early is not None

    def collection(self) -> Decision:
        """Gives the decision on the collection as a whole: allowed where nothing denies whatever the records are. Each record has
        one of its own; this one shows only what is clear on all of them."""
        early = self.early()
        if early is not None:
            return early
        shown = FieldView(dict.fromkeys(self.searchable(), Disclosure.CLEAR))
        return self._made(
            Outcome(Reason.RULE_ALLOWED, None, shown, frozenset()), _NO_FACTS, self._asking.roles
        )

    def decide(self, facts: Facts) -> Decision:
        """Gives the decision for a record of these facts. Never raises."""
        floor = floored(facts, self._access.action, self._purpose, self._resource)
        if floor is not None:
            return self._made(denial(floor), facts, self._asking.roles, DecidedBy.FLOOR)
        try:
            outcome, roles = self._asking.answer(self._asked(facts))
            if self._grants and outcome.reason is Reason.NO_RULE:
                lifted = granted(self._grants, self._access, self._resource, facts)
                if lifted is not None:
                    return self._lifted(lifted, facts, roles)
        except Exception:  # noqa: BLE001 - the promise of this method: an error is a denial, whatever it is
            outcome, roles = denial(Reason.ENGINE_ERROR), self._asking.roles
        return self._made(outcome, facts, roles)

    def searchable(self) -> frozenset[Pattern]:
        """Gives the fields that are CLEAR on every record that this question could be allowed on."""
        return frozenset() if self._grants else self._asking.searchable

    def sees_all(self) -> bool:
        """True where every record is allowed, whatever its facts."""
        return self._asking.sees_all

    def within(self, *, named: bool) -> Within:
        """Gives which records this question could be allowed on, now. named: it may name who asks."""
        if self._grants:
            return UNKNOWN  # what they lift, no rule says
        try:
            return self._engine.within(self._asking, self._subjects, self._env, self._purpose, named=named)
        except Exception:  # noqa: BLE001 - every record is decided on anyway: without a filter all of them are read
            return UNKNOWN

    def _asked(self, facts: Facts) -> list[Asked]:
        return self._asked_of(plain(facts, self._asking.facts, self._engine.bundle.sets), unit_of(facts))

    def _asked_of(self, rec: Mapping[str, Any], unit: str) -> list[Asked]:
        return [Asked(rec, sub, self._env, self._purpose, unit) for sub in self._subjects]

    def _lifted(self, by: Granted, facts: Facts, roles: tuple[str, ...]) -> Decision:
        decision = self._made(denial(Reason.NO_RULE), facts, roles, DecidedBy.GRANT)
        return replace(
            decision,
            allowed=True,
            reason=Reason.GRANT_ALLOWED,
            read=by.read,
            write=by.write,
            grant=by.grant,
        )

    def _made(
        self, outcome: Outcome, facts: Facts, roles: tuple[str, ...], by: DecidedBy = DecidedBy.BUNDLE
    ) -> Decision:
        return Decision(
            allowed=outcome.allowed,
            reason=outcome.reason,
            by=by,
            rule=outcome.rule,
            read=outcome.read,
            write=outcome.write,
            facts=facts,
            bundle=self._engine.bundle.digest,
            engine=self._engine.name,
            fence=self._fence,
            roles=roles,
        )


class PolicyDecider:
    """The room's `Decider`. Holds the active engine; `swap` puts another in its place with one assignment.

    grants: whoever keeps grants; none yet.
    Promises: a prepared question keeps the bundle it was prepared against; a bundle that was refused never gets here.
    """

    def __init__(self, bundle: Bundle | None = None, grants: Sequence[Grants] = ()) -> None:
        self._engine = None if bundle is None else Engine(bundle)
        self._grants = grants

    @property
    def bundle(self) -> Bundle | None:
        """The active bundle, None before the first."""
        engine = self._engine
        return None if engine is None else engine.bundle

    def swap(self, bundle: Bundle) -> None:
        """Makes the bundle the active one, once its engine stands. Questions prepared before keep theirs."""
        self._engine = Engine(bundle)

    def prepare(self, access: Access, resource: ResourceSpec, fence: int) -> PreparedQuestion | Refusal:
        """Gives the question made ready against the bundle that is active now. Never raises."""
        engine = self._engine
        if engine is None:
            return Refusal(Reason.NO_BUNDLE, DecidedBy.BUNDLE, "", COMPILED, fence)
        return prepare(engine, access, resource, fence, self._grants)

    @property
    def engine(self) -> Engine | None:
        """The active engine, None before the first bundle. Whoever asks it much makes one of his own of its bundle."""
        return self._engine

    def told(self, access: Access, resource: ResourceSpec) -> Told:
        """Gives what the caller may be told of a denial: made without the record and its facts. Never raises."""
        engine = self._engine
        if engine is None:
            return Told(Reason.NO_BUNDLE, Cause.UNDECIDED, access.action, access.purpose)
        return told(engine, access, resource)


def told(engine: Engine, access: Access, resource: ResourceSpec) -> Told:
    """Gives what the caller may be told of a denial by one engine. Never raises."""
    return tell(access, engine.bundle.vocabulary.purposes, lambda asked: prepare(engine, asked, resource, 0))


def prepare(
    engine: Engine, access: Access, resource: ResourceSpec, fence: int, grants: Sequence[Grants] = ()
) -> PreparedQuestion | Refusal:
    """Gives the question made ready for one engine. Never raises."""
    try:
        if access.time.utcoffset() is None:
            raise ValueError("a time without a zone")
        purpose = _purpose(access, resource, engine.bundle)
        if purpose is None:
            floor = DecidedBy.FLOOR
            return Refusal(Reason.PURPOSE_NOT_HELD, floor, engine.bundle.digest, engine.name, fence)
        ready = engine.ready(access.principal, access.action, purpose, resource)
        return PreparedQuestion(engine, ready, access, purpose, fence, grants)
    except Exception:  # noqa: BLE001 - the promise of this function: an error is a denial, whatever it is
        return Refusal(Reason.ENGINE_ERROR, DecidedBy.BUNDLE, engine.bundle.digest, engine.name, fence)


def _purpose(access: Access, resource: ResourceSpec, bundle: Bundle) -> str | None:
    """Gives the purpose to decide for, `-` where none is needed, None where it is not the principal's to name."""
    if access.purpose is None:
        personal = any(field.cls in PERSONAL for field in resource.fields)
        return None if personal else NOWHERE
    known = access.purpose in bundle.vocabulary.purposes
    return access.purpose if known and access.purpose in access.principal.purposes else None


__all__ = ["COMPILED", "Engine", "PolicyDecider", "PreparedQuestion", "Refusal", "prepare", "told"]
