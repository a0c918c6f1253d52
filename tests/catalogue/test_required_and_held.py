"""Fields that a create must bring, and fields of one type: what else comes is not set, and is no fact."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.catalogue import of_draft, of_record
from gateway.words.access import ResourceRef
from gateway.words.decision import Facts
from gateway.words.draft import Draft
from gateway.words.errors import Code, Refused
from gateway.words.json import Json
from gateway.words.record import ClosedRecord
from gateway.words.resource import ResourceSpec
from tests.catalogue.builders import SHOP, changed, problems, shop

UNIT = "/unit: {class: internal, fact: unit}"
TAGS = "/tags: {class: internal, fact: tags}"


def buyer(tmp_path: Path) -> ResourceSpec:
    held = shop(tmp_path, changed(TAGS, "/tags: {class: internal, fact: tags, holds: texts}"))
    return held.upstreams["shop"].resources["buyer"]


@pytest.mark.parametrize("value", ["overduexyz", 5, True, {}, [1, 2], ["a", None]])
def test_what_is_no_list_of_texts_is_not_set_and_is_there_without_being_a_fact(
    tmp_path: Path, value: Json
) -> None:
    resource = buyer(tmp_path)
    record = ClosedRecord(ResourceRef("shop", "buyer", "b_1"), {"tags": value})
    found = of_record(resource, record, Facts())
    assert ("tags" in found.values, found.unfit) == (False, {"tags"})
    spec = resource.spec("/tags")
    assert spec is not None
    assert not spec.takes(value)
    assert spec.takes(["a", "b"])
    assert spec.takes(None)


@pytest.mark.parametrize("document", [{}, {"unit": None}])
def test_a_draft_without_a_required_value_is_told_which(tmp_path: Path, document: dict[str, Json]) -> None:
    made = shop(tmp_path, changed(UNIT, "/unit: {class: internal, fact: unit, required: true}"))
    resource = made.upstreams["shop"].resources["buyer"]
    with pytest.raises(Refused) as refused:
        of_draft(resource, Draft(document), Facts())
    assert (refused.value.code, refused.value.params) == (Code.VALUE_REFUSED, {"field": "/unit"})
    assert of_draft(resource, Draft({"unit": "north"}), Facts()).values["unit"] == "north"
    # As docs/catalogue.md says: what is there is a value, an empty text too.
    assert of_draft(resource, Draft({"unit": ""}), Facts()).values["unit"] == ""


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (TAGS, "/tags: {class: internal, holds: texts, values: [a]}", "does not go with values"),
        (TAGS, "/tags: {class: internal, holds: list}", "holds"),
        (
            "/id: {class: public, server_set: true}",
            "/id: {class: public, server_set: true, required: true}",
            "required",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, old: str, new: str, what: str) -> None:
    assert any(what in one for one in problems(tmp_path, SHOP.replace(old, new, 1)))
