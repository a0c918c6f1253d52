"""What nobody listed is shown to nobody, also where it stands inside a field that somebody listed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.words.errors import Code, Refused
from gateway.words.resource import FieldClass, Holds, SubjectRule, UpdateMode
from tests.fields.conftest import CLEAR, CUSTOMER, MASKED, TOKEN, World, kinds, plain, put, resource

OWNER = {"letter": "a", "owner_phone": "13812345678"}


@pytest.mark.parametrize("value", [OWNER, [OWNER], ["x", OWNER], [["x"]], {}, [{}]])
@pytest.mark.parametrize("how", [CLEAR, MASKED, TOKEN])
async def test_a_plain_field_shows_no_object_and_says_so_once(world: World, value: Any, how: Any) -> None:
    record = put(await world.customer(), unit=value)
    view = await world.view(CUSTOMER, record, {"/unit": how})
    assert "unit" not in view.document
    assert [(a.kind.value, a.pattern) for a in view.alarms] == [("field-unknown", "/unit")]
    assert kinds(await world.view(CUSTOMER, record, {"/unit": how})) == []


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "a", "", [], ["a", 1, None, False]])
async def test_a_plain_field_shows_scalars_and_arrays_of_them(world: World, value: Any) -> None:
    view = await world.view(CUSTOMER, put(await world.customer(), unit=value))
    assert view.document["unit"] == value
    assert kinds(view) == []


async def test_a_map_is_shown_where_its_members_are_listed(world: World) -> None:
    spec = resource(
        "customer", [*CUSTOMER.fields, plain("/scores/*", FieldClass.INTERNAL)], SubjectRule("customer")
    )
    record = put(await world.customer(), scores={"north": 1, "south": None})
    assert (await world.view(spec, record)).document["scores"] == {"north": 1, "south": None}
    view = await world.view(spec, put(record, scores={"north": OWNER}))
    assert "scores" not in view.document
    assert kinds(view) == ["field-unknown"]


@pytest.mark.parametrize(
    ("holds", "shown", "kept_back"),
    [(Holds.TEXT, ["a", "", None], [7, True, ["a"]]), (Holds.TEXTS, [["a"], [], None], ["a", 7, ["a", 1]])],
)
async def test_a_field_shows_only_the_type_that_it_holds(
    world: World, holds: Holds, shown: list[Any], kept_back: list[Any]
) -> None:
    fields = tuple(replace(f, holds=holds) if f.pattern in ("/unit", "/note") else f for f in CUSTOMER.fields)
    spec, record = replace(CUSTOMER, fields=fields), await world.customer()
    for value in shown:
        view = await world.view(spec, put(record, unit=value, note=value))
        assert (view.document["unit"], view.document["note"]) == (value, value)
    for number, value in enumerate(kept_back):
        view = await world.view(spec, put(record, unit=value, note=value))
        assert not {"unit", "note"} & view.document.keys()
        assert kinds(view) == (["field-unknown"] * 2 if number == 0 else [])


@pytest.mark.parametrize("mode", list(UpdateMode))
async def test_what_would_not_be_shown_is_not_set_and_what_is_not_shown_stays(
    world: World, mode: UpdateMode
) -> None:
    with pytest.raises(Refused) as refused:
        await world.update(CUSTOMER, await world.customer(), {"unit": OWNER}, mode=mode)
    assert (refused.value.code, refused.value.params.get("field")) == (Code.VALUE_REFUSED, "/unit")
    before = put(await world.customer(), unit=OWNER)
    shown = (await world.view(CUSTOMER, before)).document
    change = await world.update(CUSTOMER, before, {**shown, "tags": ["new"]}, mode=mode)
    assert change.set == ("/tags",)
    assert mode is UpdateMode.MERGE or change.document["unit"] == OWNER
