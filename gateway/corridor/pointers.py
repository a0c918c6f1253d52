"""Steps 6 and 9: the pointers of an entry's part. A name that stands where the catalogue has `*` may be a value: a token is put for it.

Pure. The reconciler finds a member again by making the tokens of what the record holds now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from gateway.rooms import Evidence
from gateway.words.json import Json, Pattern, Pointer
from gateway.words.resource import ResourceSpec

ANY = "*"
_LABEL = "pointer-step"
_DIGITS = 24  # hex: 96 bits
_LIMIT = 1_024


@dataclass(slots=True)
class _Place:
    """One place of the catalogue's patterns: known members, and what stands for every other."""

    pattern: Pattern = ""
    members: dict[str, _Place] = field(default_factory=dict)
    star: _Place | None = None
    element_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Shape:
    root: _Place
    exact: frozenset[Pattern]  # fields that stand at one place only


_made: dict[int, tuple[ResourceSpec, _Shape]] = {}


class Pointers:
    """One resource's pointers as entries say them."""

    __slots__ = ("_evidence", "_resource", "_shape", "_tokens")

    def __init__(self, resource: ResourceSpec, evidence: Evidence) -> None:
        self._resource = resource
        self._evidence = evidence
        self._shape = _shape_of(resource)
        self._tokens: dict[tuple[Pattern, str], str] = {}

    def said(self, pointer: Pointer) -> Pointer:
        """Gives the pointer with a token for each step that no pattern names; a pointer of known names stays as it is."""
        if pointer in self._shape.exact:
            return pointer
        here: _Place | None = self._shape.root
        out = ""
        for step in pointer.split("/")[1:]:
            name = _unescaped(step)
            if here is not None and name in here.members:
                out += f"/{step}"
                here = here.members[name]
            else:
                out += f"/{self._token(here, name)}"
                here = here.star if here is not None else None
        return out

    def member(self, document: Json, pointer: Pointer) -> Json:
        """Gives what stands at a pointer, as `said` gives it or as it was before; None when nothing does."""
        here: _Place | None = self._shape.root
        at = document
        for step in pointer.split("/")[1:]:
            name = _unescaped(step)
            held = dict(_held(here, at))
            if name not in held:
                name = next((n for n in held if self._step(here, n) == step), name)
            if name not in held:
                return None
            at = held[name]
            here = None if here is None else here.members.get(name, here.star)
        return at

    def _step(self, here: _Place | None, name: str) -> str | None:
        known = here is not None and name in here.members
        return None if known else self._token(here, name)

    def _token(self, here: _Place | None, name: str) -> str:
        if name == ANY:  # every element: what a view says of elements whose identity is not to be seen
            return ANY
        pattern = here.pattern if here is not None else ""
        token = self._tokens.get((pattern, name))
        if token is None:
            of = orjson.dumps([self._resource.upstream, self._resource.name, pattern, name])
            token = f"at_{self._evidence.bytes_digest(_LABEL, of)[:_DIGITS]}"
            self._tokens[(pattern, name)] = token
        return token


def _held(here: _Place | None, at: Json) -> Iterator[tuple[str, Json]]:
    """Gives what a container holds by name: members; elements by their id where the catalogue names one, else by index."""
    if isinstance(at, dict):
        yield from at.items()
    elif isinstance(at, list):
        key = here.element_id if here is not None else None
        # Of two elements with one id the first has it: a later pair would replace it.
        for index, element in reversed(list(enumerate(at))):
            if key is None:
                yield str(index), element
            elif isinstance(element, dict) and type(element.get(key)) in (str, int):
                yield str(element[key]), element


def _shape_of(resource: ResourceSpec) -> _Shape:
    held = _made.get(id(resource))
    if held is None or held[0] is not resource:
        if len(_made) >= _LIMIT:
            _made.clear()
        held = _made[id(resource)] = (resource, _compiled(resource))
    return held[1]


def _compiled(resource: ResourceSpec) -> _Shape:
    root = _Place()
    for spec in resource.fields:
        here = root
        for step in spec.pattern.split("/")[1:]:
            if step == ANY:
                here.star = here.star or _Place(f"{here.pattern}/{ANY}")
                here.element_id = here.element_id or spec.element_id
                here = here.star
            else:
                here = here.members.setdefault(_unescaped(step), _Place(f"{here.pattern}/{step}"))
    return _Shape(root, frozenset(s.pattern for s in resource.fields if ANY not in s.pattern.split("/")))


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
