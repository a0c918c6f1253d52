"""Step 7: one route's documents, cut into records and put together again. Pure.

What the catalogue does not list is dropped here, around a record; within a record's root that is the lens's part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.words.json import Json, JsonObject, Pattern, Pointer
from gateway.words.record import AlarmKind
from gateway.words.resource import FieldClass, Shape

Parts = tuple[str, ...]
Finding = tuple[AlarmKind, Pattern]
Rewrite = Callable[[str], str | None]
"""From a link as the upstream says it to the link that may be shown, None for none."""

_PASSING = (FieldClass.PUBLIC, FieldClass.INTERNAL, FieldClass.LINK)
# A member's name that looks like a schema's word. Any other may be a value (maps keyed by telephone or address) and is not repeated.
_WORD = re.compile(r"[@$]?[A-Za-z](?:[A-Za-z_-]|[0-9](?![0-9]{2})){0,39}")


class Misfit(Exception):
    """The document has not the shape that the catalogue describes; becomes BadAnswer, says nothing of it."""


class _Missing:
    __slots__ = ()


_MISSING = _Missing()
Tree = dict[str, "Tree | None"]
"""Known members below a place; None: whatever stands there is somebody else's to judge."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One record cut out of a document. id, version: None where they do not stand there."""

    fields: JsonObject = field(repr=False)
    id: str | None = field(repr=False)
    version: str | None
    outside: dict[Pointer, Json] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Run:
    """A list's document, cut up. next, total: as the upstream says them, None where it says nothing."""

    pieces: tuple[Piece, ...]
    next: str | None = field(repr=False)
    total: int | None
    outside: dict[Pointer, Json] = field(repr=False)


def parts_of(pointer: str) -> Parts:
    """Gives a JSON Pointer's reference tokens (RFC 6901 section 4)."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def _get(document: Json, parts: Parts) -> Json | _Missing:
    here: Json = document
    for part in parts:
        if not isinstance(here, dict) or part not in here:
            return _MISSING
        here = here[part]
    return here


def put(document: JsonObject, parts: Parts, value: Json) -> None:
    """Sets a place, making the objects on the way."""
    for part in parts[:-1]:
        below = document.setdefault(part, {})
        if not isinstance(below, dict):
            raise Misfit
        document = below
    document[parts[-1]] = value


def wrap(root: Pointer, value: JsonObject) -> JsonObject:
    """Gives a document that has `value` at `root` and nothing else."""
    if not root:
        return value
    document: JsonObject = {}
    put(document, parts_of(root), value)
    return document


class Cut:
    """How one shape's documents are cut, made ready once. `version_at`: where a version stands in a document, or item."""

    def __init__(self, shape: Shape, version_at: Pointer | None) -> None:
        self.shape = shape
        self._root, self._item_root, self._id = map(parts_of, (shape.root, shape.item_root, shape.id))
        self._items = None if shape.items is None else parts_of(shape.items)
        self._next = None if shape.next is None else parts_of(shape.next)
        self._total = None if shape.total is None else parts_of(shape.total)
        self._version = None if version_at is None else parts_of(version_at)
        inner = self._root if self._items is None else self._items
        self._frame = _frame(shape.frame, inner)
        self._item_frame = () if self._items is None else _frame(shape.frame, self._item_root)
        own = [p for p in (self._next, self._total) if p is not None]
        around = [p for p in (None if self._items is not None else self._id, self._version) if p is not None]
        self._known = _tree([inner, *own, *around, *(parts for _, parts, _ in self._frame)])
        item = [p for p in (self._item_root, self._id, self._version) if p is not None]
        self._item_known = _tree([*item, *(parts for _, parts, _ in self._item_frame)])

    def single(self, document: Json, rewrite: Rewrite, findings: list[Finding]) -> Piece:
        """Cuts a document that holds one record. Raises Misfit where no object stands at the root."""
        _unknown(document, self._known, "", findings)
        return self._piece(document, self._root, self._frame, rewrite, findings)

    def holds_one(self, document: Json) -> bool:
        """Tells whether a record stands in the document: an object at the root."""
        return isinstance(_get(document, self._root), dict)

    def holds_list(self, document: Json) -> bool:
        """Tells whether a list stands in the document: an array at the items."""
        return self._items is not None and isinstance(_get(document, self._items), list)

    def id_in(self, document: Json) -> str | None:
        """Gives the id that stands in the document, None where there is none. Raises Misfit for one that is no id."""
        return _id(_get(document, self._id))

    def run(self, document: Json, rewrite: Rewrite, findings: list[Finding]) -> Run:
        """Cuts a list's document. Raises Misfit where the items are no array of objects, or an item has no id."""
        items = _MISSING if self._items is None else _get(document, self._items)
        if not isinstance(items, list):
            raise Misfit
        _unknown(document, self._known, "", findings)
        pieces = []
        for item in items:
            _unknown(item, self._item_known, f"{self.shape.items}/*", findings)
            piece = self._piece(item, self._item_root, self._item_frame, rewrite, findings)
            if piece.id is None:
                raise Misfit
            pieces.append(piece)
        outside = _outside(document, self._frame, rewrite, findings)
        return Run(tuple(pieces), self._next_in(document), self._total_in(document), outside)

    def _piece(
        self, holder: Json, root: Parts, frame: _Frame, rewrite: Rewrite, findings: list[Finding]
    ) -> Piece:
        fields = _get(holder, root)
        if not isinstance(fields, dict):
            raise Misfit
        version = _MISSING if self._version is None else _get(holder, self._version)
        return Piece(
            fields, _id(_get(holder, self._id)), _version(version), _outside(holder, frame, rewrite, findings)
        )

    def _next_in(self, document: Json) -> str | None:
        if self._next is None:
            return None
        found = _get(document, self._next)
        if isinstance(found, _Missing) or found is None or found == "":
            return None
        if isinstance(found, bool) or not isinstance(found, str | int):
            raise Misfit
        return str(found)

    def _total_in(self, document: Json) -> int | None:
        found = _MISSING if self._total is None else _get(document, self._total)
        if isinstance(found, _Missing) or found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or found < 0:
            raise Misfit
        return found

    def document(self, outside: Mapping[Pointer, Json], view: JsonObject) -> JsonObject:
        """Puts a single answer together: what passes around the record, and the view in its place."""
        return _join(self._frame, outside, self._root, view)

    def item(self, outside: Mapping[Pointer, Json], view: JsonObject) -> JsonObject:
        """Puts one item of a list together."""
        return _join(self._item_frame, outside, self._item_root, view)

    def listing(
        self, outside: Mapping[Pointer, Json], items: list[Json], following: str | None, total: int | None
    ) -> JsonObject:
        """Puts a list's answer together; its next position and total are the gateway's own, absent when None."""
        document = _join(self._frame, outside, self._items or (), items)
        if self._next is not None and following is not None:
            put(document, self._next, following)
        if self._total is not None and total is not None:
            put(document, self._total, total)
        return document


_Frame = tuple[tuple[Pointer, Parts, FieldClass], ...]


def _frame(frame: Mapping[Pointer, FieldClass], inner: Parts) -> _Frame:
    """Gives the listed places around `inner`: none within it and none that holds it, or fields would pass undecided."""
    made = []
    for pointer, cls in frame.items():
        parts = parts_of(pointer)
        shorter = min(len(parts), len(inner))
        if cls in _PASSING and parts[:shorter] != inner[:shorter]:
            made.append((pointer, parts, cls))
    return tuple(made)


def _tree(places: list[Parts]) -> Tree | None:
    tree: Tree = {}
    for parts in places:
        if not parts:
            return None
        here = tree
        for part in parts[:-1]:
            below = here.setdefault(part, {})
            if below is None:
                break
            here = below
        else:
            here[parts[-1]] = None
    return tree


def _unknown(node: Json, tree: Tree | None, path: Pattern, findings: list[Finding]) -> None:
    """Notes every member that nobody listed, by its pattern."""
    if tree is None or not isinstance(node, dict):
        return
    for name, value in node.items():
        if name in tree:
            _unknown(value, tree[name], f"{path}/{name.replace('~', '~0').replace('/', '~1')}", findings)
        else:
            findings.append((AlarmKind.FIELD_UNKNOWN, f"{path}/{name if _WORD.fullmatch(name) else '*'}"))


def _outside(holder: Json, frame: _Frame, rewrite: Rewrite, findings: list[Finding]) -> dict[Pointer, Json]:
    """Gives what passes around a record. Only scalars do: nobody listed what is inside anything larger."""
    found: dict[Pointer, Json] = {}
    for pointer, parts, cls in frame:
        value = _get(holder, parts)
        if isinstance(value, _Missing):
            continue
        if isinstance(value, list | dict):
            findings.append((AlarmKind.FIELD_UNKNOWN, f"{pointer}/*"))
        elif cls is not FieldClass.LINK or value is None:
            found[pointer] = value
        elif isinstance(value, str) and (link := rewrite(value)) is not None:
            found[pointer] = link
        else:
            findings.append((AlarmKind.LINK_FOREIGN, pointer))
    return found


def _join(frame: _Frame, outside: Mapping[Pointer, Json], inner: Parts, value: Json) -> JsonObject:
    if not inner:
        if not isinstance(value, dict):
            raise Misfit
        return value
    document: JsonObject = {}
    for pointer, parts, _ in frame:
        if pointer in outside:
            put(document, parts, outside[pointer])
    put(document, inner, value)
    return document


def _id(value: Json | _Missing) -> str | None:
    if isinstance(value, _Missing):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise Misfit
    return str(value)


def _version(value: Json | _Missing) -> str | None:
    """Gives a version as an entity-tag (RFC 9110 section 8.8.3): what is one already stays, anything else is quoted."""
    if isinstance(value, _Missing) or value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Misfit
    text = str(value)
    return text if text.startswith(('"', 'W/"')) else f'"{text}"'


def links_at(fields: JsonObject, pattern: Pattern) -> Iterator[Json]:
    """Gives every value that is not null at a link's pattern."""
    return _values(fields, parts_of(pattern))


def _values(node: Json, parts: Parts) -> Iterator[Json]:
    if not parts:
        if node is not None:
            yield node
        return
    head, rest = parts[0], parts[1:]
    if isinstance(node, dict):
        for name in [*node] if head == "*" else [head] if head in node else []:
            yield from _values(node[name], rest)
    elif isinstance(node, list) and head == "*":
        for element in node:
            yield from _values(element, rest)
