"""Open intents are settled by looking at the upstream."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.corridor.settle import Settler
from gateway.words.access import ResourceRef
from gateway.words.errors import BadAnswer, GatehouseError, NoAnswer, NotSent
from gateway.words.record import ClosedRecord
from gateway.words.resource import ResourceSpec, Verb, Versioning
from tests.gate.house import RESOURCE, ByHand, House, call


def settler(house: House) -> Settler:
    gate = house.gate
    return Settler(gate.log, house.shelf, house.lens, (), gate.evidence, house.bell, under_way=gate.under_way)


async def leave_open(house: House, verb: Verb, record: str | None, body: object, *, arrives: bool) -> None:
    if arrives:
        house.shelf.fails_after = NoAnswer()
    else:
        house.shelf.fails_before = NoAnswer()
    with pytest.raises(GatehouseError):
        await house.gate.answer(call(verb, record, body=body))
    house.shelf.fails_before = house.shelf.fails_after = None
    assert len(await house.log.open_intents()) == 1


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize(
    ("verb", "record", "body"),
    [(Verb.CREATE, None, {"name": "new"}), (Verb.UPDATE, "a", {"name": "two"}), (Verb.DELETE, "a", None)],
)
async def test_an_intent_is_settled_as_what_really_happened(
    house: House, verb: Verb, record: str, body: object, arrives: bool
) -> None:
    house.shelf.put("a", name="one")
    await leave_open(house, verb, record, body, arrives=arrives)
    settled = await settler(house).round(timedelta(0))
    assert (settled.closed, settled.left_open) == (1, 0)
    assert (await house.last())["upstream"] == {
        "result": "done" if arrives else "not-done",
        "by": "reconciler",
    }
    if verb is Verb.CREATE:  # what is not there yet may still come: its seal is kept
        assert (len(house.lens.bound), len(house.lens.pending)) == ((1, 0) if arrives else (0, 1))


async def test_a_record_written_by_somebody_after_us_is_not_guessed_at(house: House) -> None:
    house.shelf.put("a", name="one")
    await leave_open(house, Verb.UPDATE, "a", {"name": "two"}, arrives=False)
    house.shelf.put("a", name="three")
    await settler(house).round(timedelta(0))
    assert (await house.last())["upstream"]["result"] == "unknowable"


async def test_a_young_intent_may_still_be_under_way(house: House) -> None:
    house.shelf.put("a", name="one")
    await leave_open(house, Verb.UPDATE, "a", {"name": "two"}, arrives=True)
    settled = await settler(house).round(timedelta(seconds=60))
    assert (settled.closed, settled.left_open) == (0, 1)


async def test_an_upstream_that_cannot_be_asked_leaves_the_intent_open(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one")
    await leave_open(house, Verb.UPDATE, "a", {"name": "two"}, arrives=True)

    async def down(*_: object) -> None:
        raise NotSent

    monkeypatch.setattr(house.shelf, "look", down)
    settled = await settler(house).round(timedelta(0))
    assert (settled.closed, settled.left_open) == (0, 1)


async def test_what_an_upstream_accepted_is_said_to_be_just_that(house: House) -> None:
    house.shelf.put("a", name="one")
    house.shelf.answers = 202
    for verb, record in ((Verb.UPDATE, "a"), (Verb.CREATE, None), (Verb.DELETE, "a")):
        reply = await house.gate.answer(call(verb, record, body={"name": "two"}))
        assert (reply.status, reply.body) == (202, b"")
        entry = await house.last()
        assert (entry["kind"], entry["upstream"]) == ("outcome", {"result": "accepted", "status": 202})
    assert await house.log.open_intents() == []
    assert len(house.lens.pending) == 1  # looked for until its record is seen


@pytest.mark.parametrize(
    ("verb", "record", "body"),
    [(Verb.CREATE, None, {"name": "new"}), (Verb.UPDATE, "a", {"name": "two"}), (Verb.DELETE, "a", None)],
)
async def test_what_may_come_yet_is_not_said_to_be_undone(
    house: House, verb: Verb, record: str, body: object
) -> None:
    house.shelf.put("a", name="one")
    await leave_open(house, verb, record, body, arrives=False)
    waiting = replace(settler(house), slack=lambda _: timedelta(seconds=60))
    assert (await waiting.round(timedelta(0))).left_open == 1
    later = datetime.now(UTC) + timedelta(seconds=61)
    assert (await waiting.round(timedelta(0), later)).closed == 1


@pytest.mark.parametrize(
    ("verb", "body", "late"),
    [(Verb.UPDATE, {"name": "two"}, True), (Verb.DELETE, None, True), (Verb.UPDATE, {"name": "two"}, False)],
)
async def test_where_there_are_no_versions_what_may_come_yet_is_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: Verb, body: Any, late: bool
) -> None:
    bare = replace(RESOURCE, versioning=Versioning.NONE)
    ruled, record = house.keys.rule, house.shelf.record

    def unversioned(name: str) -> ClosedRecord | None:
        found = record(name)
        return found and replace(found, version=None)

    house.keys.rule = lambda fence: replace(ruled(fence), addresser=ByHand(bare))
    monkeypatch.setattr(house.shelf, "resource", lambda *_: bare)
    monkeypatch.setattr(house.shelf, "record", unversioned)
    house.shelf.put("a", name="one")
    await leave_open(house, verb, "a", body, arrives=False)
    waiting = replace(settler(house), slack=lambda _: timedelta(seconds=60))
    assert (await waiting.round(timedelta(0))).left_open == 1
    if late:  # it comes after all
        if verb is Verb.DELETE:
            del house.shelf.things["a"]
        else:
            house.shelf.put("a", name="two")
        assert (await waiting.round(timedelta(0))).closed == 1
    else:
        assert (await waiting.round(timedelta(0), datetime.now(UTC) + timedelta(seconds=61))).closed == 1
    assert (await house.last())["upstream"]["result"] == ("done" if late else "unknowable")


async def test_what_was_done_is_settled_at_once_though_more_may_come(house: House) -> None:
    house.shelf.put("a", name="one")
    await leave_open(house, Verb.UPDATE, "a", {"name": "two"}, arrives=True)
    waiting = replace(settler(house), slack=lambda _: timedelta(seconds=60))
    assert (await waiting.round(timedelta(0))).closed == 1


async def test_a_silent_upstream_is_asked_once_a_round(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    async def down(*given: object) -> None:
        asked.append(given)
        raise NoAnswer

    house.shelf.put("a", name="one")
    house.shelf.fails_after = NoAnswer()
    for name in ("two", "three"):
        with pytest.raises(GatehouseError):
            await house.gate.answer(call(Verb.UPDATE, "a", body={"name": name}))
    monkeypatch.setattr(house.shelf, "look", down)
    assert (await settler(house).round(timedelta(0))).left_open == 2
    assert len(asked) == 1


class Failing:
    """Counts the looks at an upstream that answers for some records what it is told to."""

    def __init__(self, house: House, error: GatehouseError, *records: str) -> None:
        self.error, self.records, self.asked = error, set(records), list[str]()
        self._look = house.shelf.look

    async def look(self, ref: ResourceRef, resource: ResourceSpec) -> ClosedRecord | None:
        assert ref.record is not None
        self.asked.append(ref.record)
        if ref.record in self.records:
            raise self.error
        return await self._look(ref, resource)


async def three_open(house: House) -> None:
    for record in ("a", "b", "c"):
        house.shelf.put(record, name="one")
        house.shelf.fails_after = NoAnswer()
        with pytest.raises(GatehouseError):
            await house.gate.answer(call(Verb.UPDATE, record, body={"name": "two"}))
        house.shelf.fails_after = None


@pytest.mark.parametrize(
    "error", [NoAnswer(), NotSent(), BadAnswer(500), BadAnswer(503), BadAnswer(429), BadAnswer(None)]
)
async def test_an_upstream_that_fails_is_asked_once_a_round(
    house: House, monkeypatch: pytest.MonkeyPatch, error: GatehouseError
) -> None:
    await three_open(house)
    failing = Failing(house, error, "a", "b", "c")
    monkeypatch.setattr(house.shelf, "look", failing.look)
    ours = settler(house)
    for _ in range(3):
        assert (await ours.round(timedelta(0))).left_open == 3
    assert failing.asked == ["a", "b", "c"]  # each has its turn
    failing.records.clear()
    assert (await ours.round(timedelta(0))).closed == 3


async def test_a_record_that_its_upstream_always_fails_at_holds_up_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await three_open(house)
    failing = Failing(house, BadAnswer(500), "a", "b", "c")
    monkeypatch.setattr(house.shelf, "look", failing.look)
    ours = settler(house)
    for _ in range(4):  # all have failed, and the first was the last to
        await ours.round(timedelta(0))
    failing.records = {"a", "b"}
    left = [(await ours.round(timedelta(0))).left_open for _ in range(3)]
    assert left[-1] == 2
    assert failing.asked[:4] == ["a", "b", "c", "a"]


async def test_an_answer_about_one_record_is_no_sign_that_the_upstream_fails(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await three_open(house)
    for status in (200, 403, 422):
        failing = Failing(house, BadAnswer(status), "a")
        monkeypatch.setattr(house.shelf, "look", failing.look)
        settled = await settler(house).round(timedelta(0))
        assert failing.asked[0] == "a"
        assert settled.left_open == 1
    assert len(await house.log.open_intents()) == 1
