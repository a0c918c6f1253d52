"""What is withheld decides nothing that a caller can tell: a probe gets one answer, whatever stands where he cannot see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from gateway.words.draft import Draft
from gateway.words.errors import Code, Refused
from gateway.words.json import Json, Pattern
from gateway.words.record import ClosedRecord
from gateway.words.resource import ResourceSpec, UpdateMode
from tests.fields.conftest import (
    CLEAR,
    CUSTOMER,
    MASKED,
    THREAD,
    TOKEN,
    WITHHELD,
    Disclosure,
    World,
    asked,
    decision,
    principal,
    put,
)

HOME, STEPS, ALL = "/home/address", {"/steps/*/label": WITHHELD, "/steps/*/done": WITHHELD}, None


async def told(
    world: World,
    spec: ResourceSpec,
    before: ClosedRecord,
    sent: Json,
    read: Mapping[Pattern, Disclosure],
    write: Iterable[Pattern] | None,
    mode: UpdateMode,
) -> tuple[object, ...]:
    """What the caller can tell of a change: the refusal, or whether anything was written."""
    try:
        change = await world.update(spec, before, sent, read, write, mode)
    except Refused as refused:
        return refused.code, refused.params.get("field")
    return ("same",) if change.same else ("written",)


async def shown(world: World, spec: ResourceSpec, before: ClosedRecord, read: Any) -> dict[str, Any]:
    return (await world.view(spec, before, read)).document


@pytest.mark.parametrize("mode", UpdateMode)
@pytest.mark.parametrize("write", [ALL, [], ["/unit"], ["/email", "/income", HOME]])
@pytest.mark.parametrize(
    "sent",
    [
        {"email": None},
        {"income": None},
        {"home": None},
        {"home": {}},
        {"home": []},
        {"home": "x"},
        {"home": 1},
        {"home": {"address": None}},
        {"home": {"address": ""}},
        {"email": "b@c.example"},
        {"email": {}},
        {},
    ],
)
async def test_a_withheld_value_is_not_told_by_a_probe(
    world: World, mode: UpdateMode, write: Any, sent: dict[str, Json]
) -> None:
    read = {"/email": WITHHELD, "/income": WITHHELD, HOME: WITHHELD}
    records = [
        await world.customer(home={"country": "CN"}),
        await world.customer(home={"country": "CN", "address": "x"}, email="a@b.example", income=7),
    ]
    whole = [await shown(world, CUSTOMER, r, read) for r in records]
    answers = {
        await told(
            world, CUSTOMER, r, {**(w if mode is UpdateMode.REPLACE else {}), **sent}, read, write, mode
        )
        for r, w in zip(records, whole, strict=True)
    }
    assert len(answers) == 1, answers


@pytest.mark.parametrize("mode", UpdateMode)
@pytest.mark.parametrize("sent", [None, {}, [], "x", {"address": None}])
async def test_a_container_of_which_nothing_is_seen_may_be_there_or_not(
    world: World, mode: UpdateMode, sent: Json
) -> None:
    read = {HOME: WITHHELD, "/home/country": WITHHELD}
    records = [
        await world.customer(),
        await world.customer(home={"address": "x"}),
        await world.customer(home={"country": "x", "address": "y"}),
    ]
    base = {"name": "张伟", "phone": "13812345678"}
    answers = {await told(world, CUSTOMER, r, {**base, "home": sent}, read, ALL, mode) for r in records}
    assert len(answers) == 1, answers


async def test_removing_needs_sight_and_a_new_value_does_not(world: World) -> None:
    for record in (await world.customer(), await world.customer(email="a@b.example")):
        ask = (CUSTOMER, record)
        for read, sent, answer in [
            (WITHHELD, None, (Code.FIELD_NOT_WRITABLE, "/email")),
            (WITHHELD, "b@c.example", ("written",)),
        ]:
            got = await told(world, *ask, {"email": sent}, {"/email": read}, ["/email"], UpdateMode.MERGE)
            assert got == answer


@pytest.mark.parametrize("how", [CLEAR, MASKED, TOKEN])
async def test_a_null_that_he_was_shown_is_his_to_send_back(world: World, how: Disclosure) -> None:
    before = await world.customer(email=None)
    for mode in UpdateMode:
        seen = await shown(world, CUSTOMER, before, {"/email": how})
        assert seen["email"] is None
        assert (await world.update(CUSTOMER, before, seen, {"/email": how}, [], mode)).same


async def test_a_container_that_is_null_is_sent_back_as_it_was_shown(world: World) -> None:
    before = put(await world.customer(), home=None)
    for read in ({}, {HOME: WITHHELD, "/home/country": WITHHELD}):
        seen = await shown(world, CUSTOMER, before, read)
        assert ("home" in seen) is (not read)  # only to whom nothing in it is withheld
        for mode in UpdateMode:
            assert (await world.update(CUSTOMER, before, seen, read, [], mode)).same


async def test_a_create_may_say_that_there_is_no_value(world: World) -> None:
    blind = decision(CUSTOMER, WITHHELD)
    sent = Draft({"name": "张伟", "email": None, "home": None})
    change = await world.lens.seal_create(asked(CUSTOMER), sent, blind, principal())
    assert change.set == ("/name",)


@pytest.mark.parametrize("mode", UpdateMode)
@pytest.mark.parametrize("sent", [None, [], {}, "x", [{}], [{"done": True}], [{"done": True}, {}]])
@pytest.mark.parametrize("read", [STEPS, {"/steps/*/label": WITHHELD}])
@pytest.mark.parametrize("write", [ALL, [], ["/steps/*/done"]])
async def test_elements_that_are_not_shown_may_be_any_number(
    world: World, mode: UpdateMode, sent: Json, read: Any, write: Any
) -> None:
    customer = await world.customer()
    records = [
        await world.thread(customer),
        await world.thread(customer, steps=[{"label": "call"}]),
        await world.thread(customer, steps=[{"label": "call"}, {"label": "write"}]),
    ]
    answers = set()
    for record in records:
        whole = await shown(world, THREAD, record, read)
        assert "steps" not in whole
        answers.add(await told(world, THREAD, record, {**whole, "steps": sent}, read, write, mode))
    assert len(answers) == 1, answers


@pytest.mark.parametrize("sent", [[], [{"id": "m2"}], None])
async def test_an_element_goes_or_stays_whatever_it_hides(world: World, sent: Json) -> None:
    customer = await world.customer()
    read = {"/messages/*/body": WITHHELD}
    m1, m2 = {"id": "m1"}, {"id": "m2"}
    records = [
        await world.thread(customer, messages=[m1, m2]),
        await world.thread(customer, messages=[{**m1, "body": "one"}, m2]),
    ]
    answers = {await told(world, THREAD, r, {"messages": sent}, read, ALL, UpdateMode.MERGE) for r in records}
    assert len(answers) == 1, answers
