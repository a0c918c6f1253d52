"""Beside the request path: holds the literals of a condition against what they are compared with.

Casbin compares whatever it is given: a purpose, a unit or a status written wrong is never equal, and a deny that asks for it never holds.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches

from gateway.policy.facts import NOWHERE
from gateway.policy.vocabulary import Vocabulary
from gateway.words.principal import ANYWHERE
from gateway.words.resource import FieldSpec, Holds, ResourceSpec

_RANGES = {"hour": (0, 23), "weekday": (1, 7)}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_PARTIES = ("person:", "app:", "system:")
# Scripts with letters that look like those of another one; what mixes them with each other was mistyped or means to be mistaken.
_ALIKE = frozenset(
    {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "FULLWIDTH", "MATHEMATICAL"}
)
Literal = None | bool | int | str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one comparison, and what to write instead."""

    what: str
    suggestion: str
    rule: str = "never-equal"


class Literals:
    """Knows what each name of a request can be equal to."""

    def __init__(self, vocabulary: Vocabulary, resources: Iterable[ResourceSpec]) -> None:
        self._vocabulary = vocabulary
        self._fields: dict[str, list[FieldSpec]] = {}
        for spec in resources:
            for field in spec.fields:
                if field.fact is not None:
                    self._fields.setdefault(field.fact, []).append(field)

    def faults(self, tree: ast.expr) -> list[Fault]:
        """Gives what no record, party or time could ever equal, in the order in which it stands; nothing twice."""
        found: dict[Fault, None] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _mixed(node.value):
                what = f"the text `{node.value}` mixes scripts whose letters look alike"
                found[Fault(what, "Write it in one script", "mixed-scripts")] = None
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                for left, op, right in zip(sides, node.ops, sides[1:], strict=False):
                    found |= dict.fromkeys(self._compared(left, op, right))
        return list(found)

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Iterator[Fault]:
        member = isinstance(op, ast.In | ast.NotIn)
        for one, other in ((left, right), (right, left)):
            name = ast.unparse(one) if isinstance(one, ast.Attribute) else None
            if name is None:
                continue
            as_set = member and one is right
            if not as_set and self._is_list(name):
                yield Fault(f"`{name}` is a list of texts", f'Write `"…" in {name}`')
                continue
            for literal in _literals(other):
                fault = self._fault(name, literal)
                if fault is not None:
                    yield fault

    def _is_list(self, name: str) -> bool:
        fields = self._fields.get(name.removeprefix("r.rec."), []) if name.startswith("r.rec.") else []
        return bool(fields) and all(field.holds is Holds.TEXTS for field in fields)

    def _fault(self, name: str, literal: Literal) -> Fault | None:
        if name == "r.pur":
            return _named(name, literal, self._vocabulary.purposes, NOWHERE)
        if name == "r.dom":
            return _named(name, literal, self._vocabulary.units, NOWHERE)
        if name == "r.rec.unit" and literal is not None:
            return _named(name, literal, self._vocabulary.units, None)
        if name.startswith("r.rec."):
            return _of_fields(name, literal, self._fields.get(name.removeprefix("r.rec."), []))
        if name.startswith("r.env."):
            return _of_clock(name, literal)
        if name == "r.sub.alone" and not isinstance(literal, bool):
            return Fault(f"`{name}` is never {_said(literal)}", "Write True or False")
        if name == "r.sub.id" and not (isinstance(literal, str) and literal.startswith(_PARTIES)):
            return Fault(
                f"`{name}` is never {_said(literal)}", "Write `app:…` or `system:…`; a person is given a role"
            )
        return None


def _literals(node: ast.expr) -> list[Literal]:
    """Gives the literal that stands there, or those of a list; nothing for a name."""
    nodes: Sequence[ast.expr] = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    return [one.value for one in nodes if isinstance(one, ast.Constant)]  # type: ignore[misc] # the language has no others


def _named(name: str, literal: Literal, declared: Mapping[str, object], nothing: str | None) -> Fault | None:
    if isinstance(literal, str) and (literal in declared or literal == nothing):
        return None
    if literal == ANYWHERE:
        return Fault(f"`{name}` is never `*`", "A rule's column says `*`; in a condition name each one")
    if literal is None:
        return Fault(f"`{name}` is never None", f"Write `{NOWHERE}`: that is what it is where there is none")
    return Fault(f"`{name}` is never {_said(literal)}", _nearest(literal, declared, "vocabulary.yaml"))


def _of_fields(name: str, literal: Literal, fields: Sequence[FieldSpec]) -> Fault | None:
    """A literal is fine when one of the fields could hold it; None says absent, and every fact may be."""
    if literal is None or not fields or any(_could_be(field, literal) for field in fields):
        return None
    listed = [value for field in fields for value in field.values]
    if listed:
        return Fault(
            f"`{name}` is never {_said(literal)}", _nearest(literal, listed, "the catalogue's `values`")
        )
    return Fault(f"`{name}` is never {_said(literal)}", "The catalogue says that it holds text: write a text")


def _could_be(field: FieldSpec, literal: Literal) -> bool:
    if field.values:
        return literal in field.values
    return isinstance(literal, str) if field.holds in (Holds.TEXT, Holds.TEXTS) else True


def _of_clock(name: str, literal: Literal) -> Fault | None:
    what = name.removeprefix("r.env.")
    if what in _RANGES:
        low, high = _RANGES[what]
        if isinstance(literal, int) and not isinstance(literal, bool) and low <= literal <= high:
            return None
        return Fault(f"`{name}` is never {_said(literal)}", f"Write a whole number from {low} to {high}")
    return None if _is_date(literal) else Fault(f"`{name}` is never {_said(literal)}", 'Write "2026-11-02"')


def _is_date(literal: Literal) -> bool:
    if not isinstance(literal, str) or not _DATE.match(literal):
        return False
    try:
        date.fromisoformat(literal)
    except ValueError:
        return False
    return True


def _mixed(text: str) -> bool:
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha()}
    return len(scripts & _ALIKE) > 1


def _said(literal: Literal) -> str:
    return f'"{literal}"' if isinstance(literal, str) else repr(literal)


def _nearest(literal: Literal, known: Iterable[str], where: str) -> str:
    names = sorted(set(known))
    close = get_close_matches(str(literal), names, n=1, cutoff=0.5)
    return f'Perhaps "{close[0]}" is meant' if close else f"See {where}: {', '.join(names[:12])}"
