"""Before the path: takes typed values out of a file's tree and collects every problem, each with its file and line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from typing import TypeVar

from gateway.wire.yaml import Entry, Mapping, Node, Scalar, Sequence

Choice = TypeVar("Choice", bound=Enum)

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(slots=True)
class Problems:
    """What is wrong in one file, in the order found."""

    file: str
    lines: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, what: str, do: str) -> None:
        """Adds `file:line: what; do`."""
        self.lines.append((line, f"{self.file}:{line}: {what}; {do}"))

    def sorted(self) -> list[str]:
        """Gives the problems from the top of the file to its end."""
        return [text for _, text in sorted(self.lines, key=lambda one: one[0])]


def nearest(word: str, known: Iterable[str]) -> str:
    """Gives advice that names the known word nearest to a wrong one, or all of them."""
    known = sorted(known)
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known) or 'nothing'}"


class Section:
    """One mapping of a file. Every `take` reports what is wrong and then gives the default, so that reading goes on.

    `ok` is False once anything in this section was wrong. `what` names the section in problems: "field '/phone'".
    """

    def __init__(self, node: Node, what: str, problems: Problems, keys: frozenset[str] | None) -> None:
        """`keys`: those that are known; None where the keys are names that the file itself gives."""
        self.what = what
        self.line = node.line
        self.ok = True
        self._problems = problems
        self._entries: dict[str, Entry] = {}
        if not isinstance(node, Mapping):
            self.problem(f"{what} is not a mapping", "write 'key: value' lines below it")
            return
        for entry in node.entries:
            if keys is not None and entry.key not in keys:
                self.problem(
                    f"{what} has the unknown key '{entry.key}'", nearest(entry.key, keys), entry.line
                )
            else:
                self._entries[entry.key] = entry

    def problem(self, what: str, do: str, line: int | None = None) -> None:
        """Reports, at the section's own line unless another is given."""
        self.ok = False
        self._problems.add(self.line if line is None else line, what, do)

    def has(self, key: str) -> bool:
        """True when the key stands there."""
        return key in self._entries

    def line_of(self, key: str) -> int:
        """Gives the key's line, or the section's where the key is absent."""
        entry = self._entries.get(key)
        return self.line if entry is None else entry.line

    def node(self, key: str) -> Node | None:
        """Gives what stands at the key, unread."""
        entry = self._entries.get(key)
        return None if entry is None else entry.node

    def wrong(self, key: str, what: str, do: str) -> None:
        """Reports about one key, at its line."""
        self.problem(f"{self.what}: {key} {what}", do, self.line_of(key))

    def need(self, *keys: str) -> None:
        """Reports each key that is absent."""
        for key in keys:
            if key not in self._entries:
                self.problem(f"{self.what} has no '{key}'", f"add '{key}: …'")

    def text(self, key: str, default: str = "", fits: re.Pattern[str] | None = None, like: str = "") -> str:
        """Gives a text; `fits` must match it whole, `like` is an example of what does."""
        value = self._scalar(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.wrong(key, "is not a text", "put it in quotes" + (f", like '{like}'" if like else ""))
            return default
        if fits is not None and not fits.fullmatch(value):
            self.wrong(key, f"'{value}' is not possible here", f"write it like '{like}'")
            return default
        return value

    def flag(self, key: str) -> bool:
        """Gives true or false; absent is false."""
        value = self._scalar(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.wrong(key, "is neither true nor false", "write true or false, without quotes")
        return False

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """Gives a whole number within bounds."""
        value = self._scalar(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.wrong(key, f"is not a whole number from {low} to {high}", f"the usual value is {default}")
            return default
        return value

    def seconds(self, key: str, default: float) -> float:
        """Gives a time in seconds, above 0 and at most 600."""
        value = self._scalar(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 600:
            self.wrong(
                key, "is not a number of seconds above 0 and up to 600", f"the usual value is {default:g}"
            )
            return default
        return float(value)

    def choice(self, key: str, kind: type[Choice], default: Choice) -> Choice:
        """Gives a member of a closed list."""
        value = self._scalar(key)
        if value is None:
            return default
        known = {str(member.value): member for member in kind}
        if str(value) not in known:
            self.wrong(key, f"'{value}' is not known", nearest(str(value), known))
            return default
        return known[str(value)]

    def checked(self, key: str, fault: Callable[[str], str | None], like: str, default: str = "") -> str:
        """Gives a text in which `fault` finds nothing wrong."""
        value = self.text(key, default)
        if self.has(key) and (why := fault(value)) is not None:
            self.wrong(key, f"'{value}' is not possible here: {why}", f"write it like '{like}'")
            return default
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Gives a list of texts, none twice."""
        node = self.node(key)
        if node is None:
            return ()
        if not isinstance(node, Sequence):
            self.wrong(key, "is not a list", "write it like [one, two]")
            return ()
        found: list[str] = []
        for item in node.items:
            if not isinstance(item, Scalar) or not isinstance(item.value, str) or not item.value:
                self.problem(
                    f"{self.what}: {key} holds something that is not a text", "put it in quotes", item.line
                )
            elif item.value in found:
                self.problem(f"{self.what}: {key} holds '{item.value}' twice", "keep one", item.line)
            else:
                found.append(item.value)
        return tuple(found)

    def pairs(self, key: str) -> Iterator[tuple[str, str, int]]:
        """Gives name, text and line of each entry of a mapping of texts."""
        node = self.node(key)
        if node is None:
            return
        if not isinstance(node, Mapping):
            self.wrong(key, "is not a mapping", "write 'name: value' lines below it")
            return
        for entry in node.entries:
            if isinstance(entry.node, Scalar) and isinstance(entry.node.value, str):
                yield entry.key, entry.node.value, entry.line
            else:
                self.problem(
                    f"{self.what}: {key}: '{entry.key}' is not a text", "put it in quotes", entry.line
                )

    def section(self, key: str, what: str, keys: frozenset[str] | None) -> Section | None:
        """Gives the mapping at the key, None when absent."""
        entry = self._entries.get(key)
        return None if entry is None else Section(entry.node, what, self._problems, keys)

    def sections(self, key: str, kind: str, keys: frozenset[str]) -> Iterator[tuple[str, Section]]:
        """Gives each named mapping below the key; a section's line is its name's."""
        outer = self.section(key, f"'{key}'", None)
        if outer is None:
            return
        for name, entry in outer._entries.items():
            inner = Section(entry.node, f"{kind} '{name}'", self._problems, keys)
            inner.line = entry.line
            yield name, inner

    def _scalar(self, key: str) -> None | bool | int | float | str:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if not isinstance(entry.node, Scalar):
            self.wrong(key, "is not a single value", "write one value after the colon")
            return None
        if entry.node.value is None:
            self.wrong(key, "has no value", "write one, or remove the line")
        return entry.node.value
