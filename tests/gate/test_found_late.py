"""A create that turns up after it was recorded as not done is bound all the same; one that never does is forgotten after a month."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.corridor.late import Latecomers
from gateway.words.errors import GatehouseError, NoAnswer
from gateway.words.resource import Verb
from tests.gate.house import BORN, House, call
from tests.gate.test_settling import settler

NOW = BORN + timedelta(seconds=1)


def latecomers(house: House) -> Latecomers:
    return Latecomers(house.log, house.shelf, house.lens, house.gate.evidence, house.bell)


async def silent(house: House) -> None:
    """A create that nobody answered, and that the reconciler did not find."""
    house.shelf.fails_before = NoAnswer()
    with pytest.raises(GatehouseError):
        await house.gate.answer(call(Verb.CREATE, body={"name": "new"}))
    house.shelf.fails_before = None


def arrives(house: House) -> None:
    """The upstream commits it after all."""
    (pending,) = house.lens.pending
    house.shelf.put("late", name="new")
    house.shelf.by_key[f"marker-{pending}"] = "late"


async def test_what_turns_up_after_its_intent_was_closed_is_bound_and_recorded(house: House) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    late = latecomers(house)
    assert await late.round(timedelta(0), NOW) == 0
    arrives(house)
    assert await late.round(timedelta(0), NOW + timedelta(minutes=59)) == 0  # looked for once an hour
    assert await late.round(timedelta(0), NOW + timedelta(minutes=61)) == 1
    assert list(house.lens.bound) == ["late"]
    entry = await house.last()
    assert (entry["action"], entry["kind"], entry["upstream"]["result"]) == (
        "reconciler:found-late",
        "note",
        "done",
    )
    assert await late.round(timedelta(0), NOW + timedelta(hours=3)) == 0


async def test_an_open_intent_and_a_young_seal_are_left_alone(house: House) -> None:
    await silent(house)
    arrives(house)
    late = latecomers(house)
    assert await late.round(timedelta(0), NOW) == 0  # its intent is open: the settler's
    await settler(replace_shelf(house)).round(timedelta(0))
    assert await late.round(timedelta(seconds=60), NOW) == 0
    patient = replace(late, patience=lambda _: timedelta(seconds=60))
    assert await patient.round(timedelta(0), NOW) == 0
    assert house.lens.bound == {}
    assert await late.round(timedelta(0), NOW) == 1


def replace_shelf(house: House) -> House:
    """The house as it looked before the record came: its settler finds nothing."""
    return replace(house, shelf=replace(house.shelf, by_key={}))


async def test_what_never_turns_up_is_forgotten_after_a_month_and_never_while_its_intent_is_open(
    house: House,
) -> None:
    await silent(house)
    late = latecomers(house)
    old = NOW + timedelta(days=31)
    await late.round(timedelta(0), old)
    assert len(house.lens.pending) == 1
    await settler(house).round(timedelta(0))
    await late.round(timedelta(0), NOW + timedelta(days=29))
    assert len(house.lens.pending) == 1
    await late.round(timedelta(0), old)
    assert house.lens.pending == set()


async def test_a_silent_upstream_is_asked_again_an_hour_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    arrives(house)

    async def down(*_: object) -> None:
        raise NoAnswer

    with monkeypatch.context() as broken:
        broken.setattr(house.shelf, "find", down)
        assert await latecomers(house).round(timedelta(0), NOW) == 0
    assert await latecomers(house).round(timedelta(0), NOW) == 1


async def test_a_record_that_somebody_else_is_bound_to_is_an_alarm(house: House) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    arrives(house)
    house.lens.bound["late"] = "seal_another"
    assert await latecomers(house).round(timedelta(0), NOW) == 0
    assert [alarm.kind.value for alarm in house.bell.rung] == ["already-bound"]
    assert house.lens.bound == {"late": "seal_another"}
