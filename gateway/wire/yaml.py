"""Before the path: reads one YAML file into a small tree in which every node knows its line. No objects are ever constructed.

The catalogue reads the tree; the policy's files read the same as tables and rows (`plain`), which know the lines of what they hold.
Of YAML only what an administrator needs is taken: mappings with text keys, lists and scalars. Anchors, aliases, merges, tags,
directives, several documents and doubled keys are refused, since each lets one text mean two things.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_DEPTH = 20
MAX_CHARACTERS = 1_048_576

# libyaml's scanner, where the wheel brings it: reading a policy folder took a quarter of a start without it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML 1.1 breaks lines here and YAML 1.2 does not; editors differ too, so lines would be counted in two ways.
_OTHER_BREAKS = re.compile("[\x85\u2028\u2029]")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. A quoted one is always text; a plain one is text unless it reads as null, true, false or a number."""

    line: int
    value: None | bool | int | float | str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    line: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping, the line it stands on, and what it holds."""

    key: str
    line: int
    node: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """Entries in the file's order; no key twice."""

    line: int
    entries: tuple[Entry, ...]


Node = Scalar | Sequence | Mapping


class Unreadable(Exception):
    """A file that is no catalogue at all; `line` counts from 1. Turned into Misconfigured by the loader."""

    def __init__(self, line: int, what: str, do: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what
        self.do = do


def read(text: str) -> Node:
    """Gives the tree of one file's text.

    Raises: Unreadable for anything that is not one plain YAML 1.2 document of bounded size and depth.
    """
    if len(text) > MAX_CHARACTERS:
        raise Unreadable(1, "the file is larger than 1 MiB", "split it")
    if text.startswith("\ufeff"):
        raise Unreadable(1, "the file begins with a byte order mark", "save it as UTF-8 without BOM")
    if found := _OTHER_BREAKS.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise Unreadable(line, "a line break that is none in YAML 1.2", "end the line with a newline")
    try:
        nodes = list(_documents(yaml.parse(text, Loader=_LOADER)))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise Unreadable(line, f"this is not YAML: {error.problem}", "correct the syntax") from error
    except YAMLError as error:
        raise Unreadable(1, "the file holds characters that YAML does not allow", "remove them") from error
    except (ArithmeticError, ValueError) as error:  # an escape beyond Unicode, a version without end
        raise Unreadable(1, "the file holds an escape or a number that means nothing", "remove it") from error
    if not nodes:
        raise Unreadable(1, "the file is empty", "fill it or remove it")
    return nodes[0]


def _documents(events: Iterator[Any]) -> Iterator[Node]:
    seen = 0
    for event in events:
        if isinstance(event, DocumentStartEvent):
            seen += 1
            if event.version or event.tags:
                raise Unreadable(_line(event), "a YAML directive (%…)", "remove it: the files are YAML 1.2")
            if seen > 1:
                raise Unreadable(_line(event), "a second document (---)", "write it into a file of its own")
        elif isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent | AliasEvent):
            yield _node(event, events, 1)


def _node(event: Any, events: Iterator[Any], depth: int) -> Node:
    line = _line(event)
    if isinstance(event, AliasEvent) or event.anchor is not None:
        raise Unreadable(line, "an anchor or alias (& or *)", "write the value out; quote a text with & or *")
    if event.tag is not None:
        raise Unreadable(line, "a tag (!…)", "remove it; quote a text that begins with !")
    if depth > MAX_DEPTH:
        raise Unreadable(
            line, f"nested deeper than {MAX_DEPTH}", "such a file is shallow: check the brackets"
        )
    if isinstance(event, ScalarEvent):
        if any("\ud800" <= mark <= "\udfff" for mark in event.value):
            raise Unreadable(line, "an escape of half a character", "write the character itself")
        return Scalar(line, event.value if event.style else _plain(event.value))
    if isinstance(event, SequenceStartEvent):
        items = []
        while not isinstance(inner := next(events), SequenceEndEvent):
            items.append(_node(inner, events, depth + 1))
        return Sequence(line, tuple(items))
    return Mapping(line, tuple(_entries(events, depth)))


def _entries(events: Iterator[Any], depth: int) -> Iterator[Entry]:
    lines: dict[str, int] = {}
    while not isinstance(event := next(events), MappingEndEvent):
        key = _node(event, events, depth + 1)
        if not isinstance(key, Scalar):
            raise Unreadable(key.line, "a key that is a list or a mapping", "a key is one word; quote it")
        name = event.value
        if name == "<<":
            raise Unreadable(key.line, "a merge (<<)", "write the keys out")
        if name in lines:
            raise Unreadable(key.line, f"'{name}' stands twice (first in line {lines[name]})", "keep one")
        lines[name] = key.line
        yield Entry(name, key.line, _node(next(events), events, depth + 1))


def _plain(value: str) -> None | bool | int | float | str:
    match value:
        case "" | "~" | "null":
            return None
        case "true":
            return True
        case "false":
            return False
    if _INTEGER.fullmatch(value):
        return int(value)
    return float(value) if _DECIMAL.fullmatch(value) else value


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def canonical(node: Node) -> object:
    """Gives the tree as plain values without lines, for the digest: comments, order of keys and quoting do not show."""
    match node:
        case Scalar(_, value):
            return value
        case Sequence(_, items):
            return [canonical(item) for item in items]
        case Mapping(_, entries):
            return {entry.key: canonical(entry.node) for entry in entries}


class Table(dict[str, object]):
    """A mapping of a file as a dict; `line` is where it begins, `lines` where each key stands."""

    __slots__ = ("line", "lines")

    def __init__(self, node: Mapping) -> None:
        super().__init__((entry.key, plain(entry.node)) for entry in node.entries)
        self.line = node.line
        self.lines = {entry.key: entry.line for entry in node.entries}


class Rows(list[object]):
    """A list of a file as a list; `line` is where it begins, `lines` where each item does."""

    __slots__ = ("line", "lines")

    def __init__(self, node: Sequence) -> None:
        super().__init__(plain(item) for item in node.items)
        self.line = node.line
        self.lines = dict(enumerate(item.line for item in node.items))


def plain(node: Node) -> object:
    """Gives the tree as dicts and lists that know their lines."""
    match node:
        case Scalar(_, value):
            return value
        case Sequence():
            return Rows(node)
        case Mapping():
            return Table(node)


def line_of(node: object, key: object = None) -> int:
    """Gives the 1-based line of a table or of rows, or of one of their keys or items; 1 where unknown."""
    if not isinstance(node, Table | Rows):
        return 1
    lines: dict[Any, int] = node.lines
    return lines.get(key, node.line)
