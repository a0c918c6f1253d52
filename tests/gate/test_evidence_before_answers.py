"""Invariant 1: nothing a caller learns leaves before its entry is durable; no change is forwarded before its intent is."""

from typing import Any

import orjson
import pytest

from audit import AuditEvent, Kind
from gateway.rooms import Answer
from gateway.text import Language
from gateway.text.problems import problem
from gateway.words.errors import (
    BadAnswer,
    Code,
    Denied,
    GatehouseError,
    NoAnswer,
    NotSent,
    Refused,
    Unavailable,
)
from gateway.words.resource import Verb
from tests.gate.house import House, call

CHANGES = [
    (Verb.CREATE, None, {"name": "new"}),
    (Verb.UPDATE, "a", {"name": "changed"}),
    (Verb.DELETE, "a", None),
]


async def test_a_read_is_served_with_the_reference_of_its_entry(house: House) -> None:
    house.shelf.put("a", name="one")
    reply = await house.gate.answer(call(Verb.READ, "a"))
    assert orjson.loads(reply.body) == {"name": "one"}
    entry = (await house.log.entries(0, 10))[-1]
    assert dict(reply.headers)["audit-ref"] == f"{entry.seq}:{entry.hash}"
    assert orjson.loads(entry.bytes)["kind"] == "served"


async def test_what_cannot_be_recorded_is_not_shown(house: House) -> None:
    house.shelf.put("a", name="one")
    house.disk.full = True
    for verb, record in ((Verb.READ, "a"), (Verb.LIST, None), (Verb.READ, "absent")):
        with pytest.raises(Unavailable) as refusal:
            await house.gate.answer(call(verb, record))
        assert refusal.value.code is Code.LOG_UNAVAILABLE
    assert await house.kinds() == []


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_no_change_is_forwarded_without_its_intent(
    house: House, verb: Verb, record: str, body: object
) -> None:
    house.shelf.put("a", name="one")
    house.disk.full = True
    with pytest.raises(Unavailable):
        await house.gate.answer(call(verb, record, body=body))
    assert house.shelf.forwarded == []
    assert house.lens.pending == set()


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_an_intent_stands_in_the_log_when_the_upstream_is_called(
    house: House, verb: Verb, record: str, body: object
) -> None:
    house.shelf.put("a", name="one")
    seen: list[int] = []
    house.shelf.during = lambda: seen.append(house.log._seen.seq)  # type: ignore[union-attr]  # open logs have a head
    await house.gate.answer(call(verb, record, body=body))
    assert seen == [1]
    assert await house.kinds() == ["intent", "outcome"]


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_a_change_whose_outcome_cannot_be_recorded_says_so_and_names_its_intent(
    house: House, verb: Verb, record: str, body: object
) -> None:
    house.shelf.put("a", name="one")
    house.disk.allowed = 1
    with pytest.raises(Unavailable) as refusal:
        await house.gate.answer(call(verb, record, body=body))
    assert refusal.value.code is Code.OUTCOME_UNRECORDED
    intent = (await house.log.entries(0, 10))[0]
    assert refusal.value.entry == f"{intent.seq}:{intent.hash}"
    assert len(house.shelf.forwarded) == 1
    assert [i.seq for i in await house.log.open_intents()] == [intent.seq]


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_what_was_not_sent_is_closed_and_what_was_not_answered_stays_open(
    house: House, verb: Verb, record: str, body: object
) -> None:
    house.shelf.put("a", name="one")
    house.shelf.fails_before = NotSent()
    with pytest.raises(NotSent) as unsent:
        await house.gate.answer(call(verb, record, body=body))
    assert unsent.value.entry is not None
    assert await house.log.open_intents() == []
    assert (await house.last())["upstream"] == {"result": "not-sent"}
    assert house.lens.pending == set()
    house.shelf.fails_before, house.shelf.fails_after = None, NoAnswer()
    with pytest.raises(NoAnswer) as silent:
        await house.gate.answer(call(verb, record, body=body))
    (intent,) = await house.log.open_intents()
    assert silent.value.entry == f"{intent.seq}:{intent.entry.hash}"


@pytest.mark.parametrize("status", [500, 503, 302])
async def test_an_answer_that_does_not_say_whether_it_was_done_leaves_the_intent_open(
    house: House, status: int
) -> None:
    house.shelf.put("a", name="one")
    house.shelf.answers = status
    with pytest.raises(GatehouseError):
        await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "two"}))
    assert len(await house.log.open_intents()) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(412, Code.CHANGED_MEANWHILE), (409, Code.CONFLICT), (422, Code.VALUE_REFUSED)]
)
async def test_an_upstreams_refusal_closes_the_intent(house: House, status: int, code: Code) -> None:
    house.shelf.put("a", name="one")
    house.shelf.answers = status
    with pytest.raises(Refused) as refusal:
        await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "two"}))
    assert refusal.value.code is code
    assert (await house.last())["upstream"] == {"result": "refused", "status": status}
    assert await house.log.open_intents() == []


async def test_every_refusal_of_somebody_known_has_its_own_entry(house: House) -> None:
    house.shelf.put("a", name="one", secret=True)
    house.policy.closed.add("thing:delete")
    for asked in (
        call(Verb.READ, "a"),
        call(Verb.READ, "absent"),
        call(Verb.DELETE, "a"),
        call(Verb.LIST, sort="bonus"),
        call(Verb.UPDATE, "a", body={"name": "x"}),
    ):
        before = len(await house.kinds())
        with pytest.raises(GatehouseError) as refusal:
            await house.gate.answer(asked)
        entry = (await house.log.entries(before, 10))[0]
        assert refusal.value.entry == f"{entry.seq}:{entry.hash}"
        assert orjson.loads(entry.bytes)["decision"]["allowed"] is False
        assert len(await house.kinds()) == before + 1


async def test_a_stranger_leaves_no_entry(house: House) -> None:
    with pytest.raises(GatehouseError):
        await house.gate.answer(call(Verb.READ, "a", key="unknown"))
    assert await house.kinds() == []


async def test_what_is_not_there_and_what_is_not_his_are_one_answer(house: House) -> None:
    house.shelf.put("hidden", name="one", secret=True)
    for verb, body in ((Verb.READ, None), (Verb.UPDATE, {"name": "x"}), (Verb.DELETE, None)):
        codes = []
        for record in ("hidden", "absent"):
            with pytest.raises(GatehouseError) as refusal:
                await house.gate.answer(call(verb, record, body=body))
            codes.append((refusal.value.code, dict(refusal.value.params)))
        assert codes == [(Code.NOT_FOUND, {}), (Code.NOT_FOUND, {})]


async def test_who_may_read_but_not_change_is_told_that_he_may_not(house: House) -> None:
    house.shelf.put("a", name="one", owner="other")
    with pytest.raises(Denied) as refusal:
        await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "x"}))
    assert refusal.value.code is Code.DENIED
    assert house.shelf.forwarded == []


async def test_what_needs_no_record_to_be_denied_is_denied_before_the_upstream_is_called(
    house: House,
) -> None:
    house.shelf.put("a", name="one")
    house.policy.closed.add("thing:read")
    with pytest.raises(Denied):
        await house.gate.answer(call(Verb.READ, "a"))
    assert house.shelf.reads == 0


async def test_a_write_that_changes_nothing_sends_nothing(house: House) -> None:
    house.shelf.put("a", name="one")
    reply = await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "one"}))
    assert reply.status == 200
    assert house.shelf.forwarded == []
    assert await house.kinds() == ["served"]


async def test_a_write_on_an_older_version_than_the_callers_is_refused_before_its_intent(
    house: House,
) -> None:
    house.shelf.put("a", name="one")
    with pytest.raises(Refused) as refusal:
        await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "two"}, condition='"99"'))
    assert refusal.value.code is Code.CHANGED_MEANWHILE
    assert await house.kinds() == ["denied"]


async def test_an_id_that_is_bound_already_is_an_alarm_and_is_not_told(house: House) -> None:
    house.lens.bound["taken"] = "seal_of_another"
    house.shelf.new_id = "taken"
    with pytest.raises(BadAnswer):
        await house.gate.answer(call(Verb.CREATE, body={"name": "new"}))
    assert [a.kind.value for a in house.bell.rung] == ["already-bound"]
    assert house.lens.bound["taken"] == "seal_of_another"
    assert len(await house.log.open_intents()) == 1


async def test_after_a_revocation_that_stands_in_the_log_nobody_is_served(house: House) -> None:
    house.shelf.put("a", name="one")

    async def revoke() -> None:
        house.keys.good.clear()
        event = AuditEvent(Kind.CHANGE, "req_r", {"application": "app:admin"}, "key:revoke")
        await house.log.append(event, raises_fence=True)

    await revoke()
    with pytest.raises(GatehouseError) as refusal:
        await house.gate.answer(call(Verb.READ, "a"))
    assert refusal.value.code is Code.UNIDENTIFIED
    assert house.keys.refreshed == 1


async def test_no_change_of_a_revoked_key_is_forwarded(house: House) -> None:
    house.shelf.put("a", name="one")
    house.keys.good.clear()
    await house.log.append(
        AuditEvent(Kind.CHANGE, "req_r", {"application": "app:admin"}, "key:revoke"), raises_fence=True
    )
    for verb, record, body in CHANGES:
        house.keys.cached = {"good"}
        house.keys.read_at = 0
        with pytest.raises(GatehouseError):
            await house.gate.answer(call(verb, record, body=body))
    assert house.shelf.forwarded == []
    assert house.lens.pending == set()


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.CREATE])
async def test_a_change_that_a_revocation_overtook_is_recorded_and_shows_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: Verb
) -> None:
    house.shelf.put("a", name="one")
    record = "a" if verb is Verb.UPDATE else None
    change = house.shelf.change

    async def overtaken(*given: Any) -> Answer:
        event = AuditEvent(Kind.CHANGE, "req_r", {"application": "app:admin"}, "key:revoke")
        await house.log.append(event, raises_fence=True)
        return await change(*given)

    assert (await house.gate.answer(call(verb, record, body={"name": "two"}))).body != b""
    monkeypatch.setattr(house.shelf, "change", overtaken)
    reply = await house.gate.answer(call(verb, record, body={"name": "three"}))
    assert (reply.status, reply.body) == (204 if verb is Verb.UPDATE else 201, b"")
    entry = orjson.loads((await house.log.entries(0, 50))[-1].bytes)
    assert (entry["kind"], entry["upstream"]["result"]) == ("outcome", "done")
    assert len(entry["records"]) == (1 if verb is Verb.CREATE else 0)  # which was made, and nothing of it
    assert await house.log.open_intents() == []


async def test_a_fence_that_keeps_moving_ends_in_a_refusal_to_serve(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one")

    async def never_new() -> None:
        house.keys.refreshed += 1

    await house.log.append(AuditEvent(Kind.CHANGE, "r", {"application": "app:admin"}, "x"), raises_fence=True)
    monkeypatch.setattr(house.keys, "refresh", never_new)
    with pytest.raises(Unavailable) as refusal:
        await house.gate.answer(call(Verb.READ, "a"))
    assert refusal.value.code is Code.FENCE_MOVING
    entry = (await house.log.entries(0, 10))[-1]
    assert refusal.value.entry == f"{entry.seq}:{entry.hash}"
    assert orjson.loads(entry.bytes)["kind"] == "denied"
    assert house.keys.refreshed == 3


async def test_the_answers_for_hidden_and_absent_are_the_same_bytes(house: House) -> None:
    house.shelf.put("hidden", name="one", secret=True)
    answers = []
    for record in ("hidden", "absent"):
        with pytest.raises(GatehouseError) as refusal:
            await house.gate.answer(call(Verb.READ, record))
        told = problem(refusal.value, Language.ENGLISH, "req_same")
        answers.append((told.status, told.body, sorted(name for name, _ in told.headers)))
    assert answers[0] == answers[1]


async def test_nobody_makes_of_a_record_what_he_could_not_have_changed(house: House) -> None:
    house.shelf.put("a", name="one", owner="me")
    with pytest.raises(Denied) as refusal:
        await house.gate.answer(call(Verb.UPDATE, "a", body={"owner": "other"}))
    assert refusal.value.code is Code.DENIED
    assert house.shelf.forwarded == []
    assert await house.kinds() == ["denied"]
