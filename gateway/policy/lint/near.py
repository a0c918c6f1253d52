"""Beside the request path: the declared name that a written one is nearest to, for whoever mistyped it."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

MOST = 60
"""How many names are looked for: a file of another folder has thousands that are not known, and each search reads all names."""
_LISTED = 8


class Near:
    """Suggests names. Promises: the same name is searched for once, and at most MOST are."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], str | None] = {}

    def suggest(self, name: str, known: Collection[str], otherwise: str) -> str:
        """Gives `Perhaps … is meant` where a known name is close, else what to do otherwise, with the names where they are few."""
        key = (name, otherwise)
        if key not in self._found:
            self._found[key] = _closest(name, known) if len(self._found) < MOST else None
        close = self._found[key]
        if close is not None:
            return f"Perhaps `{close}` is meant"
        few = f": {', '.join(sorted(known))}" if 0 < len(known) <= _LISTED else ""
        return f"{otherwise}{few}"


def _closest(name: str, known: Collection[str]) -> str | None:
    same = {one.casefold(): one for one in sorted(known, reverse=True)}
    if name.casefold() in same:
        return same[name.casefold()]
    close = get_close_matches(name.casefold(), list(same), n=1, cutoff=0.6)
    return same[close[0]] if close else None
