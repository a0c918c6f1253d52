"""What holds between a change's intent and its outcome, whatever of ours breaks in between."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from audit import AuditEvent, EventRefused, Kind
from gateway.text import Language
from gateway.text.problems import problem
from gateway.words.errors import Code, GatehouseError, NotSent, Refused, Unavailable, Unidentified
from gateway.words.resource import Verb, Versioning
from tests.gate.house import RESOURCE, ByHand, House, call
from tests.gate.test_settling import settler


def failing(error: Exception) -> Callable[..., Any]:
    async def fail(*_: object) -> None:
        raise error

    return fail


async def test_a_request_that_waits_longer_than_the_grace_keeps_its_intent_and_its_keys(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[object] = []
    change = house.shelf.change

    async def slow(*given: Any) -> Any:
        settled.append(await settler(house).round(timedelta(0)))
        return await change(*given)

    monkeypatch.setattr(house.shelf, "change", slow)
    reply = await house.gate.answer(call(Verb.CREATE, body={"name": "new"}))
    assert reply.status == 201
    assert await house.kinds() == ["intent", "outcome"]
    assert len(house.lens.bound) == 1
    assert house.gate.under_way == set()


async def test_an_intent_of_another_process_waits_for_its_upstreams_own_deadline(house: House) -> None:
    house.shelf.fails_before = Unavailable()
    with pytest.raises(GatehouseError):
        await house.gate.answer(call(Verb.CREATE, body={"name": "new"}))
    patient = replace(settler(house), patience=lambda _: timedelta(seconds=600))
    assert (await patient.round(timedelta(0))).left_open == 1
    assert len(house.lens.pending) == 1
    assert (await replace(patient, patience=lambda _: timedelta(0)).round(timedelta(0))).closed == 1


@pytest.mark.parametrize("room", ["bind", "views", "subjects_of"])
async def test_what_breaks_after_a_change_went_out_never_invites_to_send_it_again(
    house: House, monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    monkeypatch.setattr(house.lens, room, failing(Unavailable()))
    with pytest.raises(Unavailable) as refusal:
        await house.gate.answer(call(Verb.CREATE, body={"name": "new"}))
    assert house.shelf.forwarded == ["create"]
    (intent,) = await house.log.open_intents()
    assert refusal.value.code is Code.OUTCOME_UNRECORDED
    assert refusal.value.entry == f"{intent.seq}:{intent.entry.hash}"
    told = problem(refusal.value, Language.ENGLISH, "req_x")
    assert "retry-after" not in dict(told.headers)


@pytest.mark.parametrize("error", [Unavailable(), ValueError("a defect"), asyncio.CancelledError()])
async def test_a_create_that_ends_before_its_intent_leaves_no_pending_seal(
    house: House, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(house.lens, "pseudonym_of", failing(error))  # type: ignore[arg-type]
    with pytest.raises((GatehouseError, asyncio.CancelledError)):
        await house.gate.answer(call(Verb.CREATE, body={"name": "new"}))
    assert house.shelf.forwarded == []
    assert house.lens.pending == set()


async def test_a_pending_seal_that_cannot_be_dropped_keeps_its_intent_open_for_the_reconciler(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.fails_before = NotSent()
    with monkeypatch.context() as broken:
        broken.setattr(house.lens, "drop", failing(Unavailable()))
        with pytest.raises(Unavailable):
            await house.gate.answer(call(Verb.CREATE, body={"name": "new"}))
    assert len(await house.log.open_intents()) == 1
    await settler(house).round(timedelta(0))
    assert await house.log.open_intents() == []
    assert len(house.lens.pending) == 1  # for the sweep of creates whose record was never seen


@pytest.mark.parametrize(("verb", "record"), [(Verb.READ, "a"), (Verb.LIST, None), (Verb.UPDATE, "a")])
async def test_a_defect_is_answered_with_an_entry_too(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: Verb, record: str | None
) -> None:
    house.shelf.put("a", name="one")
    monkeypatch.setattr(house.lens, "subjects_of", failing(ValueError("a defect")))
    with pytest.raises(GatehouseError) as refusal:
        await house.gate.answer(call(verb, record, body={"name": "two"}))
    assert refusal.value.code is Code.INTERNAL
    assert refusal.value.entry is not None
    assert (await house.last())["decision"]["reason"] == "internal"


@pytest.mark.parametrize(("verb", "body"), [(Verb.UPDATE, {"name": "two"}), (Verb.DELETE, None)])
async def test_a_write_that_cannot_be_conditional_is_compared_again_just_before(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: Verb, body: object
) -> None:
    house.shelf.put("a", name="one")
    rule = house.keys.rule
    unversioned = ByHand(replace(RESOURCE, versioning=Versioning.NONE))
    house.keys.rule = lambda fence: replace(rule(fence), addresser=unversioned)
    pseudonym_of = house.lens.pseudonym_of

    async def meanwhile(*given: Any) -> str | None:
        house.shelf.put("a", name="somebody else's")
        return await pseudonym_of(*given)

    with monkeypatch.context() as busy:
        busy.setattr(house.lens, "pseudonym_of", meanwhile)
        with pytest.raises(Refused) as refusal:
            await house.gate.answer(call(verb, "a", body=body))
    assert refusal.value.code is Code.CHANGED_MEANWHILE
    assert house.shelf.forwarded == []
    assert await house.log.open_intents() == []
    await house.gate.answer(call(verb, "a", body=body))
    assert (await house.last())["upstream"]["unconditional"] is True


@pytest.mark.parametrize("body", [{"name": "one"}, {"name": "two"}])
async def test_who_may_change_a_record_and_not_read_it_is_shown_nothing_of_it(
    house: House, body: dict[str, str]
) -> None:
    house.shelf.put("a", name="one", owner="me")
    house.policy.unseen.add("thing:read")
    reply = await house.gate.answer(call(Verb.UPDATE, "a", body=body))
    assert (reply.status, reply.body) == (204, b"")
    assert {name for name, _ in reply.headers} == {"audit-ref", "gatehouse-policy"}
    parts = (await house.log.entries(0, 10))[-1].parts
    assert [orjson.loads(part.body)["fields"] for part in parts] in ([], [{}])


@pytest.mark.parametrize("guess", ['"1"', '"2"'])
async def test_a_condition_of_somebody_who_reads_nothing_never_holds(house: House, guess: str) -> None:
    house.shelf.put("a", name="one", owner="me")
    house.policy.unseen.add("thing:read")
    with pytest.raises(Refused) as refusal:
        await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "one"}, condition=guess))
    assert refusal.value.code is Code.CHANGED_MEANWHILE


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE, Verb.DELETE])
async def test_a_defect_after_a_change_went_out_is_told_as_an_outcome_nobody_recorded(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: Verb
) -> None:
    house.shelf.put("a", name="one")
    change = house.shelf.change

    async def broken(*given: Any) -> Any:
        await change(*given)
        raise ValueError("a defect")

    monkeypatch.setattr(house.shelf, "change", broken)
    with pytest.raises(Unavailable) as refusal:
        await house.gate.answer(call(verb, None if verb is Verb.CREATE else "a", body={"name": "two"}))
    (intent,) = await house.log.open_intents()
    assert refusal.value.code is Code.OUTCOME_UNRECORDED
    assert refusal.value.entry == f"{intent.seq}:{intent.entry.hash}"
    assert isinstance(refusal.value.__cause__, ValueError)


async def test_a_record_that_is_more_than_an_entry_holds_is_changed_and_not_shown(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one")
    append = house.log.append

    async def too_large(event: AuditEvent, **given: Any) -> Any:
        if event.kind is Kind.OUTCOME and event.records:
            raise EventRefused("a record's part would be larger")
        return await append(event, **given)

    monkeypatch.setattr(house.log, "append", too_large)
    reply = await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "two"}))
    assert (reply.status, reply.body) == (204, b"")
    assert await house.log.open_intents() == []


@pytest.mark.parametrize("refusing", ["denied", "changed-meanwhile"])
async def test_nobody_is_told_by_a_refusal_what_a_revocation_before_it_took_from_him(
    house: House, monkeypatch: pytest.MonkeyPatch, refusing: str
) -> None:
    house.shelf.put("a", name="one", owner="other" if refusing == "denied" else "me")
    before = house.shelf.before

    async def meanwhile(*given: Any) -> Any:
        if "good" in house.keys.good:
            house.keys.good.clear()
            await house.log.append(AuditEvent(Kind.NOTE, "req_x", {}, "key:revoke"), raises_fence=True)
        return await before(*given)

    monkeypatch.setattr(house.shelf, "before", meanwhile)
    with pytest.raises(Unidentified):
        await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "two"}, condition="99"))


async def test_a_record_without_its_version_is_hidden_before_it_is_found_wanting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one", secret=True)
    record = house.shelf.record
    monkeypatch.setattr(house.shelf, "record", lambda name: (r := record(name)) and replace(r, version=None))
    for name in ("a", "absent"):
        with pytest.raises(GatehouseError) as refusal:
            await house.gate.answer(call(Verb.UPDATE, name, body={"name": "two"}))
        assert refusal.value.code is Code.NOT_FOUND


async def test_who_is_stale_while_nothing_can_be_read_anew_has_an_entry(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one")
    monkeypatch.setattr(house.keys, "refresh", failing(Unavailable()))
    await house.log.append(AuditEvent(Kind.NOTE, "req_x", {}, "key:revoke"), raises_fence=True)
    with pytest.raises(Unavailable) as refusal:
        await house.gate.answer(call(Verb.READ, "a"))
    assert refusal.value.entry is not None
    assert (await house.last())["kind"] == "denied"


async def test_an_outcome_names_the_record_that_was_made_though_it_is_not_shown(house: House) -> None:
    house.policy.unseen.add("thing:read")
    reply = await house.gate.answer(call(Verb.CREATE, body={"name": "new"}))
    assert (reply.status, reply.body) == (201, b"")
    (part,) = (await house.log.entries(0, 1000))[-1].parts
    assert orjson.loads(part.body)["reference"] == "new0"
