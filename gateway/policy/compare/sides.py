"""Beside the request path: one of two bundles that are compared, its rules by role and who holds what where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from gateway.policy.bundle import ANY, Bundle, Line
from gateway.words.budget import Budget

ELSEWHERE = "\0"
"""A unit that no rule and no link names: all such units are alike."""
Key = tuple[object, ...]
"""What a rule says, without where it stands."""


class Side:
    """One bundle as the comparison reads it: its rules without those that say nothing, and who holds what where."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.budgets = bundle.budgets
        self.lines = [line for line in bundle.rules.lines if line.condition.parts[:1] != ("False",)]
        self.keys = {key_of(line) for line in self.lines}
        self._by_role = _by_role(self.lines)
        self._only_here: dict[str, list[Line]] = {}

    def beside(self, other: Side) -> int:
        """Looks at which rules the other has not, and gives how many."""
        only = [line for line in self.lines if key_of(line) not in other.keys]
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

    def bound(self, holder: str, budget: Budget) -> bool:
        """True when a budget of this side binds a holder: by the role wherever it is held, or on the records of the budget's unit."""
        if budget.unit != ANY:
            return budget.role in self.held(holder, budget.unit)
        return holder in self.names and budget.role in self._bundle.roles.anywhere([holder])

    @cached_property
    def links(self) -> frozenset[tuple[str, str, str]]:
        """Every link: member, role, unit."""
        return frozenset(
            (row.columns[0], row.columns[1], row.columns[2]) for row in self._bundle.rows if row.kind == "g"
        )

    @cached_property
    def people(self) -> dict[str, frozenset[str]]:
        """Who holds each role by the policy's links, anywhere: persons and applications. What credentials hold is not known here."""
        found: dict[str, set[str]] = {}
        for member in self._bundle.roles.members:
            if not member.startswith("role:"):
                for unit in (ELSEWHERE, *self.units):
                    for role in self.held(member, unit):
                        found.setdefault(role, set()).add(member)
        return {role: frozenset(members) for role, members in found.items()}

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


def key_of(line: Line) -> Key:
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
