"""The first change of a record that was there before the gateway: what it seals, under what, and what it leaves alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from gateway.fields import FieldLens
from gateway.fields.tables import BINDING, DATA_KEY, SUBJECT
from gateway.keys import Keyring
from gateway.store import Location
from gateway.words.access import ResourceRef
from gateway.words.draft import Draft
from gateway.words.errors import Code, Refused
from gateway.words.record import ClosedRecord
from gateway.words.resource import ResourceSpec, UpdateMode
from tests.fields.conftest import (
    CUSTOMER,
    MATERIAL,
    MESSAGE,
    NOW,
    THREAD,
    WITHHELD,
    World,
    asked,
    decision,
    kinds,
    migrated,
    principal,
)

MERGE, REPLACE = UpdateMode.MERGE, UpdateMode.REPLACE
UNTIL = date(2026, 11, 21)
OLD: dict[str, Any] = {
    "name": "张伟",
    "phone": "13812345678",
    "home": {"address": "幸福路 1 号", "country": "CN", "odd": "not catalogued"},
    "vip": True,
    "income": 7,
    "phones": ["1", "2"],
    "note": "calls on Mondays",
    "unit": "n",
}


def running(spec: ResourceSpec, *patterns: str) -> ResourceSpec:
    fields = tuple(replace(f, clear_until=UNTIL) if f.pattern in patterns else f for f in spec.fields)
    return replace(spec, fields=fields)


TALK = running(THREAD, "/title", "/messages/*/body")
LETTER = running(MESSAGE, "/body")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "sqlite":
        location = Location.parse(f"sqlite:///{tmp_path}/home/state.db")
    else:
        location = Location.parse(request.getfixturevalue("postgres"), schema="state")
    store = await migrated(location)
    yield World(store, FieldLens(store, Keyring(MATERIAL), clock=lambda: NOW))
    await store.close()


def old(spec: ResourceSpec, record: str, **members: Any) -> ClosedRecord:
    return ClosedRecord(ResourceRef("crm", spec.name, record), {"id": record, **members})


async def adopt(
    world: World, spec: ResourceSpec, before: ClosedRecord, sent: Any, mode: UpdateMode = MERGE, **view: Any
) -> ClosedRecord:
    """Does what the corridor does: seals, binds, stores; gives the record as it stands there then."""
    change = await world.update(spec, before, sent, mode=mode, **view)
    assert change.pending is not None
    assert await world.lens.bind(change, before.ref) is None
    stands = change.document if mode is REPLACE else {**before.fields, **change.document}
    if mode is MERGE and isinstance(change.document.get("home"), dict):
        stands["home"] = {**before.fields["home"], **change.document["home"]}  # type: ignore[dict-item]  # JSON
    return replace(before, fields=stands)


async def rows(world: World) -> list[int]:
    def counted(connection: Connection) -> list[int]:
        tables = (SUBJECT, DATA_KEY, BINDING)
        return [connection.execute(select(func.count()).select_from(t)).scalar_one() for t in tables]

    return await world.store.read(counted)


def clear_strings(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {s for inner in value.values() for s in clear_strings(inner)}
    if isinstance(value, list):
        return {s for inner in value for s in clear_strings(inner)}
    return {value} if isinstance(value, str) and not value.startswith("gh1:") else set()


@pytest.mark.parametrize("mode", [MERGE, REPLACE])
@pytest.mark.parametrize("sees", [True, False])
async def test_every_clear_value_is_sealed_and_opens_as_it_was(
    world: World, mode: UpdateMode, sees: bool
) -> None:
    before = old(CUSTOMER, "c1", **OLD)
    read = {} if sees else {f.pattern: WITHHELD for f in CUSTOMER.fields if f.sealed}
    shown = (await world.view(CUSTOMER, before, read)).document
    sent = {"unit": "s"} if mode is MERGE else {**shown, "unit": "s"}
    after = await adopt(world, CUSTOMER, before, sent, mode, read=read, write=["/unit"])
    assert clear_strings(after.fields) == {"c1", "CN", "s", "not catalogued"}
    assert all(isinstance(after.fields[name], str) for name in ("vip", "income", "phones"))
    view = await world.view(CUSTOMER, after)
    expected = {**OLD, "id": "c1", "unit": "s", "home": {"address": "幸福路 1 号", "country": "CN"}}
    assert view.document == expected
    assert set(kinds(view)) <= {"field-unknown"}
    assert await rows(world) == [1, 2, 1]


async def test_elements_are_sealed_each_in_its_place_with_their_clear_siblings(world: World) -> None:
    customer = await adopt(world, CUSTOMER, old(CUSTOMER, "c1", **OLD), {"unit": "s"})
    messages = [{"id": "m1", "body": "one", "author": "a"}, {"id": "m2", "body": "two"}, {"id": "m3"}]
    before = old(TALK, "t1", customer_id="c1", title="t", messages=messages, steps=[{"label": "x"}])
    after = await adopt(world, TALK, before, {"steps": [{"label": "y"}]}, read={"/messages/*/body": WITHHELD})
    assert clear_strings(after.fields) == {"t1", "c1", "m1", "m2", "m3", "a", "y"}
    assert (await world.view(TALK, after)).document["messages"] == messages
    assert (await world.view(CUSTOMER, customer)).document["name"] == "张伟"
    swapped = [
        {**messages[0], "body": after.fields["messages"][1]["body"]},  # type: ignore[index, call-overload]  # JSON
        *after.fields["messages"][1:],  # type: ignore[index, misc]  # JSON
    ]
    view = await world.view(TALK, replace(after, fields={**after.fields, "messages": swapped}))
    assert kinds(view) == ["envelope-misplaced"]


async def test_an_element_without_a_name_of_its_own_stays_as_it_stands(world: World) -> None:
    await adopt(world, CUSTOMER, old(CUSTOMER, "c1", **OLD), {"unit": "s"})
    messages = [{"id": "m1", "body": "one"}, {"body": "nameless"}, {"id": "m1", "body": "again"}]
    before = old(TALK, "t1", customer_id="c1", title="t", messages=messages)
    after = await adopt(world, TALK, before, {"steps": [{"label": "y"}]})
    assert clear_strings(after.fields) == {"t1", "c1", "m1", "nameless", "again", "y"}


async def test_whose_a_record_is_must_be_bound_and_then_it_is_his(world: World) -> None:
    before = old(TALK, "t1", customer_id="c1", title="t")
    letter = replace(old(LETTER, "m1", thread_id="t1", body="b"))
    letter = replace(letter, ref=replace(letter.ref, parent=ResourceRef("crm", "thread", "t1")))
    for spec, record, sent in ((TALK, before, {"title": "x"}), (LETTER, letter, {"body": "x"})):
        with pytest.raises(Refused) as refused:
            await world.update(spec, record, sent, mode=MERGE)
        assert refused.value.code is Code.SUBJECT_UNBOUND
    nobodys = old(TALK, "t2", title="t")
    with pytest.raises(Refused) as refused:
        await world.update(TALK, nobodys, {"customer_id": "c1", "title": "x"}, mode=MERGE)
    assert refused.value.code is Code.SUBJECT_UNBOUND
    customer = await adopt(world, CUSTOMER, old(CUSTOMER, "c1", **OLD), {"unit": "s"})
    thread = await adopt(world, TALK, before, {"title": "x"})
    what = asked(LETTER, "m1", "t1", MERGE)
    change = await world.lens.seal_update(what, Draft({"body": "x"}), letter, decision(LETTER), principal())
    assert await world.lens.bind(change, what.ref) is None
    whose = [
        (await world.lens.subjects_of(spec, [record]))[0]
        for spec, record in ((CUSTOMER, customer), (TALK, thread), (LETTER, letter))
    ]
    assert len(set(whose)) == 1
    assert whose[0] is not None
    world.counter["customer"] = 50
    other = await world.customer()
    for spec, record, sent in (
        (TALK, thread, {"customer_id": other.ref.record}),
        (TALK, old(TALK, "t3", customer_id="c1", title="t"), {"customer_id": other.ref.record}),
    ):
        with pytest.raises(Refused) as refused:
            await world.update(spec, record, sent, mode=MERGE)
        assert refused.value.code is Code.SUBJECT_CHANGED


async def test_a_parent_that_is_anothers_is_no_ground_to_adopt_on(world: World) -> None:
    mine, other = await world.customer(), await world.customer()
    thread = await world.thread(other)
    spec = replace(TALK, name="note", parent="thread")
    parent = ResourceRef("crm", "thread", thread.ref.record)
    before = ClosedRecord(
        ResourceRef("crm", "note", "n1", parent), {"id": "n1", "customer_id": mine.ref.record, "title": "t"}
    )
    what = asked(spec, "n1", thread.ref.record, MERGE)
    with pytest.raises(Refused) as refused:
        await world.lens.seal_update(what, Draft({"title": "x"}), before, decision(spec), principal())
    assert refused.value.code is Code.RECORD_WITHHELD


async def test_what_holds_a_ciphertext_anywhere_is_not_adopted(world: World) -> None:
    mine = await world.customer()
    ciphertext = mine.fields["phone"]
    before = await rows(world)
    for members in (
        {"phone": ciphertext},
        {"unit": ciphertext},
        {"phones": ["1", ciphertext]},
        {"home": {"odd": [{"x": ciphertext}]}},
    ):
        for mode in UpdateMode:
            with pytest.raises(Refused) as refused:
                await world.update(
                    CUSTOMER, old(CUSTOMER, "c9", **{**OLD, **members}), {"note": "n"}, mode=mode
                )
            assert refused.value.code is Code.RECORD_WITHHELD
    assert await rows(world) == before


async def test_what_is_refused_or_changes_nothing_leaves_nothing_behind(world: World) -> None:
    before = old(CUSTOMER, "c1", **OLD)
    view = (await world.view(CUSTOMER, before)).document
    assert (await world.update(CUSTOMER, before, {"unit": "n"}, mode=MERGE)).same
    same = await world.update(CUSTOMER, before, view)
    assert (same.same, same.pending, same.document) == (True, None, before.fields)
    for sent, write in (
        ({"unit": "s"}, []),
        ({"surprise": 1}, None),
        ({"note": "***"}, None),
        ({"phone": {"a": "x" * 50_000}}, None),
    ):
        with pytest.raises(Refused):
            await world.update(CUSTOMER, before, sent, mode=MERGE, write=write)
    assert await rows(world) == [0, 0, 0]


async def test_a_stored_value_that_cannot_be_sealed_names_no_field(world: World) -> None:
    before = old(CUSTOMER, "c1", **{**OLD, "note": "x" * 50_000})
    with pytest.raises(Refused) as refused:
        await world.update(CUSTOMER, before, {"unit": "s"}, mode=MERGE)
    assert (refused.value.code, dict(refused.value.params)) == (Code.RECORD_WITHHELD, {})
    assert await rows(world) == [0, 0, 0]


async def test_after_its_day_and_where_none_was_said_nothing_is_adopted(world: World) -> None:
    before = old(CUSTOMER, "c1", **OLD)
    later = World(
        world.store, FieldLens(world.store, Keyring(MATERIAL), clock=lambda: NOW + timedelta(days=1))
    )
    stock = replace(CUSTOMER, fields=tuple(replace(f, clear_until=None) for f in CUSTOMER.fields))
    for asking, spec in ((later, CUSTOMER), (world, stock)):
        for mode in UpdateMode:
            with pytest.raises(Refused) as refused:
                await asking.update(spec, before, {"unit": "s"}, mode=mode)
            assert refused.value.code is Code.RECORD_WITHHELD
    assert await rows(world) == [0, 0, 0]


async def test_of_two_adoptions_one_binds_and_the_other_is_dropped_with_its_keys(world: World) -> None:
    before = old(CUSTOMER, "c1", **OLD)
    first = await world.update(CUSTOMER, before, {"unit": "s"}, mode=MERGE)
    second = await world.update(CUSTOMER, before, {"unit": "w"}, mode=MERGE)
    assert await rows(world) == [2, 4, 2]
    assert await world.lens.bind(first, before.ref) is None
    alarm = await world.lens.bind(second, before.ref)
    assert alarm is not None
    assert alarm.kind.value == "already-bound"
    await world.lens.drop(second)
    assert await rows(world) == [1, 2, 1]
    assert await world.lens.drop_pending(second.pending or "") is True
    assert await world.lens.drop_pending(first.pending or "") is False
    assert await world.lens.bind(first, before.ref) is None  # again: nothing happens
    assert await rows(world) == [1, 2, 1]


async def test_a_seal_minted_for_one_record_binds_no_other(world: World) -> None:
    change = await world.update(CUSTOMER, old(CUSTOMER, "c1", **OLD), {"unit": "s"}, mode=MERGE)
    alarm = await world.lens.bind(change, ResourceRef("crm", "customer", "c2"))
    assert alarm is not None
    assert alarm.kind.value == "binding-broken"


async def test_a_pending_adoption_says_its_record_and_one_that_was_altered_binds_nothing(
    world: World,
) -> None:
    change = await world.update(CUSTOMER, old(CUSTOMER, "c1", **OLD), {"unit": "s"}, mode=MERGE)
    (kept,) = await world.lens.kept(NOW + timedelta(hours=1), None)
    assert (kept.seal, kept.adopts, kept.marker) == (
        change.pending,
        ResourceRef("crm", "customer", "c1"),
        None,
    )

    def alter(connection: Connection) -> None:
        connection.execute(text("UPDATE binding SET marker = 'another'"))

    await world.store.write(alter)
    alarm = await world.lens.bind(change, ResourceRef("crm", "customer", "c1"))
    assert alarm is not None
    assert alarm.kind.value == "binding-broken"


async def test_a_bound_record_is_never_adopted_again(world: World) -> None:
    before = old(CUSTOMER, "c1", **OLD)
    after = await adopt(world, CUSTOMER, before, {"unit": "s"})
    again = await world.update(CUSTOMER, before, {"unit": "w"}, mode=MERGE)  # as if the upstream had refused
    assert (again.pending, set(again.set)) == (None, {"/unit", "/note"})
    assert await rows(world) == [1, 2, 1]
    mixed = replace(after, fields={**after.fields, **again.document})
    assert (await world.view(CUSTOMER, mixed)).document["note"] == OLD["note"]
