"""Beside the request path: which rules speak of everything that a rule speaks of, found by their columns and never by trying all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.policy.bundle import ANY, Bundle, Line, wide
from gateway.policy.known import Known

_Cells = dict[tuple[str, str, str], "Cell"]
_MOST_PARTS = 5
MOST_ROLES = 200
"""How many inherited roles are looked at for one rule: one that inherits thousands would else cost thousands, for each of its rules."""


class Cell:
    """Rules of the same role, unit, resource, action, field and purpose: they differ by their conditions alone, in file order."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._same: dict[frozenset[str], list[Line]] = {}

    def add(self, line: Line) -> None:
        """Takes one more, later in the file than all before."""
        self.lines.append(line)
        self._same.setdefault(line.condition.conjuncts, []).append(line)

    def fewer_parts(self, line: Line) -> Iterator[Line]:
        """Gives rules whose condition is some of the parts of that rule's, so that it holds wherever that one does."""
        parts = sorted(line.condition.conjuncts)
        if len(parts) > _MOST_PARTS:
            wanted: Iterable[frozenset[str]] = (frozenset(), frozenset(parts), *map(_one, parts))
        else:
            wanted = (
                frozenset(part for at, part in enumerate(parts) if chosen >> at & 1)
                for chosen in range(1 << len(parts))
            )
        for conjuncts in wanted:
            yield from self._same.get(conjuncts, ())[:1]  # the others of the same text are implied by it


def _one(part: str) -> frozenset[str]:
    return frozenset((part,))


class Covering:
    """The allows, or the denies, of a bundle by their columns."""

    def __init__(self, bundle: Bundle, ground: Known, *, allows: bool) -> None:
        self._roles = bundle.roles
        self._classes: dict[tuple[str, str], frozenset[str]] = {}
        self._ground = ground
        self._related: dict[tuple[str, str, str, str], tuple[_Cells, ...]] = {}
        self._index: dict[tuple[str, str], dict[str, _Cells]] = {}
        for line in bundle.rules.lines:
            if line.allows is allows:
                cells = self._index.setdefault((line.res, line.act), {}).setdefault(line.role, {})
                cells.setdefault((line.unit, line.field, line.pur), Cell()).add(line)

    def cells(self, line: Line) -> Iterator[Cell]:
        """Gives the cells whose rules apply wherever that rule does, their conditions aside: whoever has its role has theirs too,
        and unit, resource, action, field and purpose are the same or wider."""
        fields = self._fields(line)
        for cells in self._of_roles(line):
            for unit in {line.unit, ANY}:
                for name in fields:
                    for pur in {line.pur, ANY}:
                        cell = cells.get((unit, name, pur))
                        if cell is not None:
                            yield cell

    def _of_roles(self, line: Line) -> tuple[_Cells, ...]:
        """Gives what the line's role and those that it inherits have on the same or wider resource and action; worked out once."""
        key = line.role, line.unit, line.res, line.act
        known = self._related.get(key)
        if known is None:
            held = self._roles.effective(line.role, line.unit)
            found: list[_Cells] = []
            for res in sorted({line.res, ANY}):
                for act in sorted({line.act, wide(line.act)}):
                    by_role = self._index.get((res, act), {})
                    few, many = (held, by_role) if len(held) <= len(by_role) else (by_role, held)
                    found += [by_role[role] for role in sorted(role for role in few if role in many)]
            known = self._related[key] = tuple(found[:MOST_ROLES])
        return known

    def _fields(self, line: Line) -> frozenset[str]:
        """What a wider rule's field column may say: the same, every field, or the class that the field has on each resource meant."""
        if not line.field.startswith("/"):
            return frozenset({line.field, ANY})
        key = (line.res, line.field)
        if key not in self._classes:
            resources = self._ground.resources
            specs = resources.values() if line.res == ANY else (resources[line.res],)
            found = (spec.spec(line.field) for spec in specs)
            classes = {field.cls.value for field in found if field is not None}
            self._classes[key] = frozenset({line.field, ANY, *(classes if len(classes) == 1 else ())})
        return self._classes[key]


__all__ = ["Cell", "Covering"]
