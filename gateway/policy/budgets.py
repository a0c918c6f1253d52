"""Beside the request path: policies/budgets.yaml, how much of what the rules allow may be shown to one person in a while.

A file of its own and no column of policy.csv: stock Casbin decides the same with it and without. What a budget counts is kept by the log
(gateway/corridor/allowances.py); here is what it says, whom it binds, and what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from gateway.policy.finding import Finding, error, warning
from gateway.policy.known import Known, facts_of
from gateway.policy.lint.near import Near
from gateway.policy.roles import RoleGraph
from gateway.policy.vocabulary import Vocabulary
from gateway.wire.yaml import Table, Unreadable, line_of, plain, read
from gateway.words.budget import ANY, Budget, Counted
from gateway.words.principal import ANYWHERE, Party, Principal

FILE = "budgets.yaml"
MOST = 1_000_000_000
LONGEST_SECONDS = 366 * 24 * 3600
MOST_BUDGETS = 200
_NAME = re.compile(r"[a-z][a-z0-9-]{0,60}\Z")
_WINDOW = re.compile(r"([1-9][0-9]{0,5})([mhd])\Z")
_SECONDS = {"m": 60, "h": 3600, "d": 24 * 3600}
_NEEDED = ("role", "counts", "most", "window")
_MAY = (*_NEEDED, "unit", "resource", "purpose")


class Reading:
    """Reads one file's budgets and gathers what is wrong with them."""

    def __init__(self, vocabulary: Vocabulary, ground: Known) -> None:
        self._names: Mapping[str, Collection[str]] = {
            "role": vocabulary.roles,
            "unit": vocabulary.units,
            "resource": ground.resources,
            "purpose": vocabulary.purposes,
        }
        self._ground = ground
        self._near = Near()
        self.findings: list[Finding] = []

    def budgets(self, text: str) -> tuple[Budget, ...]:
        """Gives every budget that means something."""
        try:
            document = plain(read(text))
        except Unreadable as exc:
            self._error(exc.line, exc.what, exc.do, rule="budgets-unreadable")
            return ()
        listed = document.get("budgets") if isinstance(document, Table) else None
        if not isinstance(document, Table) or set(document) != {"budgets"} or not isinstance(listed, Table):
            what = "it holds something else than `budgets:`, names with what each allows"
            self._error(
                1, what, "Write `budgets:` and below it each budget by its name", rule="budgets-unreadable"
            )
            return ()
        if len(listed) > MOST_BUDGETS:
            self._error(1, f"more than {MOST_BUDGETS} budgets", "Join some", rule="budgets-unreadable")
            return ()
        found = [self._budget(name, said, line_of(listed, name)) for name, said in listed.items()]
        made = tuple(one for one in found if one is not None)
        self._twice(made)
        return made

    def _budget(self, name: str, said: object, line: int) -> Budget | None:
        before = len(self.findings)
        if not _NAME.match(name):
            what = f"`{name}` is no name for a budget"
            self._error(line, what, "Use a-z, 0-9 and -: callers are told it", rule="budget-name")
        if not isinstance(said, Table):
            self._error(
                line, f"`{name}` says nothing", f"Give {', '.join(_NEEDED)}", rule="budget-incomplete"
            )
            return None
        for key in said:
            if key not in _MAY:
                what, do = f"`{key}` is no part of a budget", self._near.suggest(str(key), _MAY, "Remove it")
                self._error(line_of(said, key), what, do, rule="budget-incomplete")
        for key in _NEEDED:
            if key not in said:
                self._error(line, f"`{name}` has no `{key}`", "Say it", rule="budget-incomplete")
        for key, known in self._names.items():
            self._known(said, key, known)
        counts = self._counts(said)
        most = self._number(said)
        seconds = self._window(said)
        if counts is not None:
            self._possible(said, counts)
        if len(self.findings) > before or counts is None or most is None or seconds is None:
            return None
        where = {key: str(said[key]) for key in ("unit", "resource", "purpose") if key in said}
        return Budget(name, str(said["role"]), counts, most, seconds, line=line, **where)

    def _known(self, said: Table, key: str, known: Collection[str]) -> None:
        value = said.get(key)
        named = isinstance(value, str) and (value in known or (value == ANY and key != "role"))
        if key not in said or named:
            return
        do = self._near.suggest(str(value), known, "Declare it, or name one that is declared")
        self._error(line_of(said, key), f"`{value}` is no {key}", do, rule="budget-unknown")

    def _counts(self, said: Table) -> Counted | None:
        value = said.get("counts")
        words = [one.value for one in Counted]
        if value in words:
            return Counted(str(value))
        if "counts" in said:
            do = self._near.suggest(str(value), words, "Name one")
            self._error(
                line_of(said, "counts"), f"`{value}` is nothing that is counted", do, rule="budget-unknown"
            )
        return None

    def _number(self, said: Table) -> int | None:
        value = said.get("most")
        if type(value) is int and 1 <= value <= MOST:
            return value
        if "most" in said:
            do = f"Write a whole number from 1 to {MOST}; to show nothing, deny it in policy.csv"
            self._error(line_of(said, "most"), "`most` is no number of a budget", do, rule="budget-number")
        return None

    def _window(self, said: Table) -> int | None:
        value = said.get("window")
        found = _WINDOW.match(value) if isinstance(value, str) else None
        if found and (seconds := int(found[1]) * _SECONDS[found[2]]) <= LONGEST_SECONDS:
            return seconds
        if "window" in said:
            what, do = "`window` is no stretch of time", "Write `30m`, `1h` or `1d`; at most 366d"
            self._error(line_of(said, "window"), what, do, rule="budget-number")
        return None

    def _possible(self, said: Table, counts: Counted) -> None:
        """Holds a budget that could never count anything."""
        unit, spec = said.get("unit", ANY), self._ground.resources.get(str(said.get("resource")))
        if counts is Counted.SEARCHES and unit != ANY:
            what, do = "a search is of no unit: it looks through all of them", "Leave `unit` out"
            self._error(line_of(said, "unit"), what, do, rule="budget-idle")
        elif spec is not None and unit != ANY and "unit" not in facts_of(spec):
            what, do = "a budget for one unit, on a resource whose records belong to none", "Leave `unit` out"
            self._error(line_of(said, "unit"), what, do, rule="budget-idle")
        elif spec is not None and counts is Counted.SUBJECTS and spec.subject is None:
            what, do = (
                "the records of that resource are about no data subject",
                "Count `clear-fields` or `searches`",
            )
            self._error(line_of(said, "resource"), what, do, rule="budget-idle")

    def _twice(self, made: Sequence[Budget]) -> None:
        """Warns of a budget beside which another of the same window already allows no more."""
        for one in made:
            for other in made:
                twins = other is not one and other.seconds == one.seconds and binds_as_well(other, one)
                if twins and (other.most, other.line) < (one.most, one.line):
                    self.findings.append(
                        warning(
                            FILE,
                            one.line,
                            f"`{one.name}` says nothing beyond `{other.name}`",
                            "Whoever met it would have met the other before",
                            "Remove it, or make it the narrower",
                            rule="budget-implied",
                        )
                    )
                    break

    def _error(self, line: int, what: str, do: str, *, rule: str) -> None:
        said = "Somebody would think that reading is bounded, and it is not"
        self.findings.append(error(FILE, line, what, said, do, rule=rule))


def binds_as_well(one: Budget, other: Budget) -> bool:
    """True when the first counts, of the same role, whatever the second counts; numbers and windows aside."""
    return (
        one.role == other.role
        and one.counts is other.counts
        and all(
            mine in (theirs, ANY)
            for mine, theirs in (
                (one.unit, other.unit),
                (one.resource, other.resource),
                (one.purpose, other.purpose),
            )
        )
    )


def as_tight(one: Budget, other: Budget) -> bool:
    """True when whoever is bound by the second is bound as tightly by the first, counted on without a break: of the same name and
    window, since the log counts by these."""
    return (
        one.name == other.name
        and one.seconds == other.seconds
        and one.most <= other.most
        and binds_as_well(one, other)
    )


def in_words(budget: Budget) -> str:
    """Gives a budget in one line, as its file says it."""
    where = (("unit", budget.unit), ("resource", budget.resource), ("purpose", budget.purpose))
    said = [budget.role, f"{budget.counts.value} {budget.most}", f"window {_spelled(budget.seconds)}"]
    return ", ".join(said + [f"{key} {value}" for key, value in where if value != ANY])


def _spelled(seconds: int) -> str:
    unit = next(unit for unit in ("d", "h", "m") if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"


def binding(
    budgets: Sequence[Budget], graph: RoleGraph, principal: Principal, purpose: str, resource: str
) -> tuple[Budget, ...]:
    """Gives the budgets that a principal meets on a resource for a purpose: those of every role that one of his parties has, by
    whichever way. One for a unit binds whoever has the role there; one for none, whoever has it anywhere."""
    return tuple(
        one
        for one in budgets
        if one.purpose in (purpose, ANY)
        and one.resource in (resource, ANY)
        and one.role in _held(graph, principal, one.unit)
    )


def _held(graph: RoleGraph, principal: Principal, unit: str) -> frozenset[str]:
    return frozenset(name for party in principal.parties for name in _of(graph, party, unit))


def _of(graph: RoleGraph, party: Party, unit: str) -> Iterator[str]:
    if unit == ANY:
        yield from graph.anywhere({party.id, *(held.role for held in party.roles)})
        return
    yield from graph.effective(party.id, unit)
    for held in party.roles:
        if held.unit in (unit, ANYWHERE):
            yield from graph.effective(held.role, unit)
