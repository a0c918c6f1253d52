"""How long a regular expression may take: Python's engine tries one way after the other, and some patterns have too many.

The pattern becomes an automaton of its characters' places (Glushkov's). Where two different ways lead around the same loop by the same
text, time doubles with each character: refused. Loops one after the other, each of which could end at several places of the text,
multiply: their number says how long a text may be that the pattern is tried on. Look-around and back references, which no such automaton
has, are refused.
"""

from __future__ import annotations

import re
import re._constants as code  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterable
from typing import Any

MAX_PLACES = 200
MAX_FORKS = 1_000
"""Ways through a pattern without loops by one text: `a?a?a?aaa` has eight."""
LONGEST = {0: 2048, 1: 2048, 2: 1024, 3: 256, 4: 64}
"""Characters of a text, by the number of loops that multiply: some ten million steps at most."""

_EVERY = (1 << 129) - 1
_OTHERS = 1 << 128  # one bit for all that is no ASCII
_PLAIN = re.compile(r"\^?[^*+?{}()|\\\[\]]*(?:(?:\.\*|\.\+|\[\^\\?/\][*+])[^*+?{}()|\\\[\]]*)?\Z")
_SEGMENTS = re.compile(r"\^?(?:/(?:[\w.-]+|\[\^\\?/\]\+))*/?(?:\.\*)?\$?\Z", re.ASCII)


class Unsafe(Exception):
    """The pattern could take too long, or is none; `key` says which, in the message catalogue."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


def longest(pattern: str) -> int:
    """Gives how many characters a text may have that this pattern is tried on. Raises Unsafe."""
    if len(pattern) > 1000:
        raise Unsafe("engine.pattern-unsafe")
    if _PLAIN.match(pattern) or _SEGMENTS.match(pattern):
        return LONGEST[0]
    try:
        tree = parser.parse(pattern)
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError, ValueError):
        raise Unsafe("engine.pattern-invalid") from None
    try:
        places = _Places(bool(tree.state.flags & re.IGNORECASE))
        return LONGEST[places.loops_that_multiply(places.sequence(tree)[1])]
    except (KeyError, RecursionError):
        raise Unsafe("engine.pattern-unsafe") from None


Ends = tuple[bool, tuple[int, ...], tuple[int, ...]]
"""May be empty; the places it may begin at; those it may end at."""


class _Places:
    """The automaton: of each place the characters that stand there (a bit each), and what may follow."""

    def __init__(self, any_case: bool) -> None:
        self._any_case = any_case
        self._characters: list[int] = []
        self._follow: list[set[int]] = []
        self._twice: set[tuple[int, int]] = set()

    def sequence(self, items: Iterable[Any]) -> Ends:
        empty = True
        first: tuple[int, ...] = ()
        last: tuple[int, ...] = ()
        for item in items:
            nothing, begins, ends = self._item(*item)
            self._join(last, begins)
            first = first + begins if empty else first
            last = last + ends if nothing else ends
            empty = empty and nothing
        return empty, first, last

    def _item(self, kind: Any, value: Any) -> Ends:
        if kind is code.AT:
            return True, (), ()
        if kind is code.BRANCH:
            branches = [self.sequence(branch) for branch in value[1]]
            first = tuple(place for _empty, begins, _ends in branches for place in begins)
            last = tuple(place for _empty, _begins, ends in branches for place in ends)
            empty = sum(branch[0] for branch in branches)
            if empty > 1:  # two ways to nothing, as the reader makes of `a|a`
                raise Unsafe("engine.pattern-unsafe")
            return empty > 0, first, last
        if kind is code.SUBPATTERN:
            if value[1] or value[2]:  # flags of its own
                raise Unsafe("engine.pattern-unsafe")
            return self.sequence(value[3])
        if kind is code.ATOMIC_GROUP:
            return self.sequence(value)
        if kind in (code.MAX_REPEAT, code.MIN_REPEAT, code.POSSESSIVE_REPEAT):
            least, most, body = value
            nothing, first, last = self.sequence(body)
            if most != 0 and most != 1:
                if nothing:
                    raise Unsafe("engine.pattern-unsafe")
                self._join(last, first)
            return nothing or least == 0, first, last
        return self._place(self._at(kind, value))

    def _place(self, characters: int) -> Ends:
        here = (len(self._characters),)
        self._characters.append(characters)
        self._follow.append(set())
        if len(self._characters) > MAX_PLACES:
            raise Unsafe("engine.pattern-unsafe")
        return False, here, here

    def _join(self, ends: tuple[int, ...], begins: tuple[int, ...]) -> None:
        for end in ends:
            for begin in begins:
                if begin in self._follow[end]:
                    self._twice.add((end, begin))
                self._follow[end].add(begin)

    def _at(self, kind: Any, value: Any) -> int:
        if kind is code.LITERAL:
            return self._character(value)
        if kind is code.NOT_LITERAL:
            return _EVERY & ~self._character(value) | _OTHERS
        if kind is code.ANY:
            return _EVERY
        if kind is code.IN:
            found = 0
            inverted = False
            for part, what in value:
                if part is code.NEGATE:
                    inverted = True
                elif part is code.RANGE:
                    for one in range(what[0], min(what[1], 127) + 1):
                        found |= self._character(one)
                    found |= _OTHERS if what[1] > 127 else 0
                elif part is code.CATEGORY:
                    found = _EVERY
                else:
                    found |= self._at(part, what)
            return (
                (_EVERY & ~found) | _OTHERS if inverted and found != _EVERY else _EVERY if inverted else found
            )
        raise Unsafe("engine.pattern-unsafe")  # look-around, back references

    def _character(self, one: int) -> int:
        if one > 127:
            return _OTHERS
        both = {one, ord(chr(one).lower()), ord(chr(one).upper())} if self._any_case else {one}
        return sum(1 << each for each in both) | (_OTHERS if self._any_case else 0)

    def loops_that_multiply(self, first: tuple[int, ...]) -> int:
        """Gives the most that stand one after the other. Raises Unsafe where one alone has two ways around, or forks multiply."""
        graph = dict(enumerate(self._follow))
        components = strong(graph)
        of = {place: number for number, component in enumerate(components) for place in component}
        forks = self._forks(set(first))
        for place, following in graph.items():
            forks *= self._forks({there for there in following if of[there] != of[place]})
        if forks > MAX_FORKS:
            raise Unsafe("engine.pattern-unsafe")
        weights = [self._weight(set(component)) for component in components]
        best: list[int] = []
        for number, component in enumerate(components):  # what follows comes before in this order
            after = {of[there] for place in component for there in self._follow[place]} - {number}
            best.append(weights[number] + max((best[other] for other in after), default=0))
        return max(best, default=0)

    def _forks(self, following: set[int]) -> int:
        """Gives how many ways one character can lead on, at most."""
        return max(
            (sum(1 for b in following if self._characters[a] & self._characters[b]) for a in following),
            default=1,
        )

    def _weight(self, loop: set[int]) -> int:
        inside = {place: self._follow[place] & loop for place in loop}
        if not any(inside.values()):
            return 0
        if any(one in loop and other in loop for one, other in self._twice) or self._two_ways(inside):
            raise Unsafe("engine.pattern-unsafe")
        within = 0
        for place in loop:
            within |= self._characters[place]
        leaves = {there for place in loop for there in self._follow[place] - loop}
        return int(any(self._characters[there] & within for there in leaves))

    def _two_ways(self, inside: dict[int, set[int]]) -> bool:
        """True where the loop can be gone around in two ways by one text: pairs of places, walked side by side."""
        if len(inside) == 1:
            return False
        pairs = {
            (one, other): {
                (a, b)
                for a in inside[one]
                for b in inside[other]
                if self._characters[a] & self._characters[b]
            }
            for one in inside
            for other in inside
        }
        return any(
            any(one == other for one, other in component) and any(one != other for one, other in component)
            for component in strong(pairs)
        )


def strong(graph: dict[Any, set[Any]]) -> list[list[Any]]:
    """Gives the strongly connected components, each after those that it leads to (Tarjan's, without recursion)."""
    number: dict[Any, int] = {}
    low: dict[Any, int] = {}
    stack: list[Any] = []
    held: set[Any] = set()
    found: list[list[Any]] = []
    for start in graph:
        if start in number:
            continue
        work = [(start, iter(graph[start]))]
        number[start] = low[start] = len(number)
        stack.append(start)
        held.add(start)
        while work:
            node, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    component = []
                    while True:
                        component.append(stack.pop())
                        held.discard(component[-1])
                        if component[-1] == node:
                            break
                    found.append(component)
            elif following not in number:
                number[following] = low[following] = len(number)
                stack.append(following)
                held.add(following)
                work.append((following, iter(graph[following])))
            elif following in held:
                low[node] = min(low[node], number[following])
    return found
