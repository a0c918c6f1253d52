"""Beside the request path: the proof that a new bundle gives nobody more than the old one does, or the reasons why it may.

A question is allowed where some allow holds, no deny does, and none of them fails; so it is for each field's disclosure and setting. The
new bundle therefore gives nobody more when, for each holder of roles and each unit,

* whatever a new rule allows, an old one allowed already: about as much or more, on a condition that is implied;
* whatever an old rule denied, by holding or by failing, a new one denies as well;
* a mask is not taken from anybody who would then be shown a token: the two do not compare;
* whatever budget bound him binds him as tightly: of the same name, since a budget under another begins to count anew.

Roles are compared one holder at a time, and parties hold any of them together: the first two points add up over whatever a party holds, the
third is asked of all rules. The proof is sound and not complete: what it cannot see it calls a widening, and a person looks.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.policy.budgets import FILE as BUDGETS_FILE
from gateway.policy.budgets import as_tight
from gateway.policy.bundle import SHOW_MASKED, SHOW_TOKEN, Bundle, Line, wide
from gateway.policy.compare.covering import Covering, begins, denies_as_well, implies
from gateway.policy.compare.sides import ELSEWHERE, Side
from gateway.policy.known import Catalogue, known
from gateway.words.decision import Rule
from gateway.words.principal import ANYWHERE
from gateway.words.widening import Why, Widening

MOST_CHANGED = 5_000
"""Rules that differ: a policy of which more does is another policy."""


def widened(old: Bundle, new: Bundle, catalogue: Catalogue) -> tuple[Widening, ...]:
    """Gives every way found in which `new` could give somebody more than `old`; empty: proven that it does not.

    catalogue: the new one. What it changed itself is not asked here.
    """
    if not (old.model.compiled and new.model.compiled):
        return (Widening(Why.ENGINE),)
    purposes = sorted(set(new.vocabulary.purposes) - set(old.vocabulary.purposes))
    found = [Widening(Why.PURPOSE, about=purpose) for purpose in purposes]
    fewer = {f"{upstream}/{resource}" for upstream, resource, _ in old.decoys - new.decoys}
    found += [Widening(Why.DECOY, about=name) for name in sorted(fewer)]
    if old.vocabulary.zone != new.vocabulary.zone:
        asking = (line for line in new.rules.lines if "r.env." in line.condition.text)
        found += [Widening(Why.CLOCK, line.rule) for line in list(asking)[:1]]
    return (*found, *_Comparison(old, new, Covering(known(catalogue))).found())


class _Comparison:
    def __init__(self, old: Bundle, new: Bundle, cover: Covering) -> None:
        self._old, self._new = Side(old), Side(new)
        self._cover = cover
        self._changed = self._old.beside(self._new) + self._new.beside(self._old)
        self._tokens = [line for line in self._new.lines if line.allows and line.act == SHOW_TOKEN]
        self._found: dict[tuple[Why, Rule | None, str | None], Widening] = {}

    def found(self) -> tuple[Widening, ...]:
        """Every reason once, with the first holder and unit that it was met for."""
        if self._changed > MOST_CHANGED:
            return (Widening(Why.TOO_MUCH),)
        holders = sorted(self._old.names | self._new.names)
        for holder in holders:
            self._less_bound(holder)
        for unit in (ELSEWHERE, *sorted(self._old.units | self._new.units)):
            alike: set[tuple[frozenset[str], frozenset[str]]] = set()
            for holder in holders:
                had, has = self._old.held(holder, unit), self._new.held(holder, unit)
                if not holder.startswith(
                    "role:"
                ):  # rules name roles: who holds the same ones is in the same case
                    if (had, has) in alike:
                        continue
                    alike.add((had, has))
                self._more_allowed(holder, unit, had, has)
                self._less_denied(holder, unit, had, has)
        return tuple(sorted(self._found.values(), key=_place))

    def _more_allowed(self, holder: str, unit: str, had: frozenset[str], has: frozenset[str]) -> None:
        for line in self._new.unlike(has, had, unit):
            if line.allows and not any(
                o.allows and self._cover.covers(o, line) and implies(line, o)
                for o in self._old.lines_of(had, unit)
            ):
                if line.role in had or line.role == holder:
                    self._add(Why.ALLOWED, line, holder, unit)
                else:
                    self._add(Why.ROLE, line, holder, unit, about=line.role)
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

    def _less_bound(self, holder: str) -> None:
        """Looks at who is bound by less. A role that is lost may have bound what another still shows, as its denies may have denied it."""
        for budget in self._old.budgets:
            if self._old.bound(holder, budget) and not any(
                as_tight(replace(one, role=budget.role), budget) and self._new.bound(holder, one)
                for one in self._new.budgets
            ):
                rule = Rule(BUDGETS_FILE, budget.line)
                self._found.setdefault(
                    (Why.BUDGET, rule, budget.name),
                    Widening(Why.BUDGET, rule, True, holder, budget.unit, budget.name),
                )

    def _still_fails(self, line: Line, has: frozenset[str], unit: str) -> bool:
        """True where nothing is allowed in its place, or some rule fails or denies wherever this one failed."""
        if not any(new.allows and self._cover.meet(new, line) for new in self._new.lines):
            return True
        return any(
            self._cover.covers(new, line) and (begins(line, new) or (not new.allows and begins(new, line)))
            for new in self._new.lines_of(has, unit)
        )

    def _mask_lost(self, line: Line, holder: str, unit: str, *, was: bool = False) -> None:
        as_token = [token for token in self._tokens if self._cover.meet(token, replace(line, act=SHOW_TOKEN))]
        if as_token:
            self._add(Why.TOKEN_FOR_MASK, line, holder, unit, was=was)

    def _add(
        self, why: Why, line: Line, holder: str, unit: str, *, was: bool = False, about: str | None = None
    ) -> None:
        where = ANYWHERE if unit == ELSEWHERE else unit
        rule = None if about else line.rule
        self._found.setdefault((why, rule, about), Widening(why, rule, was, holder, where, about))


def _place(widening: Widening) -> tuple[bool, int, str, str]:
    return widening.was, widening.rule.line if widening.rule else 0, widening.why.value, widening.about or ""
