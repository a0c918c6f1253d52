"""Before the path and step 3: JSON Pointers and the patterns made of them (RFC 6901). Pure."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.words.json import Json, Pattern, Pointer

ANY = "*"

_BAD_ESCAPE = re.compile(r"~(?![01])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def fault_of_pointer(pointer: str, *, root: bool = False) -> str | None:
    """Gives why the text is no pointer to one exact place, None when it is one. `root`: the empty pointer is allowed."""
    fault = fault_of_pattern(pointer, root=root)
    if fault is None and ANY in split(pointer):
        return "'*' names many places, and one is needed here"
    return fault


def fault_of_pattern(pattern: str, *, root: bool = False) -> str | None:
    """Gives why the text is no pattern, None when it is one."""
    if pattern == "":
        return None if root else "it is empty"
    if not pattern.startswith("/"):
        return "it does not begin with '/'"
    if "" in pattern[1:].split("/"):
        return "it has an empty step ('//', or '/' at the end)"
    if _BAD_ESCAPE.search(pattern):
        return "'~' stands for itself only as '~0' ('~1' is '/')"
    if _CONTROL.search(pattern):
        return "it holds a control character"
    return None


@lru_cache(maxsize=4096)
def split(pointer: Pattern | Pointer) -> tuple[str, ...]:
    """Gives the steps of a pointer or pattern, unescaped (RFC 6901 section 4: `~1` first, then `~0`)."""
    if pointer == "":
        return ()
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))


def overlap(one: Pattern, other: Pattern) -> bool:
    """True when some place is matched by both, or lies within a place that the other matches."""
    return all(a == b or ANY in (a, b) for a, b in zip(split(one), split(other), strict=False))


def within(place: Pointer, root: Pointer) -> bool:
    """True when `place` is `root` or lies below it."""
    steps, above = split(place), split(root)
    return steps[: len(above)] == above


def relative(place: Pointer, root: Pointer) -> Pointer:
    """Gives `place` as seen from `root`, which it must lie within."""
    return place[len(root) :]


def value_at(document: Json, pointer: Pointer) -> Json:
    """Gives what stands at an exact pointer; None for null, for absent, and for a way through anything but objects."""
    here = document
    for step in split(pointer):
        if not isinstance(here, dict):
            return None
        here = here.get(step)
    return here
