"""Step 4: the facts that a record or a draft carries, from the fields that the catalogue names as facts. Pure."""

from __future__ import annotations

from gateway.catalogue.pointers import value_at
from gateway.words.decision import Facts, FactValue, may_be_fact
from gateway.words.draft import Draft
from gateway.words.errors import Code, Refused
from gateway.words.json import Json
from gateway.words.record import ClosedRecord
from gateway.words.resource import PERSONAL, ResourceSpec


def of_record(resource: ResourceSpec, record: ClosedRecord, known: Facts) -> Facts:
    """Gives `known` joined with the facts that the record's non-personal fields carry; its floors stay as they are."""
    return _joined(resource, record.fields, known)


def of_draft(resource: ResourceSpec, draft: Draft, known: Facts) -> Facts:
    """Gives the facts that a record about to be created would have.

    Raises Refused(VALUE_REFUSED) naming a required field without a value: it says of the draft alone, and of no record.
    """
    document = draft.inside()
    for field in resource.fields:
        if field.required and value_at(document, field.pattern) is None:
            raise Refused(Code.VALUE_REFUSED, field=field.pattern)
    return _joined(resource, document, known)


def _joined(resource: ResourceSpec, document: Json, known: Facts) -> Facts:
    values = dict(known.values)
    for field in resource.fields:
        # The loader refuses personal facts; a spec made otherwise is held to the same here, where values are taken.
        if field.fact is not None and not field.sealed and field.cls not in PERSONAL:
            value = value_at(document, field.pattern)
            values[field.fact] = _fact(value) if field.holds.fits(value) else None
    return Facts(values=values, floors=known.floors)


def _fact(value: Json) -> FactValue:
    """Gives the value as a fact: text, whole number, boolean, list of texts; None (absent) for anything else, and for what is too large."""
    fact: FactValue = None
    if isinstance(value, bool | int | str):
        fact = value
    elif isinstance(value, list):
        texts = tuple(item for item in value if isinstance(item, str))
        fact = texts if len(texts) == len(value) else None
    return fact if may_be_fact(fact) else None
