"""Step 4: facts come from unsealed, non-personal fields, in the types that a policy can compare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.catalogue import of_draft, of_record
from gateway.words.access import ResourceRef
from gateway.words.decision import Facts, FactValue, Floors, Unfit, as_fact
from gateway.words.draft import Draft
from gateway.words.errors import Code, Refused
from gateway.words.json import Json, JsonObject
from gateway.words.record import ClosedRecord
from gateway.words.resource import FieldClass, FieldSpec, Holds, ResourceSpec
from tests.catalogue.builders import shop

KNOWN = Facts(values={"weekday": 6}, floors=Floors(held=True))


def buyer(tmp_path: Path) -> ResourceSpec:
    return shop(tmp_path).upstreams["shop"].resources["buyer"]


def facts(resource: ResourceSpec, document: JsonObject) -> dict[str, object]:
    record = ClosedRecord(ResourceRef("shop", "buyer", "b_1"), document)
    found = of_record(resource, record, KNOWN)
    assert found == of_draft(resource, Draft(document), KNOWN)
    assert (found.floors, found.unfit) == (Floors(held=True), frozenset())
    return dict(found.values)


def test_a_records_facts_join_what_is_known(tmp_path: Path) -> None:
    document: JsonObject = {"unit": "north", "tags": ["a", "b"], "name": "gh1:x", "score": 5}
    assert facts(buyer(tmp_path), document) == {"weekday": 6, "unit": "north", "tags": ("a", "b")}


def test_an_absent_fact_is_a_fact(tmp_path: Path) -> None:
    assert facts(buyer(tmp_path), {}) == {"weekday": 6, "unit": None, "tags": None}


def test_numbers_and_booleans_keep_their_type(tmp_path: Path) -> None:
    assert facts(buyer(tmp_path), {"unit": 7, "tags": True}) == {"weekday": 6, "unit": 7, "tags": True}


def unfit(resource: ResourceSpec, document: JsonObject) -> frozenset[str]:
    """Gives what is there and is no fact: never among the values, not even as None, and refused to whoever would create it."""
    found = of_record(resource, ClosedRecord(ResourceRef("shop", "buyer", "b_1"), document), KNOWN)
    assert not found.unfit & set(found.values)
    for name in found.unfit:
        with pytest.raises(Refused) as refused:
            of_draft(resource, Draft({name: document[name]}), KNOWN)
        assert (refused.value.code, refused.value.params) == (Code.VALUE_REFUSED, {"field": f"/{name}"})
    return found.unfit


def test_a_value_of_no_facts_type_is_there_and_no_fact(tmp_path: Path) -> None:
    odd: Json
    for odd in (1.5, {"a": "b"}, ["a", 1], [["a"]]):
        assert unfit(buyer(tmp_path), {"unit": odd}) == {"unit"}
    assert facts(buyer(tmp_path), {"tags": []})["tags"] == ()


def test_a_value_that_no_entry_could_hold_is_there_and_no_fact(tmp_path: Path) -> None:
    most, longest = 2**53 - 1, "x" * 4096
    for fits in (most, -most, longest):
        assert facts(buyer(tmp_path), {"unit": fits})["unit"] == fits
    for beyond in (most + 1, -most - 1, 2**60, longest + "x"):
        assert unfit(buyer(tmp_path), {"unit": beyond}) == {"unit"}
    for many in ([longest, "x"], [""] * 257):
        assert unfit(buyer(tmp_path), {"tags": list(many)}) == {"tags"}
    assert unfit(buyer(tmp_path), {"tags": [""] * 257, "unit": "x"}) == {"tags"}


@pytest.mark.parametrize(
    ("holds", "odd"), [(Holds.TEXT, ["a"]), (Holds.TEXT, 1), (Holds.TEXTS, "a"), (Holds.TEXTS, True)]
)
def test_a_value_of_another_type_than_the_field_holds_is_there_and_no_fact(
    tmp_path: Path, holds: Holds, odd: Json
) -> None:
    spec = replace(
        buyer(tmp_path), fields=(FieldSpec("/mark", FieldClass.INTERNAL, fact="mark", holds=holds),)
    )
    assert unfit(spec, {"mark": odd}) == {"mark"}
    assert facts(spec, {"mark": None})["mark"] is None


def test_a_field_that_is_a_fact_takes_only_what_can_be_one() -> None:
    fact = FieldSpec("/tags", FieldClass.INTERNAL, fact="tags")
    plain = replace(fact, fact=None)
    for fits in (None, True, 7, "x" * 4096, ["x"] * 256):
        assert fact.takes(fits)
    for beyond in (1.5, {}, [1], 2**53, "x" * 4097, [""] * 257, ["x" * 4096, "x"]):
        assert not fact.takes(beyond)
        assert plain.takes(beyond)


@pytest.mark.parametrize(
    ("value", "fact"), [(None, None), (False, False), (0, 0), ("", ""), ([], ()), (["a", "a"], ("a", "a"))]
)
def test_only_null_is_absent(value: Json, fact: FactValue) -> None:
    assert as_fact(value) == fact
    assert type(as_fact(value)) is type(fact)
    with pytest.raises(Unfit):
        as_fact({"a": value})


def test_a_fact_below_another_member_is_found(tmp_path: Path) -> None:
    spec = replace(buyer(tmp_path), fields=(FieldSpec("/place/a~1b", FieldClass.INTERNAL, fact="where"),))
    assert facts(spec, {"place": {"a/b": "here"}})["where"] == "here"
    assert facts(spec, {"place": ["here"]})["where"] is None


def test_a_personal_or_sealed_field_is_never_a_fact_however_its_spec_was_made(tmp_path: Path) -> None:
    personal = FieldSpec("/name", FieldClass.IDENTITY, fact="name")
    sealed = FieldSpec("/unit", FieldClass.INTERNAL, sealed=True, key_class="profile", fact="unit")
    spec = replace(buyer(tmp_path), fields=(personal, sealed))
    assert facts(spec, {"name": "Anna", "unit": "north"}) == {"weekday": 6}
