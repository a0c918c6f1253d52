"""Beside the request path: when one rule speaks wherever another does, and fails wherever it fails."""

from __future__ import annotations

from gateway.policy.bundle import ANY, Line, wide
from gateway.policy.known import Known
from gateway.policy.plan import RECORD


class Covering:
    """Compares rules by what they speak of. `known` says of which class a field is."""

    def __init__(self, known: Known) -> None:
        self._classes = {
            (name, field.pattern): field.cls.value
            for name, spec in known.resources.items()
            for field in spec.fields
        }

    def covers(self, broad: Line, narrow: Line) -> bool:
        """True when `broad` speaks about everything that `narrow` does, of two rules about one unit; roles and conditions aside."""
        return (
            broad.res in (narrow.res, ANY)
            and broad.act in (narrow.act, wide(narrow.act))
            and (broad.field in (narrow.field, ANY) or broad.field == self._class(narrow))
            and broad.pur in (narrow.pur, ANY)
        )

    def meet(self, one: Line, other: Line) -> bool:
        """True when some question could be about both; roles aside."""
        return (
            _meet(one.unit, other.unit)
            and _meet(one.res, other.res)
            and (one.act in (other.act, wide(other.act)) or other.act == wide(one.act))
            and self._fields_meet(one, other)
            and _meet(one.pur, other.pur)
        )

    def _fields_meet(self, one: Line, other: Line) -> bool:
        if _meet(one.field, other.field):
            return True
        if RECORD in (one.field, other.field):
            return False
        # A resource that one of both leaves open may have any field in any class.
        left_open = ANY in (one.res, other.res)
        return left_open or self._class(one) == other.field or self._class(other) == one.field

    def _class(self, line: Line) -> str | None:
        return self._classes.get((line.res, line.field))


def _meet(one: str, other: str) -> bool:
    return one == other or ANY in (one, other)


def implies(strict: Line, lax: Line) -> bool:
    """True when `lax`'s condition holds on every record on which `strict`'s does."""
    return "False" in strict.condition.parts or lax.condition.conjuncts <= strict.condition.conjuncts


def begins(start: Line, whole: Line) -> bool:
    """True when `whole` asks first what `start` asks, in the same order: it then fails wherever `start` does."""
    parts = start.condition.parts
    return whole.condition.parts[: len(parts)] == parts


def denies_as_well(deny: Line, for_it: Line) -> bool:
    """True when `deny` holds, or fails, on every record on which `for_it` holds or fails."""
    if for_it.condition.total:
        return implies(for_it, deny) and deny.condition.total
    return begins(deny, for_it)
