"""A change that its caller names by a key is made once, however many send it at once and whatever breaks in between."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from gateway.idempotency.tables import IDEMPOTENCY_KEY
from gateway.rooms import Reply
from gateway.words.errors import Code, GatehouseError, Refused, Unavailable
from gateway.words.resource import Verb
from tests.gate.house import House, call
from tests.gate.repeating import CHANGES, NEW, made, refused, rows
from tests.gate.test_settling import settler


def slow(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    change = house.shelf.change

    async def waits(*given: Any) -> Any:
        await asyncio.sleep(0.05)
        return await change(*given)

    monkeypatch.setattr(house.shelf, "change", waits)


def other_process(house: House) -> House:
    """The same house as another process has it: what only this process's memory knows is not there."""
    return replace(house, gate=replace(house.gate, claimed=set()))


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_of_twenty_at_once_one_is_forwarded(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: Verb, record: str | None, body: object
) -> None:
    house.shelf.put("a", name="one")
    slow(house, monkeypatch)
    asked = call(verb, record, once="k1", body=body)
    given = await asyncio.gather(*(house.gate.answer(asked) for _ in range(20)), return_exceptions=True)
    replies = [reply for reply in given if isinstance(reply, Reply)]
    assert len(replies) == 1
    assert {e.code for e in given if isinstance(e, GatehouseError)} == {Code.IDEMPOTENCY_KEY_IN_USE}
    assert house.shelf.forwarded == [verb.value]
    assert (await house.kinds()).count("intent") == 1


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_of_twenty_processes_that_all_saw_the_key_free_one_forwards(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: Verb, record: str | None, body: object
) -> None:
    house.shelf.put("a", name="one")
    together = asyncio.Barrier(20)
    pseudonym_of = house.lens.pseudonym_of

    async def waits(*given: Any) -> str | None:
        await together.wait()
        return await pseudonym_of(*given)

    monkeypatch.setattr(house.lens, "pseudonym_of", waits)
    asked = call(verb, record, once="k1", body=body)
    houses = [other_process(house) for _ in range(20)]
    given = await asyncio.gather(*(one.gate.answer(asked) for one in houses), return_exceptions=True)
    assert len([reply for reply in given if isinstance(reply, Reply)]) == 1
    assert {e.code for e in given if isinstance(e, GatehouseError)} == {Code.IDEMPOTENCY_KEY_IN_USE}
    assert house.shelf.forwarded == [verb.value]
    assert await house.log.open_intents() == []
    results = [e["upstream"]["result"] for e in await house.entries() if e["kind"] == "outcome"]
    assert sorted(results) == ["done", *["not-sent"] * 19]
    assert len(house.lens.pending) == 0
    assert house.gate.under_way == set()


async def test_of_two_different_requests_with_one_key_at_once_the_second_is_told_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = asyncio.Barrier(2)
    pseudonym_of = house.lens.pseudonym_of

    async def waits(*given: Any) -> str | None:
        await together.wait()
        return await pseudonym_of(*given)

    monkeypatch.setattr(house.lens, "pseudonym_of", waits)
    calls = [call(Verb.CREATE, once="k1", body={"name": name}) for name in ("one", "two")]
    given = await asyncio.gather(
        *(other_process(house).gate.answer(one) for one in calls), return_exceptions=True
    )
    assert {e.code for e in given if isinstance(e, GatehouseError)} == {Code.IDEMPOTENCY_KEY_REUSED}
    assert house.shelf.forwarded == ["create"]


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_the_row_with_the_intents_number_stands_before_anything_is_forwarded(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: Verb, record: str | None, body: object
) -> None:
    house.shelf.put("a", name="one")
    seen: list[int] = []
    change = house.shelf.change

    async def looks(*given: Any) -> Any:
        (intent,) = await house.log.open_intents()
        seen.extend(row.intent for row in await rows(house) if row.intent == intent.seq)
        return await change(*given)

    monkeypatch.setattr(house.shelf, "change", looks)
    await made(house, verb, record, body=body)
    assert seen == [1]


async def test_a_process_that_ended_before_the_row_leaves_the_key_free(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> bool:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr(type(house.repeats), "take", killed)
        with pytest.raises(asyncio.CancelledError):
            await made(house, **NEW)
    assert house.shelf.forwarded == []
    assert (await made(other_process(house), **NEW)).status == 201


async def test_a_process_that_ended_after_the_row_leaves_it_open_until_it_is_settled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> Any:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr(house.shelf, "change", killed)
        with pytest.raises(asyncio.CancelledError):
            await made(house, **NEW)
    assert (await refused(other_process(house), **NEW)).code is Code.IDEMPOTENCY_KEY_IN_USE
    await settler(house).round(timedelta(0))
    assert (await refused(house, **NEW)).params["result"] == "not-done"
    assert house.shelf.forwarded == []


@pytest.mark.parametrize("stands", [False, True])
async def test_a_row_of_which_nobody_knows_whether_it_stands_is_never_forwarded_on(
    house: House, monkeypatch: pytest.MonkeyPatch, stands: bool
) -> None:
    take = house.repeats.take

    async def breaks(_: object, *given: Any) -> bool:
        if stands:
            await take(*given)
        raise Unavailable

    with monkeypatch.context() as broken:
        broken.setattr(type(house.repeats), "take", breaks)
        error = await refused(house, **NEW)
    assert error.code is Code.NOT_READY
    assert house.shelf.forwarded == []
    assert await house.log.open_intents() == []
    assert (await made(house, **NEW)).status == 201


async def test_while_the_keys_cannot_be_read_nothing_is_sent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(type(house.repeats), "first", away)
    assert (await refused(house, **NEW)).code is Code.NOT_READY
    assert await house.kinds() == ["denied"]


@pytest.mark.parametrize("to", [1, 2, 999])
async def test_a_row_that_was_pointed_at_another_intent_tells_nothing(house: House, to: int) -> None:
    house.keys.good |= {"other"}
    await house.keys.refresh()
    await made(house, key="other", body={"name": "not his"})
    await made(house, **NEW)
    mine = (await rows(house))[-1].intent
    await house.state.write(
        lambda c: c.execute(update(IDEMPOTENCY_KEY).where(IDEMPOTENCY_KEY.c.intent == mine).values(intent=to))
    )
    error = await refused(house, **NEW)
    assert (error.code, error.params) == (Code.IDEMPOTENCY_UNANSWERED, {"result": "unknowable"})
    assert house.shelf.forwarded == ["create", "create"]


async def test_a_caller_has_as_many_keys_as_he_may(house: House) -> None:
    house.repeats._limit = 3
    for once in ("k1", "k2", "k3"):
        await made(house, once=once, **NEW)
    error = await refused(house, once="k4", **NEW)
    assert (error.code, error.params) == (Code.TOO_MANY, {"header": "idempotency-key"})
    assert isinstance(error, Refused)
    assert (await made(house, once="k2", **NEW)).status == 201  # one in use is told as ever
    house.keys.good |= {"other"}
    await house.keys.refresh()
    assert (await made(house, key="other", once="k4", **NEW)).status == 201
    assert len(house.shelf.forwarded) == 4
