"""Beside the request path: who gains and who loses what by a change, role by role and rule by rule, for a person to read.

A rule that came or went is an effect for each role that it speaks to, unless another rule says the same before and after. What is listed is
exact about rules; whether all of it together gives anybody more is proven in `widening`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.policy.budgets import as_tight, in_words
from gateway.policy.bundle import Bundle, Line
from gateway.policy.compare.covering import Covering, denies_as_well, implies
from gateway.policy.compare.sides import ELSEWHERE, Side
from gateway.policy.known import Catalogue, known
from gateway.words.budget import Budget
from gateway.words.decision import Rule
from gateway.words.principal import ANYWHERE

MOST = 2_000
"""Effects that are listed; of a larger change the rest is counted."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that a holder of a role may do now and could not, or the other way round.

    unit: where (`*`: everywhere). act, res, field, purpose: as the rule's columns say them. condition: its text.
    denied: by a deny that came (a loss) or went (a gain), else by an allow. people: how many the policy's links name who hold the role.
    """

    gains: bool
    holder: str
    unit: str
    res: str
    act: str
    field: str
    purpose: str
    condition: str
    denied: bool
    rule: Rule
    people: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A link that came or went: who, of what, where."""

    gains: bool
    member: str
    role: str
    unit: str


@dataclass(frozen=True, slots=True)
class Rebudgeted:
    """A budget that came, went or changed. was, now: as its file would say it, None where it is not there. looser: it binds less."""

    name: str
    was: str | None
    now: str | None
    looser: bool


@dataclass(frozen=True, slots=True)
class Effects:
    """What a change does. more: effects beyond those listed."""

    effects: tuple[Effect, ...]
    links: tuple[Moved, ...]
    more: int
    budgets: tuple[Rebudgeted, ...] = ()


def effects(old: Bundle, new: Bundle, catalogue: Catalogue) -> Effects:
    """Gives what changes for whom, losses behind gains of the same role. catalogue: the new one."""
    cover = Covering(known(catalogue))
    had, has = Side(old), Side(new)
    had.beside(has)
    has.beside(had)
    found: dict[tuple[str, Rule, bool], Effect] = {}
    holders = sorted(name for name in had.names | has.names if name.startswith("role:"))
    # Elsewhere first: what holds in every unit is told once.
    for unit in (ELSEWHERE, *sorted(had.units | has.units)):
        for holder in holders:
            for effect in _of(holder, unit, had, has, cover):
                found.setdefault((holder, effect.rule, effect.gains), effect)
    links = [Moved(True, *link) for link in has.links - had.links]
    links += [Moved(False, *link) for link in had.links - has.links]
    told = sorted(
        found.values(),
        key=lambda one: (one.holder, not one.gains, one.res, one.act, one.field, one.rule.line),
    )
    links.sort(key=lambda one: (one.member, one.role, one.unit))
    return Effects(
        tuple(told[:MOST]), tuple(links), max(0, len(told) - MOST), tuple(_budgets(old.budgets, new.budgets))
    )


def _budgets(old: Sequence[Budget], new: Sequence[Budget]) -> Iterator[Rebudgeted]:
    """Every budget that is not the same on both sides, by its name."""
    had, has = ({one.name: one for one in budgets} for budgets in (old, new))
    for name in sorted(had.keys() | has.keys()):
        was, now = had.get(name), has.get(name)
        before, after = (None if one is None else in_words(one) for one in (was, now))
        if before != after:
            looser = was is not None and not any(as_tight(one, was) for one in new)
            yield Rebudgeted(name, before, after, looser)


def _of(holder: str, unit: str, had: Side, has: Side, cover: Covering) -> Iterator[Effect]:
    before, after = had.held(holder, unit), has.held(holder, unit)

    def effect(line: Line, side: Side, *, gains: bool) -> Effect:
        where = ANYWHERE if unit == ELSEWHERE else unit
        people = len(side.people.get(holder, ()))
        what = (line.res, line.act, line.field, line.pur, line.condition.text)
        return Effect(gains, holder, where, *what, not line.allows, line.rule, people)

    for line in has.unlike(after, before, unit):
        if not _said_before(line, had.lines_of(before, unit), cover) and _matters(
            line, had, before, unit, cover
        ):
            yield effect(line, has, gains=line.allows)
    for line in had.unlike(before, after, unit):
        if not _said_before(line, has.lines_of(after, unit), cover) and _matters(
            line, has, after, unit, cover
        ):
            yield effect(line, had, gains=not line.allows)


def _said_before(line: Line, others: Iterator[Line], cover: Covering) -> bool:
    """True where another rule of the other side says the same, or more, for the same holder."""
    if line.allows:
        return any(other.allows and cover.covers(other, line) and implies(line, other) for other in others)
    return any(
        not other.allows and cover.covers(other, line) and denies_as_well(other, line) for other in others
    )


def _matters(line: Line, other: Side, roles: frozenset[str], unit: str, cover: Covering) -> bool:
    """True for an allow, and for a deny of something that is allowed on the other side: without it there is nothing to deny."""
    return line.allows or any(one.allows and cover.meet(one, line) for one in other.lines_of(roles, unit))
