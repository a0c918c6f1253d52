"""What a request must be like so that nothing can fail: one small test for each need of the matcher's, and of the rules' own conditions."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.policy.engine.functions import Functions
from gateway.policy.engine.parts import ADDRESS, ANY, MANY, NAME, NUMBER, SHORT, TEXT, Need, Needs, Path
from gateway.policy.engine.settling import Entry

MOST = 2**60
"""Whole numbers beyond are left to evaluation in order: a float cannot always be added to them."""

Guard = Callable[[Sequence[Any]], bool]
_NOTHING = object()


def guards(needs: Needs, settled: frozenset[Path], functions: Functions) -> tuple[Guard, ...]:
    """Gives the tests that must hold before anything is looked up.

    settled: places of the request that roles are looked up by; what is no name is found out there, since it can be no key.
    """
    wanted = [need for need in needs if need[1] != NAME or need[0] not in settled]
    return tuple(guard(need, functions) for need in sorted(wanted, key=repr))


def guard(need: Need, functions: Functions) -> Guard:
    """Gives the test of one need."""
    path, wanted = need
    fits = _of_kind(wanted, functions)
    at, names = int(path[0]), path[1:]
    if not names:
        return lambda request: fits(request[at])
    if len(names) == 1:
        name = names[0]
        if wanted == ANY:
            return lambda request: type(request[at]) is dict and name in request[at]

        def direct(request: Sequence[Any]) -> bool:
            value = request[at]
            if type(value) is dict:
                value = value.get(name, _NOTHING)
                return value is not _NOTHING and fits(value)
            return False

        return direct

    def deep(request: Sequence[Any]) -> bool:
        value = request[at]
        for step in names:
            if type(value) is not dict or step not in value:
                return False
            value = value[step]
        return fits(value)

    return deep


def _of_kind(wanted: str, functions: Functions) -> Callable[[Any], bool]:
    kinds: dict[str, Callable[[Any], bool]] = {
        ANY: lambda _value: True,
        NUMBER: _number,
        TEXT: lambda value: type(value) is str,
        SHORT: lambda value: type(value) is str and len(value) <= functions.longest,
        NAME: lambda value: value is None or type(value) in (str, int, float, bool),
        MANY: lambda value: type(value) is list,
        ADDRESS: _address,
    }
    return kinds[wanted]


def _number(value: Any) -> bool:
    kind = type(value)
    return kind is float or kind is bool or (kind is int and -MOST < value < MOST)


def _address(value: Any) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


_FITTING: dict[str, Any] = {ANY: "", NUMBER: 0, TEXT: "", SHORT: "", NAME: "", MANY: [], ADDRESS: "::1"}


def fitting(width: int, needs: Iterable[Need]) -> list[Any]:
    """Gives a request that has what is needed, of the least values; where needs contradict each other, one of them."""
    root: dict[int | str, Any] = dict.fromkeys(range(width), "")
    for path, wanted in sorted(needs, key=lambda need: (len(need[0]), need[1] != ANY, repr(need))):
        node = root
        for step in path[:-1]:
            if type(node.get(step)) is not dict:
                node[step] = {}
            node = node[step]
        if type(node.get(path[-1])) is not dict:
            node[path[-1]] = _FITTING[wanted]
    return [root[at] for at in range(width)]


class Needing:
    """The rules whose conditions could fail, by what keeps them from it."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._always: set[Entry] = set()
        self._by_need: dict[Need, tuple[Guard, set[Entry]]] = {}

    def add(self, needs: Needs | None, entry: Entry) -> None:
        """Adds a rule; needs None: it must be asked whatever the request is."""
        for entries in self._sets(needs):
            entries.add(entry)

    def remove(self, needs: Needs | None, entry: Entry) -> None:
        """Takes a rule away."""
        for entries in self._sets(needs):
            entries.discard(entry)
        for need in needs or ():
            if not self._by_need[need][1]:
                del self._by_need[need]

    def _sets(self, needs: Needs | None) -> Iterable[set[Entry]]:
        if needs is None:
            return [self._always]
        found = []
        for need in needs:
            if need not in self._by_need:
                self._by_need[need] = guard(need, self._functions), set()
            found.append(self._by_need[need][1])
        return found

    @property
    def needs(self) -> Iterable[Need]:
        """What any of the rules needs."""
        return self._by_need

    def asked(self, request: Sequence[Any]) -> set[Entry]:
        """Gives the rules that must be asked, since they could fail on this request."""
        found = self._always
        for test, entries in self._by_need.values():
            if not test(request):
                found = found | entries
        return found
