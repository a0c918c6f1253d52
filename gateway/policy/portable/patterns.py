"""What of a pattern Go's RE2, JavaScript's expressions and Casbin's own path functions in those languages read otherwise."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from gateway.policy.portable.remark import Found

PATTERNS = frozenset({"keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5", "regexMatch", "ipMatch"})

# Classes that Python extends over all of Unicode, and marks that another dialect has not or means otherwise by.
_DIALECT = re.compile(
    r"\\[dDwWsSbBAZagkNpPuU]"  # classes, ends, names of characters
    r"|\(\?(?!:)"  # every group but `(?:`: names, flags, look-around, atoms
    r"|[*+?}]\+"  # possessive loops
    r"|\[\["  # classes of POSIX
    r"|&&|--|~~"  # operations on sets
    r"|\[\^?\]"  # a bracket first in a class: a character here, an empty class in JavaScript
)
_LOOPS = re.compile(r"\{(\d+)?(,)?(\d+)?\}")
MOST_LOOPS = 1_000
"""RE2's limit."""
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+(?:/\d{1,3})?\Z")
_PLACES = {
    "keyMatch2": (":", re.compile(r":[^/]+")),
    **dict.fromkeys(("keyMatch3", "keyMatch4", "keyMatch5"), ("{", re.compile(r"\{[^/]+?\}"))),
}


def of_pattern(function: str, pattern: str) -> Iterator[Found]:
    """Gives what is not portable about a pattern that a function is given."""
    if function == "regexMatch":
        yield from _of_regex(pattern)
    elif function == "ipMatch":
        if not _is_address(pattern):
            yield "portable-address", pattern
    elif function in _PLACES:
        yield from _of_path(function, pattern)


def _of_regex(pattern: str) -> Iterator[Found]:
    bare = re.sub(r"\\\\", "", pattern)
    counts = (int(n) for found in _LOOPS.findall(bare) for n in (found[0], found[2]) if n)
    if _DIALECT.search(bare) or any(count > MOST_LOOPS for count in counts):
        yield "portable-regex", pattern
    if not _anchored(bare):
        yield "portable-unanchored", pattern


def _without_classes(bare: str) -> str:
    return re.sub(r"\[(?:\\.|[^\]\\])*\]", "", bare)


def _anchored(bare: str) -> bool:
    """Python looks at the beginning alone; the others search. `^` binds one branch of `|`, unless a group holds them all."""
    if not bare.startswith("^"):
        return False
    depth = 0
    for sign in re.findall(r"\\.|[()|]", _without_classes(bare)):
        depth += (sign == "(") - (sign == ")")
        if sign == "|" and not depth:
            return False
    return True


def _of_path(function: str, pattern: str) -> Iterator[Found]:
    mark, name = _PLACES[function]
    names = name.findall(pattern)
    first = name.search(pattern)
    # Node replaces names from the last to the first, as long as one stands behind a slash.
    inside = first is not None and pattern[: first.start()][-1:] != "/"
    # Node's keyMatch4 compares all places with the first where one name stands twice.
    mixed = function == "keyMatch4" and 1 < len(set(names)) < len(names)
    if inside or mixed or any(mark in one[1:] for one in names):
        yield "portable-path", pattern
    if _DIALECT.search(pattern):
        yield "portable-regex", pattern


def _is_address(pattern: str) -> bool:
    """An address, or one with the length of its prefix; Python takes masks too, and something that is none for nobody's."""
    if not _ADDRESS.match(pattern):
        return False
    try:
        ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return False
    return True
