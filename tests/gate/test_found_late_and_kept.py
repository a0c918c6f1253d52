"""A kept create whose record is another's, or that nobody can look for: said once, nothing bound and nothing destroyed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from audit import LogUnavailable
from gateway.words.access import ResourceRef
from gateway.words.binding import Pending
from gateway.words.errors import Unaddressable
from gateway.words.record import ClosedRecord
from gateway.words.resource import Idempotency, ResourceSpec, Verb
from tests.gate.house import RESOURCE, House, call
from tests.gate.test_found_late import NOW, arrives, latecomers, raising, returning, silent
from tests.gate.test_settling import settler


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=60)])
@pytest.mark.parametrize(
    "why", ["it was made without a marker", "creates are found by no key", "no lookup", "no address", "gone"]
)
async def test_what_nobody_can_look_for_is_kept_and_a_person_is_told_once(
    house: House, monkeypatch: pytest.MonkeyPatch, why: str, age: timedelta
) -> None:
    house.shelf.answers = 202
    await house.gate.answer(call(Verb.CREATE, body={"name": "new"}))
    spec = {"creates are found by no key": {"idempotency": Idempotency.NONE}, "no lookup": {"lookup": None}}
    other = None if why == "gone" else replace(RESOURCE, **spec.get(why, {}))
    monkeypatch.setattr(house.shelf, "resource", lambda *_: other)
    if why == "it was made without a marker":
        kept = house.lens.kept

        async def unmarked(before: Any, after: Any) -> list[Pending]:
            return [replace(pending, marker=None) for pending in await kept(before, after)]

        monkeypatch.setattr(house.lens, "kept", unmarked)
    if why == "no address":
        monkeypatch.setattr(house.shelf, "find", raising(Unaddressable))
    late, entries = latecomers(house), len(await house.kinds())
    for hours in (0, 2):
        assert await late.round(timedelta(0), NOW + age + timedelta(hours=hours)) == 0
    assert len(house.lens.pending) == 1
    assert [(a.kind.value, a.upstream, a.resource) for a in house.bell.rung] == [
        ("intent-stuck", "shelf", "thing")
    ]
    assert len(await house.kinds()) == entries


async def test_a_create_without_an_address_holds_up_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await silent(house)
    await settler(house).round(timedelta(0))
    house.shelf.put("late", name="new")
    house.shelf.by_key[f"marker-{max(house.lens.pending)}"] = "late"
    find, lost = house.shelf.find, f"marker-{min(house.lens.pending)}"

    async def addressed(ref: ResourceRef, resource: ResourceSpec, marker: str) -> ClosedRecord | None:
        if marker == lost:
            raise Unaddressable
        return await find(ref, resource, marker)

    monkeypatch.setattr(house.shelf, "find", addressed)
    assert await latecomers(house).round(timedelta(0), NOW) == 1


async def test_a_record_of_somebody_else_is_said_once_and_never_to_be_done(house: House) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    arrives(house)
    house.lens.bound["late"] = "seal_another"
    late, before = latecomers(house), len(await house.kinds())
    for minutes in (0, 1, 59, 61, 24 * 60, 40 * 24 * 60):
        await late.round(timedelta(0), NOW + timedelta(minutes=minutes))
    assert [alarm.kind.value for alarm in house.bell.rung] == ["already-bound"]
    assert len(await house.kinds()) == before + 1
    entry = await house.last()
    assert (entry["kind"], entry["action"], entry["upstream"]) == (
        "note",
        "reconciler:already-bound",
        {"result": "unknowable", "by": "reconciler"},
    )
    assert len(house.lens.pending) == 1  # nobody knows what became of it: nothing is destroyed


async def test_what_another_replica_bound_meanwhile_is_not_said_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    arrives(house)
    find, before = house.shelf.find, len(await house.kinds())

    async def beaten(ref: ResourceRef, resource: ResourceSpec, marker: str) -> ClosedRecord | None:
        found = await find(ref, resource, marker)
        assert found is not None
        await house.lens.bind_pending("seal_0", found.ref)
        return found

    monkeypatch.setattr(house.shelf, "find", beaten)
    assert await latecomers(house).round(timedelta(0), NOW) == 0
    assert (house.bell.rung, len(await house.kinds())) == ([], before)


async def test_what_is_taken_between_the_look_and_the_binding_is_corrected(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    arrives(house)
    house.lens.bound["late"] = "seal_another"
    monkeypatch.setattr(house.lens, "located", returning(None))  # as it was a moment before
    before = len(await house.kinds())
    late = latecomers(house)
    for hours in (0, 2):
        assert await late.round(timedelta(0), NOW + timedelta(hours=hours)) == 0
    said = [orjson.loads(e.bytes)["action"] for e in (await house.log.entries(0, 1000))[before:]]
    assert said == ["reconciler:found-late", "reconciler:already-bound"]


async def test_what_could_not_be_recorded_is_said_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    arrives(house)
    house.lens.bound["late"] = "seal_another"
    late = latecomers(house)
    house.disk.full = True
    with pytest.raises(LogUnavailable):
        await late.round(timedelta(0), NOW)
    house.disk.full = False
    await late.round(timedelta(0), NOW)
    assert (await house.last())["action"] == "reconciler:already-bound"


async def test_a_record_that_somebody_else_is_bound_to_is_an_alarm(house: House) -> None:
    await silent(house)
    await settler(house).round(timedelta(0))
    arrives(house)
    house.lens.bound["late"] = "seal_another"
    assert await latecomers(house).round(timedelta(0), NOW) == 0
    assert [alarm.kind.value for alarm in house.bell.rung] == ["already-bound"]
    assert house.lens.bound == {"late": "seal_another"}
