"""Beside the request path: the proof that a new bundle gives nobody more than the old one does, or the reasons why it may.

A question is allowed where some allow holds, no deny does, and none of them fails; so it is for each field's disclosure and setting. The
new bundle therefore gives nobody more when, for each holder of roles and each unit,

* whatever a new rule allows, an old one allowed already: about as much or more, on a condition that is implied;
* whatever an old rule denied, by holding or by failing, a new one denies as well;
* a mask is not taken from anybody who would then be shown a token: the two do not compare.

Roles are compared one holder at a time, and parties hold any of them together: the first two points add up over whatever a party holds, the
third is asked of all rules. The proof is sound and not complete: what it cannot see it calls a widening, and a person looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from gateway.policy.bundle import ANY, SHOW_MASKED, SHOW_TOKEN, Bundle, Line, wide
from gateway.policy.covering import Covering, begins, denies_as_well, implies
from gateway.policy.known import Known
from gateway.words.decision import Rule
from gateway.words.principal import ANYWHERE
from gateway.words.widening import Why, Widening

MOST_CHANGED = 5_000
"""Rules that differ: a policy of which more does is another policy."""
_ELSEWHERE = "\0"
"""A unit that no rule and no link names: all such units are alike."""
_Key = tuple[object, ...]


def widened(old: Bundle, new: Bundle, ground: Known) -> tuple[Widening, ...]:
    """Gives every way found in which `new` could give somebody more than `old`; empty: proven that it does not.

    ground: what the new catalogue knows. What the catalogue itself changed is not asked here.
    """
    if not (old.model.compiled and new.model.compiled):
        return (Widening(Why.ENGINE),)
    purposes = sorted(set(new.vocabulary.purposes) - set(old.vocabulary.purposes))
    found = [Widening(Why.PURPOSE, about=purpose) for purpose in purposes]
    if old.vocabulary.zone != new.vocabulary.zone:
        asking = (line for line in new.rules.lines if "r.env." in line.condition.text)
        found += [Widening(Why.CLOCK, line.rule) for line in list(asking)[:1]]
    return (*found, *_Comparison(old, new, ground).found())


class _Side:
    """One bundle as the comparison reads it: its rules without those that say nothing, and who holds what where."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.lines = [line for line in bundle.rules.lines if line.condition.parts[:1] != ("False",)]
        self.keys = {_key(line) for line in self.lines}
        self._by_role = _by_role(self.lines)
        self._only_here: dict[str, list[Line]] = {}

    def beside(self, other: _Side) -> int:
        """Looks at which rules the other has not, and gives how many."""
        only = [line for line in self.lines if _key(line) not in other.keys]
        self._only_here = _by_role(only)
        return len(only)

    @cached_property
    def names(self) -> frozenset[str]:
        """Whoever may hold a role by its name: declared roles, and whoever a link names."""
        return frozenset(self._bundle.vocabulary.roles) | frozenset(self._bundle.roles.members)

    @cached_property
    def units(self) -> frozenset[str]:
        """The units in which something may differ from elsewhere."""
        return self._bundle.rules.units | self._bundle.roles.units_touching(self.names)

    def held(self, holder: str, unit: str) -> frozenset[str]:
        """The roles that count for a holder on records of a unit; none for a name that this bundle does not declare."""
        if holder.startswith("role:") and holder not in self.names:
            return frozenset()
        return frozenset(
            name for name in self._bundle.roles.effective(holder, unit) if name.startswith("role:")
        )

    def lines_of(self, roles: Iterable[str], unit: str) -> Iterator[Line]:
        """The rules of those roles that speak about records of the unit."""
        for role in roles:
            yield from _about(self._by_role.get(role, ()), unit)

    def unlike(self, roles: frozenset[str], others: frozenset[str], unit: str) -> Iterator[Line]:
        """The rules of those roles about the unit that a holder of `others` has not on the other side."""
        for role in roles:
            rules = self._only_here if role in others else self._by_role
            yield from _about(rules.get(role, ()), unit)


def _about(lines: Iterable[Line], unit: str) -> Iterator[Line]:
    return (line for line in lines if line.unit in (unit, ANY))


def _by_role(lines: Iterable[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.role, []).append(line)
    return found


def _key(line: Line) -> _Key:
    return (
        line.role,
        line.unit,
        line.res,
        line.act,
        line.field,
        line.pur,
        line.condition.parts,
        line.allows,
    )


class _Comparison:
    def __init__(self, old: Bundle, new: Bundle, ground: Known) -> None:
        self._old, self._new = _Side(old), _Side(new)
        self._cover = Covering(ground)
        self._changed = self._old.beside(self._new) + self._new.beside(self._old)
        self._tokens = [line for line in self._new.lines if line.allows and line.act == SHOW_TOKEN]
        self._found: dict[tuple[Why, Rule | None], Widening] = {}

    def found(self) -> tuple[Widening, ...]:
        """Every reason once, with the first holder and unit that it was met for."""
        if self._changed > MOST_CHANGED:
            return (Widening(Why.TOO_MUCH),)
        holders = sorted(self._old.names | self._new.names)
        for unit in (_ELSEWHERE, *sorted(self._old.units | self._new.units)):
            for holder in holders:
                had, has = self._old.held(holder, unit), self._new.held(holder, unit)
                self._more_allowed(holder, unit, had, has)
                self._less_denied(holder, unit, had, has)
        return tuple(sorted(self._found.values(), key=_place))

    def _more_allowed(self, holder: str, unit: str, had: frozenset[str], has: frozenset[str]) -> None:
        for line in self._new.unlike(has, had, unit):
            if line.allows:
                before = self._old.lines_of(had, unit)
                if not any(o.allows and self._cover.covers(o, line) and implies(line, o) for o in before):
                    self._add(Why.ALLOWED, line, holder, unit)
            if line.act == SHOW_MASKED and not (line.allows and line.condition.total):
                self._mask_lost(
                    line, holder, unit
                )  # a new deny, or a rule that may fail where the mask was shown

    def _less_denied(self, holder: str, unit: str, had: frozenset[str], has: frozenset[str]) -> None:
        for line in self._old.unlike(had, has, unit):
            if line.allows:
                if line.act in (SHOW_MASKED, wide(SHOW_MASKED)):
                    self._mask_lost(line, holder, unit, was=True)
                if not line.condition.total and not self._still_fails(line, has, unit):
                    self._add(Why.NO_LONGER_FAILS, line, holder, unit, was=True)
            elif not any(
                not n.allows and self._cover.covers(n, line) and denies_as_well(n, line)
                for n in self._new.lines_of(has, unit)
            ):
                self._add(Why.NO_LONGER_DENIED, line, holder, unit, was=True)

    def _still_fails(self, line: Line, has: frozenset[str], unit: str) -> bool:
        """True where nothing is allowed in its place, or some rule fails or denies wherever this one failed."""
        if not any(new.allows and self._cover.meet(new, line) for new in self._new.lines):
            return True
        return any(
            self._cover.covers(new, line) and (begins(line, new) or (not new.allows and begins(new, line)))
            for new in self._new.lines_of(has, unit)
        )

    def _mask_lost(self, line: Line, holder: str, unit: str, *, was: bool = False) -> None:
        as_token = [token for token in self._tokens if self._cover.meet(token, _with_act(line, SHOW_TOKEN))]
        if as_token:
            self._add(Why.TOKEN_FOR_MASK, line, holder, unit, was=was)

    def _add(self, why: Why, line: Line, holder: str, unit: str, *, was: bool = False) -> None:
        where = ANYWHERE if unit == _ELSEWHERE else unit
        self._found.setdefault((why, line.rule), Widening(why, line.rule, was, holder, where))


def _with_act(line: Line, act: str) -> Line:
    return Line(
        line.role,
        line.unit,
        line.res,
        act,
        line.field,
        line.pur,
        line.condition,
        line.allows,
        line.rule,
        line.number,
    )


def _place(widening: Widening) -> tuple[bool, int, str]:
    return widening.was, widening.rule.line if widening.rule else 0, widening.why.value
