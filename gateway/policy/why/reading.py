"""Beside step 5: reads single rules against one question, one by one and column by column. Nothing is worked out beforehand.

It shares the rules, roles and conditions with the engine and none of its plans, so that a test can hold the one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.policy.bundle import ANY, SET, Bundle, Line, resource_name, wide
from gateway.policy.condition import Asked, Condition, Uncomparable
from gateway.policy.decider import Engine
from gateway.policy.facts import environment, plain, unit_of
from gateway.policy.plan import LADDER
from gateway.policy.why.explanation import Posed
from gateway.words.decision import Facts, Reason, Rule
from gateway.words.principal import ANYWHERE, Party
from gateway.words.resource import ResourceSpec

SHOWS = tuple(act for act, _shown in LADDER)


@dataclass(frozen=True, slots=True)
class Hearing:
    """One party's side of a question: its roles on the record, and what conditions see."""

    bundle: Bundle
    party: Party
    roles: frozenset[str]
    asked: Asked

    def columns(self, line: Line) -> bool:
        """True where role, unit and purpose of a rule fit; what it is about is the caller's to have chosen."""
        return (
            line.role in self.roles
            and line.unit in (self.asked.dom, ANY)
            and line.pur in (self.asked.pur, ANY)
        )

    def within(self, unit: str) -> Hearing:
        """Gives the same party's side about a record of another unit."""
        there = replace(self.asked, dom=unit, rec={**self.asked.rec, "unit": unit})
        return replace(self, roles=roles_of(self.bundle, self.party, unit), asked=there)

    def for_purpose(self, purpose: str) -> Hearing:
        """Gives the same party's side for another purpose."""
        return replace(self, asked=replace(self.asked, pur=purpose))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules about one thing say to one party. spoke: those that applied. failed: those that could not be answered."""

    reason: Reason
    rule: Rule | None
    spoke: tuple[Line, ...]
    failed: tuple[Line, ...]


def hearings(engine: Engine, posed: Posed, purpose: str) -> tuple[Hearing, ...]:
    """Gives each party's side. Raises Uncomparable where the record's unit is none: then no rule can be asked."""
    bundle, principal = engine.bundle, posed.access.principal
    unit = unit_of(posed.facts)
    rec = plain(posed.facts, _readable(posed.facts, bundle), bundle.sets)
    env = environment(posed.access.time, bundle.vocabulary.zone)
    alone = principal.person is None
    return tuple(
        Hearing(
            bundle,
            party,
            roles_of(bundle, party, unit),
            Asked(rec, engine.subject(party, alone=alone), env, purpose, unit),
        )
        for party in principal.parties
    )


def roles_of(bundle: Bundle, party: Party, unit: str) -> frozenset[str]:
    """Gives every role of the party that counts on a record of that unit."""
    holders = {party.id, *(held.role for held in party.roles if held.unit in (unit, ANYWHERE))}
    reached = frozenset().union(*(bundle.roles.effective(holder, unit) for holder in holders))
    return frozenset(name for name in reached if name.startswith("role:"))


def pool(bundle: Bundle, resource: ResourceSpec, action: str) -> tuple[Line, ...]:
    """Gives every rule that a question about that action on that resource could ask, whoever's and whatever for, in file order."""
    res = resource_name(resource)
    acts = {name for act in (action, *SHOWS, SET) for name in (act, wide(act))}
    return tuple(line for line in bundle.rules.lines if line.act in acts and line.res in (res, ANY))


def about(lines: Sequence[Line], act: str, names: Sequence[str]) -> list[Line]:
    """Gives those of the rules that are about one action on one field (`-`: the record)."""
    acts, fields = (act, wide(act)), (*names, ANY)
    return [line for line in lines if line.act in acts and line.field in fields]


def verdict(hearing: Hearing, lines: Sequence[Line]) -> Verdict:
    """Gives what these rules say: a deny that holds, else an error where a condition cannot be answered, else an allow, else nothing."""
    spoke: list[Line] = []
    failed: list[Line] = []
    for line in lines:
        if hearing.columns(line):
            held = holds(line.condition, hearing.asked)
            if held is None:
                failed.append(line)
            elif held:
                spoke.append(line)
    denies = next((line for line in spoke if not line.allows), None)
    allows = next((line for line in spoke if line.allows), None)
    reason, rule = Reason.NO_RULE, None
    if denies is not None:
        reason, rule = Reason.RULE_DENIED, denies.rule
    elif failed:
        reason = Reason.ENGINE_ERROR
    elif allows is not None:
        reason, rule = Reason.RULE_ALLOWED, allows.rule
    return Verdict(reason, rule, tuple(spoke), tuple(failed))


def holds(condition: Condition, asked: Asked) -> bool | None:
    """Gives whether the condition holds, None where it cannot be evaluated."""
    try:
        return bool(condition.test(asked))
    except (TypeError, KeyError):
        return None


def _readable(facts: Facts, bundle: Bundle) -> list[str]:
    """The facts that conditions may ask for; one whose value is no plain data is left out, so that asking for it fails."""
    names = []
    for name in bundle.facts:
        try:
            plain(facts, (name,), bundle.sets)
        except Uncomparable:
            continue
        names.append(name)
    return names
