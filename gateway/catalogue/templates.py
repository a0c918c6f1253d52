"""Before the path: target templates, and what may be a segment of one. Pure."""

from __future__ import annotations

import re

ID = "{id}"
PARENT = "{parent}"
KEY = "{key}"

# Unreserved characters and '@' (RFC 3986 section 2.3): a literal segment has one spelling only.
_LITERAL = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~@-]+")
_QUERY = re.compile(r"[A-Za-z0-9._~@:,=&%{}\[\]-]*")
_PLACEHOLDER = re.compile(r"\{[^}]*\}?")


def fault_of_template(path: str, allowed: frozenset[str]) -> str | None:
    """Gives why the text is no path of literal segments and the allowed placeholders, None when it is."""
    if not path.startswith("/"):
        return "it does not begin with '/'"
    seen: set[str] = set()
    for segment in path[1:].split("/"):
        if segment in allowed:
            if segment in seen:
                return f"'{segment}' stands twice"
            seen.add(segment)
        elif _PLACEHOLDER.search(segment):
            return f"'{segment}' is none of {', '.join(sorted(allowed)) or 'the placeholders (none is possible here)'}"
        elif not _LITERAL.fullmatch(segment):
            return f"'{segment}' is not a plain segment"
    return None


def fault_of_read(target: str) -> str | None:
    """As `fault_of_template`, for the target by which the gateway itself reads one record; a query may follow."""
    path, mark, query = target.partition("?")
    if mark and (not query or not _QUERY.fullmatch(query) or "{" in query):
        return "its query is not plain"
    fault = fault_of_template(path, frozenset({ID, PARENT}))
    return fault or (None if ID in path.split("/") else "it has no '{id}'")


def fault_of_lookup(target: str) -> str | None:
    """As `fault_of_template`, for the target that finds a create again: `{key}` once, as a segment or a query value."""
    return _fault_of_search(target, KEY)


def fault_of_present(target: str) -> str | None:
    """As `fault_of_lookup`, for the list that holds a record as long as it is there: `{id}` once."""
    return _fault_of_search(target, ID)


def _fault_of_search(target: str, name: str) -> str | None:
    path, mark, query = target.partition("?")
    if mark and (not query or not _QUERY.fullmatch(query) or _PLACEHOLDER.search(query.replace(name, ""))):
        return "its query is not plain"
    if target.count(name) != 1:
        return f"it needs '{name}' exactly once"
    if name in query and not re.search(rf"={re.escape(name)}(&|$)", query):
        return f"'{name}' is not a whole value of its query"
    return fault_of_template(path, frozenset({name, PARENT}))


def segments(path: str) -> tuple[str, ...]:
    """Gives a template's segments after its leading slash."""
    return tuple(path[1:].split("/"))


def fault_of_prefix(prefix: str) -> str | None:
    """Gives why an upstream cannot be mounted there, None when it can."""
    return fault_of_template(prefix, frozenset())
