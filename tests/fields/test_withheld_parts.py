"""Of what is withheld nobody can tell whether it is empty, null, filled or not there."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.words.errors import Refused
from gateway.words.resource import UpdateMode
from tests.fields.conftest import CUSTOMER, MASKED, THREAD, WITHHELD, World, kinds, put

ALL = {f"/messages/*/{name}": WITHHELD for name in ("id", "body", "author")}
GONE = object()


def with_part(record: Any, name: str, stored: Any) -> Any:
    if stored is not GONE:
        return put(record, **{name: stored})
    fields = {k: v for k, v in record.fields.items() if k != name}
    return put(type(record)(record.ref, fields))


@pytest.mark.parametrize(
    ("name", "read", "states"),
    [
        ("messages", ALL, [GONE, None, [], [{"id": "m1", "author": "a"}], [{"id": "m1"}, {"id": "m2"}]]),
        ("messages", {"/messages/*/id": MASKED}, [GONE, None, [], [{"id": "m1", "author": "a"}]]),
        (
            "steps",
            {"/steps/*/label": WITHHELD, "/steps/*/done": WITHHELD},
            [GONE, None, [], [{"label": "x"}], [{"label": "x", "done": True}, {}]],
        ),
        ("steps", {"/steps/*/label": WITHHELD}, [GONE, None, [], [{"label": "x"}], [{}, None]]),
    ],
)
async def test_a_part_of_a_thread_tells_nothing_of_what_is_withheld(
    world: World, name: str, read: Any, states: list[Any]
) -> None:
    thread = await world.thread(await world.customer())
    for stored in states:
        record = with_part(thread, name, stored)
        view = await world.view(THREAD, record, read)
        assert name not in view.document, stored
        for mode in UpdateMode:
            assert (await world.update(THREAD, record, view.document, read, mode=mode)).same
    for sent in (None, [], {}, [{}], [{"id": "m1"}], [{"done": True}], "x"):
        for mode in UpdateMode:
            answers = set()
            for stored in states:
                doing = world.update(THREAD, with_part(thread, name, stored), {name: sent}, read, mode=mode)
                try:
                    change = await doing
                    answers.add(str(change.set))
                except Refused as error:
                    answers.add(f"{error.code} {error.params.get('field')}")
            assert len(answers) == 1, (sent, mode, answers)


@pytest.mark.parametrize("read", [["/home/address", "/home/country", "/home/map"], ["/home/address"]])
async def test_a_part_of_a_customer_tells_nothing_of_what_is_withheld(world: World, read: list[str]) -> None:
    customer = await world.customer(home={"address": "北京市海淀区中关村大街1号"})
    for stored in (GONE, None, {}, customer.fields["home"]):
        record = with_part(customer, "home", stored)
        view = await world.view(CUSTOMER, record, dict.fromkeys(read, WITHHELD))
        assert "home" not in view.document, stored
        for mode in UpdateMode:
            change = await world.update(
                CUSTOMER, record, view.document, dict.fromkeys(read, WITHHELD), mode=mode
            )
            assert change.same


async def test_steps_of_which_he_sees_nothing_do_not_follow_those_that_he_sees(world: World) -> None:
    thread = await world.thread(await world.customer())
    read = {"/steps/*/label": WITHHELD}
    steps = [{"label": "a"}, {"label": "b", "done": True}]
    shown = [{}, {"done": True}]
    for hidden in ([], [{"label": "c"}], [{"label": "c"}, {}, None]):
        record = put(thread, steps=[*steps, *hidden])
        view = await world.view(THREAD, record, read)
        assert view.document["steps"] == shown
        change = await world.update(THREAD, record, {**view.document, "title": "new"}, read)
        assert change.set == ("/title",)
        assert change.document["steps"] == record.fields["steps"]
        change = await world.update(
            THREAD, record, {"steps": [{}, {"done": False}]}, read, mode=UpdateMode.MERGE
        )
        assert change.set == ("/steps/1/done",)
        assert change.document["steps"] == [{"label": "a"}, {"label": "b", "done": False}, *hidden]
        for sent in ([*shown, {"done": True}], shown[:1], []):  # he cannot know which one that would be
            with pytest.raises(Refused):
                await world.update(THREAD, record, {"steps": sent}, read)


@pytest.mark.parametrize("read", [ALL, {"/messages/*/id": WITHHELD}, {"/messages/*/id": MASKED}])
async def test_a_clear_value_below_a_withheld_id_is_an_alarm(world: World, read: Any) -> None:
    thread = put(await world.thread(await world.customer()), messages=[{"id": "m1", "body": "in clear"}])
    view = await world.view(THREAD, thread, read)
    assert "messages" not in view.document
    assert "in clear" not in str(view.document)
    assert [(a.kind.value, a.pattern) for a in view.alarms] == [("clear-where-sealed", "/messages/*/body")]


async def test_whoever_sees_all_of_a_part_sees_whether_it_is_empty(world: World) -> None:
    customer, thread = await world.customer(), await world.thread(await world.customer())
    for stored in (None, {}):
        assert (await world.view(CUSTOMER, put(customer, home=stored))).document["home"] == stored
    for steps in (None, [], [{"done": True}]):
        view = await world.view(THREAD, put(thread, steps=steps))
        assert view.document["steps"] == steps
        assert kinds(view) == []
