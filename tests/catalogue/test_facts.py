"""Step 4: facts come from unsealed, non-personal fields, in the types that a policy can compare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.catalogue import of_draft, of_record
from gateway.words.access import ResourceRef
from gateway.words.decision import Facts, Floors
from gateway.words.draft import Draft
from gateway.words.json import JsonObject
from gateway.words.record import ClosedRecord
from gateway.words.resource import FieldClass, FieldSpec, ResourceSpec
from tests.catalogue.builders import shop

KNOWN = Facts(values={"weekday": 6}, floors=Floors(held=True))


def buyer(tmp_path: Path) -> ResourceSpec:
    return shop(tmp_path).upstreams["shop"].resources["buyer"]


def facts(resource: ResourceSpec, document: JsonObject) -> dict[str, object]:
    record = ClosedRecord(ResourceRef("shop", "buyer", "b_1"), document)
    found = of_record(resource, record, KNOWN)
    assert found == of_draft(resource, Draft(document), KNOWN)
    assert found.floors == Floors(held=True)
    return dict(found.values)


def test_a_records_facts_join_what_is_known(tmp_path: Path) -> None:
    document: JsonObject = {"unit": "north", "tags": ["a", "b"], "name": "gh1:x", "score": 5}
    assert facts(buyer(tmp_path), document) == {"weekday": 6, "unit": "north", "tags": ("a", "b")}


def test_an_absent_fact_is_a_fact(tmp_path: Path) -> None:
    assert facts(buyer(tmp_path), {}) == {"weekday": 6, "unit": None, "tags": None}


def test_numbers_and_booleans_keep_their_type(tmp_path: Path) -> None:
    assert facts(buyer(tmp_path), {"unit": 7, "tags": True}) == {"weekday": 6, "unit": 7, "tags": True}


def test_a_value_of_no_facts_type_is_absent(tmp_path: Path) -> None:
    for odd in (1.5, {"a": "b"}, ["a", 1], [["a"]]):
        assert facts(buyer(tmp_path), {"unit": odd})["unit"] is None
    assert facts(buyer(tmp_path), {"tags": []})["tags"] == ()


def test_a_value_that_no_entry_could_hold_is_absent(tmp_path: Path) -> None:
    most, longest = 2**53 - 1, "x" * 4096
    for fits in (most, -most, longest):
        assert facts(buyer(tmp_path), {"unit": fits})["unit"] == fits
    for beyond in (most + 1, -most - 1, 2**60, longest + "x"):
        assert facts(buyer(tmp_path), {"unit": beyond})["unit"] is None
    for many in ([longest, "x"], [""] * 257):
        assert facts(buyer(tmp_path), {"tags": many})["tags"] is None


def test_a_fact_below_another_member_is_found(tmp_path: Path) -> None:
    spec = replace(buyer(tmp_path), fields=(FieldSpec("/place/a~1b", FieldClass.INTERNAL, fact="where"),))
    assert facts(spec, {"place": {"a/b": "here"}})["where"] == "here"
    assert facts(spec, {"place": ["here"]})["where"] is None


def test_a_personal_or_sealed_field_is_never_a_fact_however_its_spec_was_made(tmp_path: Path) -> None:
    personal = FieldSpec("/name", FieldClass.IDENTITY, fact="name")
    sealed = FieldSpec("/unit", FieldClass.INTERNAL, sealed=True, key_class="profile", fact="unit")
    spec = replace(buyer(tmp_path), fields=(personal, sealed))
    assert facts(spec, {"name": "Anna", "unit": "north"}) == {"weekday": 6}
