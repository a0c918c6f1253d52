"""Step 4: the facts that a record or a draft carries, from the fields that the catalogue names as facts. Pure."""

from __future__ import annotations

from gateway.catalogue.pointers import value_at
from gateway.words.decision import Facts, Unfit, as_fact
from gateway.words.draft import Draft
from gateway.words.errors import Code, Refused
from gateway.words.json import Json, Pattern
from gateway.words.record import ClosedRecord
from gateway.words.resource import PERSONAL, Holds, ResourceSpec

NONE: frozenset[str] = frozenset()
_Named = tuple[tuple[str, Pattern, Holds], ...]
_LIMIT = 1_024
_made: dict[int, tuple[ResourceSpec, _Named]] = {}


def _named(resource: ResourceSpec) -> _Named:
    """Gives the fields that are facts, by the fact's name; from memory after the first time."""
    held = _made.get(id(resource))
    if held is None or held[0] is not resource:
        # The loader refuses personal facts; a spec made otherwise is held to the same here, where values are taken.
        named = tuple(
            (field.fact, field.pattern, field.holds)
            for field in resource.fields
            if field.fact is not None and not field.sealed and field.cls not in PERSONAL
        )
        if len(_made) >= _LIMIT:
            _made.clear()
        held = _made[id(resource)] = (resource, named)
    return held[1]


def of_record(resource: ResourceSpec, record: ClosedRecord, known: Facts) -> Facts:
    """Gives `known` joined with the facts that the record's non-personal fields carry; its floors stay as they are."""
    return _joined(resource, record.fields, known)


def of_draft(resource: ResourceSpec, draft: Draft, known: Facts) -> Facts:
    """Gives the facts that a record about to be created would have.

    Raises Refused(VALUE_REFUSED) naming a required field without a value, or one whose value can be no fact: it says of the draft
    alone, and of no record.
    """
    document = draft.inside()
    for field in resource.fields:
        if field.required and value_at(document, field.pattern) is None:
            raise Refused(Code.VALUE_REFUSED, field=field.pattern)
    found = _joined(resource, document, known)
    if found.unfit - known.unfit:
        first = next(field.pattern for field in resource.fields if field.fact in found.unfit)
        raise Refused(Code.VALUE_REFUSED, field=first)
    return found


def _joined(resource: ResourceSpec, document: Json, known: Facts) -> Facts:
    values = dict(known.values)
    unfit = set(known.unfit)
    for name, pattern, holds in _named(resource):
        value = value_at(document, pattern)
        try:
            if value is not None and not holds.fits(value):
                raise Unfit
            values[name] = as_fact(value)
            unfit.discard(name)
        except Unfit:
            # Not None: that would say that the record has none, and a deny that asks for it would not hold.
            values.pop(name, None)
            unfit.add(name)
    return Facts(values=values, floors=known.floors, unfit=frozenset(unfit) if unfit else NONE)
