"""Rules by what they ask for: nested dictionaries, one for each branch of a matcher and each effect.

The first key is the tuple of columns that equal one value of the request; below it one level for each column that may have several;
below those one for each column of patterns. A leaf is one rule, or a sorted list of them. Where there is one level below the first, and
one value in it, the pair of that value and its leaf stands there instead.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Sequence
from operator import itemgetter
from typing import Any

from gateway.policy.engine.matcher import Branch
from gateway.policy.engine.settling import Entry, Found

Prepared = tuple[Any, list[Collection[Any]], list[Any]]
Root = dict[Any, Any]


class BranchIndex:
    """The rules of one branch: those that allow, and those that deny. One `prepare` serves both."""

    def __init__(self, branch: Branch) -> None:
        self.allowing: Root = {}
        self.denying: Root = {}
        ones = tuple(column for column, _part in branch.one)
        self.columns = len(ones) + len(branch.many) + len(branch.tried)
        self._levels = [column for column, _values in branch.many] + [c for c, _f, _p in branch.tried]
        # Most often one value stands there alone: a pair is smaller than a dictionary, and nearer.
        self._packed = len(branch.many) == 1 and not branch.tried
        self.key = _key([part.run for _column, part in branch.one], [part.path for _c, part in branch.one])
        self._row_key: Callable[[Sequence[str]], Any] = itemgetter(*ones) if ones else lambda _row: ()
        self._asked = tuple(part.run for part in branch.asked)
        self._many = tuple(values for _column, values in branch.many)
        self._tried = tuple((fits, part.run) for _column, fits, part in branch.tried)

    def add(self, entry: Entry, row: Sequence[str]) -> None:
        """Adds a rule."""
        node = self.allowing if entry[1][0] else self.denying
        last = self._row_key(row)
        for column in self._levels:
            value = row[column]
            following = node.get(last)
            if following is None:
                if self._packed:
                    node[last] = value, entry
                    return
                following = node[last] = {}
            elif type(following) is tuple:
                if following[0] == value:
                    node[last] = value, _with(following[1], entry)
                    return
                following = node[last] = {following[0]: following[1]}
            node, last = following, value
        leaf = node.get(last)
        node[last] = entry if leaf is None else _with(leaf, entry)

    def remove(self, entry: Entry, row: Sequence[str]) -> None:
        """Takes a rule away, and every level that it leaves empty."""
        way = [self._row_key(row), *(row[column] for column in self._levels)]
        nodes = [self.allowing if entry[1][0] else self.denying]
        for step in way[:-1]:
            following = nodes[-1][step]
            if type(following) is tuple:
                left = _without(following[1], entry)
                if left is None:
                    del nodes[-1][step]
                else:
                    nodes[-1][step] = following[0], left
                return
            nodes.append(following)
        left = _without(nodes[-1][way[-1]], entry)
        if left is not None:
            nodes[-1][way[-1]] = left
            return
        while nodes:
            del nodes[-1][way[len(nodes) - 1]]
            if nodes.pop():
                break

    def at(self, row: Sequence[str], allowing: bool) -> Sequence[Entry]:
        """Gives the rules that stand where a row would, in their order."""
        node: Any = self.allowing if allowing else self.denying
        for step in (self._row_key(row), *(row[column] for column in self._levels)):
            if type(node) is tuple:
                node = node[1] if node[0] == step else None
            else:
                node = node.get(step)
            if node is None:
                return ()
        return node if type(node) is list else (node,)

    def prepare(self, request: Sequence[Any]) -> Prepared | None:
        """Gives what the request is looked up by; None where no rule can match. Raises TypeError where a value can be no key."""
        # What a link is asked of comes first: a list or an object for a name is an error, whatever else does not match.
        many = [values(request) for values in self._many] if self._many else _NONE
        for test in self._asked:
            if not test(request, (), ()):
                return None
        tried = [(fits, run(request, (), ())) for fits, run in self._tried] if self._tried else _NONE
        return self.key(request), many, tried

    @staticmethod
    def find(root: Root, prepared: Prepared) -> Found:
        """Gives the leaves of the rules that match, as far as they are indexed."""
        key, many, tried = prepared
        node = root.get(key)
        if node is None:
            return []
        nodes: Found = [node]
        for wanted in many:
            below: Found = []
            for node in nodes:
                if type(node) is tuple:
                    if node[0] in wanted:
                        below.append(node[1])
                elif len(wanted) <= len(node):
                    for value in wanted:
                        if value in node:
                            below.append(node[value])
                else:
                    for value in node:
                        if value in wanted:
                            below.append(node[value])
            nodes = below
        for fits, value in tried:
            known: dict[str, bool] = {}
            below = []
            for node in nodes:
                for pattern, following in node.items():
                    fit = known.get(pattern)
                    if fit is None:
                        fit = known[pattern] = fits(value, pattern)
                    if fit:
                        below.append(following)
            nodes = below
        return nodes


def _with(leaf: Any, entry: Entry) -> list[Entry]:
    if type(leaf) is list:
        insort(leaf, entry)
        return leaf
    return [leaf, entry] if leaf < entry else [entry, leaf]


def _without(leaf: Any, entry: Entry) -> Any:
    if type(leaf) is not list:
        return None
    leaf.remove(entry)
    return leaf if len(leaf) > 1 else leaf[0]


_NONE: Any = []
"""Never added to."""


def _key(runs: list[Any], paths: list[Any]) -> Callable[[Sequence[Any]], Any]:
    """Gives the tuple of values (a bare one where it is alone), as `itemgetter` gives it of a row."""
    if not runs:
        return lambda _request: ()
    if all(path is not None and len(path) == 1 for path in paths):
        return itemgetter(*(path[0] for path in paths))
    if len(runs) == 1:
        (run,) = runs
        return lambda request: run(request, (), ())
    return lambda request: tuple([run(request, (), ()) for run in runs])
