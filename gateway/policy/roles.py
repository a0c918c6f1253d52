"""Step 5, inside: who holds which roles where, from the policy's `g` links.

A link `g, A, B, U` gives A everything of B on records of unit U, or everywhere when U is `*`. Links of one unit chain among themselves, and
those of `*` do; that is pycasbin's domain role manager asked twice, as the matcher does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.words.principal import ANYWHERE

MAX_CHAIN = 10
"""pycasbin's default depth: a chain of ten links or more is silently no chain (casbin.rbac.default_role_manager)."""

Links = dict[str, dict[str, list[str]]]


class RoleGraph:
    """The links of one bundle, with closures remembered (as many as principals and units with links).

    Promises: never changed after it is made, so what is remembered stays true.
    """

    def __init__(self, links: Iterable[tuple[str, str, str]]) -> None:
        links = tuple(links)
        self._links: Links = {}
        for member, role, unit in links:
            self._links.setdefault(unit, {}).setdefault(member, []).append(role)
        self._units: dict[str, set[str]] = {}
        self._any: dict[str, list[str]] = {}
        for member, role, unit in links:
            self._units.setdefault(member, set()).add(unit)
            self._any.setdefault(member, []).append(role)
        self._within: dict[tuple[str, str], frozenset[str]] = {}
        self._held: dict[tuple[str, str], frozenset[str]] = {}

    @property
    def members(self) -> Mapping[str, object]:
        """Whoever stands left of a link."""
        return self._units

    def units_touching(self, names: Iterable[str]) -> frozenset[str]:
        """The units with a link that chains starting at any of these names, whatever their units, could use."""
        reached = self._walk_all(set(names))
        return frozenset(unit for name in reached for unit in self._units.get(name, ())) - {ANYWHERE}

    def anywhere(self, names: Iterable[str]) -> frozenset[str]:
        """What chains of links of whatever units reach from these names, themselves included: never less than what holds in one."""
        return self._walk_all(set(names))

    def reached(self, name: str, unit: str) -> frozenset[str]:
        """What a chain of that unit's own links reaches from `name`, itself included."""
        key = (name, unit)
        known = self._within.get(key)
        if known is None:
            known = self._walk(name, self._links.get(unit, {}))
            self._within[key] = known
        return known

    def assumed(self, holder: str, unit: str) -> frozenset[str]:
        """The values of `r.role` under which the matcher's first part holds for that holder."""
        return self.reached(holder, unit) | self.reached(holder, ANYWHERE)

    def effective(self, holder: str, unit: str) -> frozenset[str]:
        """Every `p.role` that applies to a record of `unit` for the holder: first part, then second part of the matcher."""
        if unit not in self._links:
            unit = ANYWHERE  # no link of its own: the same as everywhere, and one entry to remember
        key = (holder, unit)
        known = self._held.get(key)
        if known is None:
            assumed = self.assumed(holder, unit)
            known = frozenset().union(
                *(self.reached(role, unit) | self.reached(role, ANYWHERE) for role in assumed)
            )
            self._held[key] = known
        return known

    def _walk_all(self, names: set[str]) -> frozenset[str]:
        return frozenset().union(*(self._walk(name, self._any) for name in names))

    @staticmethod
    def _walk(name: str, links: dict[str, list[str]]) -> frozenset[str]:
        seen = {name}
        edge = [name]
        while edge:
            edge = [role for member in edge for role in links.get(member, ()) if role not in seen]
            seen.update(edge)
        return frozenset(seen)


def longest_chain(links: Iterable[tuple[str, str]]) -> tuple[int, str | None]:
    """Gives the number of links of the longest chain, and a name on a cycle if there is one (the number is then 0)."""
    graph: dict[str, list[str]] = {}
    for member, role in links:
        graph.setdefault(member, []).append(role)
    depth: dict[str, int] = {}
    open_: set[str] = set()
    for start in graph:
        stack = [(start, iter(graph[start]))]
        if start in depth:
            continue
        open_.add(start)
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                open_.discard(name)
                depth[name] = max((1 + depth.get(role, 0) for role in graph.get(name, ())), default=0)
            elif following in open_:
                return 0, following
            elif following not in depth:
                open_.add(following)
                stack.append((following, iter(graph.get(following, ()))))
    return max(depth.values(), default=0), None
