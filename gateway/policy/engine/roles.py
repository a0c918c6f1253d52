"""Who holds which roles, from one kind of link (`g`, `g2` …): what pycasbin's role managers answer, looked up instead of walked."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

MAX_LINKS = 9
"""The links that pycasbin follows at most (its depth of 10 counts the names): a tenth is silently no link."""
_FEW = 8

Key = Any
"""A name, or (name, domain) where the links have one."""


class RoleLinks:
    """The links of one kind. domains: they hold within a domain each.

    Promises: what is remembered is at most one entry for each name (and domain) that has a link of its own.
    """

    def __init__(self, links: Iterable[tuple[str, ...]] = (), *, domains: bool) -> None:
        self.domains = domains
        self._links: dict[Key, list[str]] = {}
        self.known: dict[Key, Collection[str]] = {}
        for link in links:
            self._links.setdefault(self._key(link), []).append(link[1])

    def _key(self, link: tuple[str, ...]) -> Key:
        return (link[0], link[2]) if self.domains else link[0]

    def add(self, link: tuple[str, ...]) -> None:
        """Adds one; the same link may stand several times."""
        self._links.setdefault(self._key(link), []).append(link[1])
        self.known.clear()

    def remove(self, link: tuple[str, ...]) -> None:
        """Takes one away. Raises ValueError or KeyError where it is not there."""
        key = self._key(link)
        self._links[key].remove(link[1])
        if not self._links[key]:
            del self._links[key]
        self.known.clear()

    def reached(self, name: Any, domain: str = "") -> Collection[Any]:
        """Gives the name and every role that it holds. Raises TypeError for a list or an object."""
        key = (name, domain) if self.domains else name
        known = self.known.get(key)
        if known is None:
            if key not in self._links:
                return (name,)
            known = self._walked(name, domain)
            self.known[key] = known
        return known

    def some(self) -> tuple[str, str] | None:
        """Gives a name that has a link, and its domain (empty where there are none); None where nobody has one."""
        key = next(iter(self._links), None)
        if key is None:
            return None
        return (key[0], key[1]) if self.domains else (key, "")

    def held(self, one: Any, other: Any, domain: str) -> bool:
        """True where `one` is `other`, or holds it. Raises TypeError where either is a list or an object."""
        hash(other)
        return other in self.reached(one, domain)

    def _walked(self, name: str, domain: str) -> Collection[str]:
        seen = {name}
        edge = [name]
        for _ in range(MAX_LINKS):
            edge = [role for member in edge for role in self._of(member, domain) if role not in seen]
            if not edge:
                break
            seen.update(edge)
        return tuple(seen) if len(seen) <= _FEW else frozenset(seen)

    def _of(self, member: str, domain: str) -> list[str]:
        return self._links.get((member, domain) if self.domains else member, _NONE)

    def beyond(self) -> tuple[str, str] | None:
        """Gives a name and a role that are more than nine links apart, where there are such."""
        links, domains = self._links, self.domains
        left: Collection[Key] = links.keys()
        for _ in range(MAX_LINKS):  # those from which a way of so many links leads on
            if domains:
                left = {key for key in left for role in links[key] if (role, key[1]) in left}
            else:
                left = {key for key in left for role in links[key] if role in left}
            if not left:
                return None
        for key in left:
            name, domain = key if self.domains else (key, "")
            near = self._walked(name, domain)
            for member in near:
                for role in self._of(member, domain):
                    if role not in near:
                        return name, role
        return None


_NONE: list[str] = []
