"""A create that turns up after it was recorded as not done is bound all the same; one that never does is forgotten after a month."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from audit import LogUnavailable
from gateway.corridor.late import Latecomers
from gateway.words.access import ResourceRef
from gateway.words.binding import Pending
from gateway.words.errors import BadAnswer, GatehouseError, NoAnswer, NotSent
from gateway.words.resource import ResourceSpec, Verb
from tests.gate.house import BORN, RESOURCE, House, call
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


async def test_a_silent_upstreams_patience_begins_after_the_grace(house: House) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    arrives(house)
    minute = timedelta(seconds=60)
    patient = replace(latecomers(house), patience=lambda _: minute)
    assert await patient.round(minute, BORN + timedelta(seconds=119)) == 0
    assert await patient.round(minute, BORN + timedelta(seconds=121)) == 1


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
    entry = await house.last()
    assert (entry["kind"], entry["action"], entry["resource"], entry["upstream"]) == (
        "note",
        "reconciler:forgotten",
        {"upstream": "shelf", "type": "thing"},
        {"result": "not-found", "by": "reconciler"},
    )
    (part,) = (await house.log.entries(0, 1000))[-1].parts
    assert orjson.loads(part.body) == {"reference": "", "subject": None, "seal": "seal_0"}


async def test_nothing_is_forgotten_that_no_entry_says(house: House) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    house.disk.full = True
    with pytest.raises(LogUnavailable):
        await latecomers(house).round(timedelta(0), NOW + timedelta(days=31))
    assert len(house.lens.pending) == 1


async def test_what_was_not_looked_for_is_not_forgotten_however_old(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    old = NOW + timedelta(days=60)
    with monkeypatch.context() as broken:
        broken.setattr(house.shelf, "find", raising(NoAnswer))
        await latecomers(house).round(timedelta(0), old)
        broken.setattr(house.shelf, "resource", lambda *_: None)
        await latecomers(house).round(timedelta(0), old)
    arrives(house)
    assert await latecomers(house).round(timedelta(0), old) == 1


async def test_however_many_are_kept_each_is_looked_for(house: House) -> None:
    for _ in range(5):
        await silent(house)
    await settler(house).round(timedelta(0))
    last = max(house.lens.pending)
    house.shelf.put("late", name="new")
    house.shelf.by_key[f"marker-{last}"] = "late"
    late = latecomers(house)
    assert await late.round(timedelta(0), NOW) == 1
    assert house.lens.bound == {"late": last}


async def test_an_upstream_that_is_silent_is_asked_once_a_round(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await silent(house)
    await settler(house).round(timedelta(0))
    asked: list[object] = []
    monkeypatch.setattr(house.shelf, "find", raising(NoAnswer, asked))
    await latecomers(house).round(timedelta(0), NOW)
    assert len(asked) == 1


async def test_it_opens_only_once_that_is_recorded(house: House) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    arrives(house)
    late = latecomers(house)
    house.disk.full = True
    with pytest.raises(LogUnavailable):
        await late.round(timedelta(0), NOW)
    assert house.lens.bound == {}
    house.disk.full = False
    assert await late.round(timedelta(0), NOW) == 1
    assert (await house.last())["action"] == "reconciler:found-late"


def raising(error: type[GatehouseError], asked: list[object] | None = None) -> Any:
    async def fail(*given: object) -> None:
        if asked is not None:
            asked.append(given)
        raise error

    return fail


async def test_what_is_bound_or_forgotten_is_not_remembered_as_looked_for(house: House) -> None:
    late = latecomers(house)
    for comes in (True, False):
        await silent(house)
        await settler(house).round(timedelta(0))
        await late.round(timedelta(0), NOW)
        if comes:
            arrives(house)
        await late.round(timedelta(0), NOW + timedelta(minutes=61))
        assert len(late.looked) == (0 if comes else 1)
    await late.round(timedelta(0), NOW + timedelta(days=31))
    assert late.looked == {}


async def test_what_cannot_be_looked_for_is_passed_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    seals = [kept("seal_a", marker=None), kept("seal_b", resource="gone"), kept("seal_c", parent=ABOVE)]

    async def page(before: object, after: Pending | None) -> list[Pending]:
        return [] if after else seals

    monkeypatch.setattr(house.lens, "kept", page)
    monkeypatch.setattr(house.shelf, "find", returning(None, asked))
    assert await latecomers(house).round(timedelta(0), NOW) == 0
    assert [(ref, marker) for ref, _, marker in asked] == [(ResourceRef("shelf", "thing", None, ABOVE), "m")]


ABOVE = ResourceRef("shelf", "box", "b")


def kept(
    seal: str, *, resource: str = "thing", marker: str | None = "m", parent: ResourceRef | None = None
) -> Pending:
    return Pending(seal, "shelf", resource, "sub_test", False, marker, parent, BORN)


def returning(value: Any, asked: list[Any] | None = None) -> Any:
    async def answer(*given: Any) -> Any:
        if asked is not None:
            asked.append(given)
        return value

    return answer


async def test_the_note_names_the_record_as_its_resource_allows_and_the_seal(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Keyed:
        def reference(self, ref: ResourceRef, public: bool) -> str:
            return f"{ref.record} {public}"

        def bytes_digest(self, label: str, data: bytes) -> str:
            return ""

    await silent(house)
    await settler(house).round(timedelta(0))
    arrives(house)
    monkeypatch.setattr(house.shelf, "resource", lambda *_: replace(RESOURCE, id_public=False))
    late = replace(latecomers(house), evidence=Keyed())
    assert await late.round(timedelta(0), NOW) == 1
    (part,) = (await house.log.entries(0, 1000))[-1].parts
    assert orjson.loads(part.body) == {"reference": "late False", "subject": None, "seal": "seal_0"}


@pytest.mark.parametrize("error", [NotSent, NoAnswer, BadAnswer])
async def test_a_silent_upstream_is_asked_again_an_hour_later(
    house: House, monkeypatch: pytest.MonkeyPatch, error: type[GatehouseError]
) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    arrives(house)
    late = latecomers(house)
    with monkeypatch.context() as broken:
        broken.setattr(house.shelf, "find", raising(error))
        assert await late.round(timedelta(0), NOW) == 0
    assert await late.round(timedelta(0), NOW + timedelta(minutes=59)) == 0
    assert await late.round(timedelta(0), NOW + timedelta(minutes=61)) == 1


@pytest.mark.parametrize(("error", "asked"), [(BadAnswer(500), 1), (NoAnswer(), 1), (BadAnswer(200), 2)])
async def test_an_upstream_that_fails_is_not_asked_for_the_next_create(
    house: House, monkeypatch: pytest.MonkeyPatch, error: GatehouseError, asked: int
) -> None:
    await silent(house)
    await silent(house)
    await settler(house).round(timedelta(0))
    markers: list[str] = []

    async def failing(_ref: ResourceRef, _resource: ResourceSpec, marker: str) -> None:
        markers.append(marker)
        raise error

    monkeypatch.setattr(house.shelf, "find", failing)
    late = latecomers(house)
    await late.round(timedelta(0), NOW)
    assert len(markers) == asked
    await late.round(timedelta(0), NOW)  # the other one's turn
    assert len(set(markers)) == len(markers) == 2
