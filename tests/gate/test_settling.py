"""Open intents are settled by looking at the upstream."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.corridor.settle import Settler
from gateway.words.errors import GatehouseError, NoAnswer, NotSent
from gateway.words.record import ClosedRecord
from gateway.words.resource import Verb, Versioning
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
