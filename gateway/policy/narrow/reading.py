"""Step 5 for a list: a condition's tree, read as the engine reads it (`condition.py`), to its three outcomes over a record's fields."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from gateway.policy.condition import Condition, casbin_spelling
from gateway.policy.facts import NOWHERE
from gateway.policy.narrow.comparisons import Held, Hidden, Known, Operand, Unit, among, compared, member
from gateway.policy.narrow.outcomes import FALLS, HOLDS, UNKNOWN, Three, conjunction, disjunction, opposite
from gateway.words.resource import PERSONAL, FieldSpec, ResourceSpec

MAX_TREES = 4_096
_OPS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
}


def fields_of_facts(resource: ResourceSpec) -> Mapping[str, FieldSpec]:
    """Gives the field that each fact of the resource's records stands in; every other fact is absent there."""
    return {
        spec.fact: spec
        for spec in resource.fields
        if spec.fact is not None and not spec.sealed and spec.cls not in PERSONAL
    }


@dataclass(frozen=True, slots=True)
class Asker:
    """All that a condition may look at and that is the same for every record. sub: None where it is not to be named in a filter."""

    sub: Mapping[str, str | int | bool | None] | None
    env: Mapping[str, str | int]
    pur: str
    alone: bool


@dataclass(slots=True)
class Reader:
    """Reads conditions for one asker about records of one resource. Remembers those that do not look at the record's unit."""

    asker: Asker
    fields: Mapping[str, FieldSpec]
    sets: frozenset[str]
    _known: dict[str, Three] = field(default_factory=dict)

    def outcomes(self, condition: Condition, unit: str | None) -> Three:
        """Gives the condition's outcomes on records of that unit; None: of any unit, none included, that stands in the record."""
        if condition.always:
            return HOLDS
        looks = "r.dom" in condition.text
        known = None if looks else self._known.get(condition.text)
        if known is None:
            known = _Tree(self, unit).truth(_tree(condition.text))
            if not looks:
                self._known[condition.text] = known
        return known


@lru_cache(MAX_TREES)
def _tree(text: str) -> ast.expr:
    """Every text here was read and held to the language when its bundle was loaded."""
    return ast.parse(casbin_spelling(text).strip(), mode="eval").body


@dataclass(frozen=True, slots=True)
class _Tree:
    reader: Reader
    unit: str | None

    def truth(self, node: ast.expr) -> Three:
        match node:
            case ast.Constant(value=value):
                return HOLDS if value is True else FALLS
            case ast.UnaryOp(operand=operand):
                return opposite(self.truth(operand))
            case ast.BoolOp(op=op, values=values):
                return _joined([self.truth(value) for value in values], isinstance(op, ast.And))
            case ast.Compare(left=left, ops=ops, comparators=others):
                pairs = zip([left, *others], ops, others, strict=False)
                return _joined([self._compared(a, op, b) for a, op, b in pairs], True)
        return UNKNOWN

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Three:
        one = self._operand(left)
        if not isinstance(op, ast.In | ast.NotIn):
            return compared(_OPS[type(op)], one, self._operand(right))
        match right:
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                found = among(one, tuple(e.value for e in elements if isinstance(e, ast.Constant)))  # type: ignore[misc] # the language has no others
            case ast.Attribute(attr=name):
                found = member(one, self._fact(name, as_set=True))
            case _:
                return UNKNOWN
        return found if isinstance(op, ast.In) else opposite(found)

    def _operand(self, node: ast.expr) -> Operand:
        asker = self.reader.asker
        match node:
            case ast.Constant(value=None | bool() | int() | str() as value):
                return Known(value)
            case ast.Attribute(value=ast.Name(), attr="pur"):
                return Known(asker.pur)
            case ast.Attribute(value=ast.Name(), attr="dom"):
                return self._unit()
            case ast.Attribute(value=ast.Attribute(attr="rec"), attr=name):
                return self._fact(name, as_set=False)
            case ast.Attribute(value=ast.Attribute(attr="env"), attr=name):
                return Known(asker.env[name])
            case ast.Attribute(value=ast.Attribute(attr="sub"), attr="alone"):
                return Known(asker.alone)
            case ast.Attribute(value=ast.Attribute(attr="sub"), attr=name) if asker.sub is not None:
                return Known(asker.sub[name])
        return Hidden()

    def _unit(self) -> Operand:
        if self.unit is not None:
            return Known(self.unit)
        spec = self.reader.fields.get("unit")
        return Known(NOWHERE) if spec is None else Unit(spec.pattern)

    def _fact(self, name: str, *, as_set: bool) -> Operand:
        spec = self.reader.fields.get(name)
        if as_set != (name in self.reader.sets):
            return (
                Hidden()
            )  # the bundle uses it in the other way: what a record holds there is made plain otherwise
        if spec is None:
            return Known(() if as_set else None)
        return Held(spec)


def _joined(parts: list[Three], conjoined: bool) -> Three:
    made = parts[-1]
    for part in reversed(parts[:-1]):
        made = conjunction(part, made) if conjoined else disjunction(part, made)
    return made


__all__ = ["Asker", "Reader", "fields_of_facts"]
