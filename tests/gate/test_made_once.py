"""A change that its caller names by a key is made once; whoever repeats it is told what came of it, if he may still know."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from audit import AuditEvent, EventRefused, Kind
from gateway.rooms import Answer
from gateway.text import Language
from gateway.text.problems import problem
from gateway.words.decision import Decision, Facts, Floors
from gateway.words.errors import Code, Denied, NoAnswer, NotSent, Refused
from gateway.words.resource import Verb
from tests.gate.house import House, PreparedByHand
from tests.gate.repeating import CHANGES, NEW, made, ref, refused, rows
from tests.gate.test_settling import settler

# ── what came of it is told, and shown as it is now ──────────────────────────────────────────────────────────────────


async def test_a_repeated_create_is_forwarded_once_and_shown_again(house: House) -> None:
    first = await made(house, **NEW)
    again = await made(house, **NEW)
    assert house.shelf.forwarded == ["create"]
    assert (again.status, again.body) == (first.status, first.body) == (201, b'{"name":"new","owner":"me"}')
    intent, _, told = await house.log.entries(0, 10)
    assert dict(again.headers) == {
        "content-type": "application/json",
        "gatehouse-replay": ref(intent),
        "etag": '"1"',
        "location": "/shelf/new0",
        "audit-ref": ref(told),
        "gatehouse-policy": "sha256:" + "b" * 64,
    }
    entry = (await house.entries())[-1]
    assert (entry["kind"], entry["of"]) == ("served", None)
    assert entry["upstream"] == {"replay": intent.seq, "result": "done", "status": 201}
    assert entry["parts"][0]["fields"] == {"clear": ["/name", "/owner"]}


async def test_a_create_whose_answer_named_no_record_is_found_by_its_marker(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = house.shelf.change

    async def says_nothing(*given: Any) -> Answer:
        return Answer((await change(*given)).status)

    monkeypatch.setattr(house.shelf, "change", says_nothing)
    first, again = await made(house, **NEW), await made(house, **NEW)
    assert (first.status, first.body) == (201, b"")
    assert (again.status, again.body) == (201, b'{"name":"new","owner":"me"}')
    assert dict(again.headers)["location"] == "/shelf/new0"


async def test_a_repeated_update_shows_the_record_as_it_is_now(house: House) -> None:
    house.shelf.put("a", name="one")
    first = await made(house, Verb.UPDATE, "a", body={"name": "two"})
    house.shelf.put("a", name="three")
    again = await made(house, Verb.UPDATE, "a", body={"name": "two"})
    assert (first.body, again.body) == (b'{"name":"two"}', b'{"name":"three"}')
    assert house.shelf.forwarded == ["update"]


async def test_a_repeated_update_hangs_on_no_version_that_it_moved_itself(house: House) -> None:
    house.shelf.put("a", name="one")
    given = {"body": {"name": "two"}, "condition": '"1"'}
    assert (await made(house, Verb.UPDATE, "a", **given)).status == 200
    assert (await made(house, Verb.UPDATE, "a", **given)).status == 200
    assert house.shelf.forwarded == ["update"]


async def test_a_repeated_delete_is_told_that_it_was_done(house: House) -> None:
    house.shelf.put("a", name="one", owner="me")
    first = await made(house, Verb.DELETE, "a")
    again = await made(house, Verb.DELETE, "a")
    assert (first.status, again.status, again.body) == (204, 204, b"")
    assert house.shelf.forwarded == ["delete"]
    assert (await house.entries())[-1]["upstream"] == {"replay": 1, "result": "done", "status": 200}


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_what_was_accepted_is_told_as_accepted(
    house: House, verb: Verb, record: str | None, body: object
) -> None:
    house.shelf.put("a", name="one")
    house.shelf.answers = 202
    first = await made(house, verb, record, body=body)
    house.shelf.answers = 500  # nobody asks
    again = await made(house, verb, record, body=body)
    assert (first.status, again.status, again.body) == (202, 202, b"")


@pytest.mark.parametrize(("status", "code"), [(422, Code.VALUE_REFUSED), (409, Code.CONFLICT)])
async def test_what_an_upstream_refused_is_told_with_the_same_meaning(
    house: House, status: int, code: Code
) -> None:
    house.shelf.answers = status
    assert (await refused(house, **NEW)).code is code
    house.shelf.answers = None
    again = await refused(house, **NEW)
    assert (again.code, again.params) == (code, {"intent": ref((await house.log.entries(0, 1))[0])})
    assert house.shelf.forwarded == []
    entry = (await house.entries())[-1]
    assert again.entry.startswith(f"{entry['seq']}:")
    assert (entry["kind"], entry["upstream"]) == (
        "served",
        {"replay": 1, "result": "refused", "status": status},
    )


# ── what was certainly not done leaves the key free ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_what_was_never_sent_may_be_sent_with_the_same_key(
    house: House, verb: Verb, record: str | None, body: object
) -> None:
    house.shelf.put("a", name="one")
    house.shelf.fails_before = NotSent()
    assert (await refused(house, verb, record, body=body)).code is Code.UPSTREAM_UNREACHABLE
    house.shelf.fails_before = None
    assert (await made(house, verb, record, body=body)).status in (200, 201, 204)
    assert "gatehouse-replay" in dict((await made(house, verb, record, body=body)).headers)
    assert house.shelf.forwarded == [verb.value]


async def test_a_caller_who_is_told_to_come_back_later_comes_back_with_his_key(house: House) -> None:
    house.shelf.answers = 429
    assert (await refused(house, **NEW)).code is Code.TOO_MANY
    house.shelf.answers = None
    assert (await made(house, **NEW)).status == 201


async def test_what_was_refused_before_its_intent_does_not_burn_the_key(house: House) -> None:
    house.shelf.put("a", name="one")
    assert (await refused(house, Verb.UPDATE, "a", body={"name": "*"})).code is Code.MASK_SUBMITTED
    assert (await refused(house, Verb.UPDATE, "absent", body={"name": "x"})).code is Code.NOT_FOUND
    assert await rows(house) == []
    assert (await made(house, Verb.UPDATE, "a", body={"name": "one"})).status == 200  # changes nothing
    assert await rows(house) == []
    assert (await made(house, Verb.UPDATE, "a", body={"name": "two"})).status == 200


# ── a key stands for one request of one caller ───────────────────────────────────────────────────────────────────────


async def test_a_key_stands_for_one_request(house: House) -> None:
    house.shelf.put("a", name="one")
    await made(house, Verb.UPDATE, "a", body={"name": "two"})
    for verb, record, body in [
        (Verb.UPDATE, "a", {"name": "three"}),
        (Verb.UPDATE, "b", {"name": "two"}),
        (Verb.CREATE, None, {"name": "two"}),
        (Verb.DELETE, "a", None),
    ]:
        error = await refused(house, verb, record, body=body)
        assert (error.code, error.params) == (Code.IDEMPOTENCY_KEY_REUSED, {"header": "idempotency-key"})
    assert house.shelf.forwarded == ["update"]


async def test_a_key_of_another_caller_is_another_key(house: House) -> None:
    house.keys.good |= {"other"}
    await house.keys.refresh()
    await made(house, **NEW)
    second = await made(house, key="other", **NEW)
    assert house.shelf.forwarded == ["create", "create"]
    assert "gatehouse-replay" not in dict(second.headers)


async def test_a_read_passes_over_the_key(house: House) -> None:
    house.shelf.put("a", name="one")
    for once in ("k1", 'not "a" key'):
        assert (await made(house, Verb.READ, "a", once=once)).status == 200
        assert (await made(house, Verb.LIST, once=once)).status == 200
    assert await rows(house) == []


async def test_a_key_that_cannot_be_read_is_refused_and_recorded(house: House) -> None:
    error = await refused(house, once='"a";b=1', **NEW)
    assert (error.code, error.params) == (Code.HEADER_MALFORMED, {"header": "idempotency-key"})
    assert (await house.last())["kind"] == "denied"
    assert house.shelf.forwarded == []


# ── while nobody knows ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_an_open_intent_is_told_as_open_and_then_as_what_the_reconciler_found(
    house: House, verb: Verb, record: str | None, body: object
) -> None:
    house.shelf.put("a", name="one")
    house.shelf.fails_after = NoAnswer()
    await refused(house, verb, record, body=body)
    (intent,) = await house.log.open_intents()
    house.shelf.fails_after = None
    error = await refused(house, verb, record, body=body)
    assert (error.code, error.params) == (Code.IDEMPOTENCY_KEY_IN_USE, {"intent": ref(intent.entry)})
    assert dict(problem(error, Language.ENGLISH, "req_x").headers)["retry-after"] == "5"
    assert (await house.last())["upstream"] == {"replay": intent.seq, "result": "open"}
    assert [i.seq for i in await house.log.open_intents()] == [intent.seq]  # told of, not settled
    await settler(house).round(timedelta(0))
    again = await made(house, verb, record, body=body)
    assert again.status == {Verb.CREATE: 201, Verb.UPDATE: 200, Verb.DELETE: 204}[verb]
    assert house.shelf.forwarded == [verb.value]


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_what_the_reconciler_did_not_find_is_not_sent_a_second_time(
    house: House, verb: Verb, record: str | None, body: object
) -> None:
    house.shelf.put("a", name="one")
    house.shelf.fails_before = NoAnswer()
    await refused(house, verb, record, body=body)
    house.shelf.fails_before = None
    await settler(house).round(timedelta(0))
    error = await refused(house, verb, record, body=body)
    assert error.code is Code.IDEMPOTENCY_UNANSWERED
    assert error.params["result"] == "not-done"
    assert house.shelf.forwarded == []


async def test_an_outcome_that_could_not_be_recorded_is_told_once_it_was_settled(house: House) -> None:
    house.disk.allowed = 1
    assert (await refused(house, **NEW)).code is Code.OUTCOME_UNRECORDED
    house.disk.allowed = None
    assert (await refused(house, **NEW)).code is Code.IDEMPOTENCY_KEY_IN_USE
    await settler(house).round(timedelta(0))
    assert (await made(house, **NEW)).body == b'{"name":"new","owner":"me"}'
    assert house.shelf.forwarded == ["create"]


# ── who may not know it any more is told nothing ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
@pytest.mark.parametrize("kept", ["closed", "unseen"])
async def test_whose_right_ended_is_told_nothing(
    house: House, verb: Verb, record: str | None, body: object, kept: str
) -> None:
    house.shelf.put("a", name="one")
    await made(house, verb, record, body=body)
    getattr(house.policy, kept).add(f"thing:{verb.value}")
    error = await refused(house, verb, record, body=body)
    assert isinstance(error, Denied)
    assert error.code is Code.DENIED
    assert "intent" not in error.params
    entry = await house.last()
    assert (entry["kind"], entry["decision"]["allowed"]) == ("denied", False)
    assert entry["upstream"] == (None if kept == "closed" else {"replay": 1})
    house.policy.unseen.add("thing:read")
    told = {Verb.CREATE: Code.DENIED}.get(verb, Code.NOT_FOUND if kept == "unseen" else Code.DENIED)
    assert (await refused(house, verb, record, body=body)).code is told


@pytest.mark.parametrize(("verb", "record", "body"), CHANGES)
async def test_a_floor_of_today_ends_the_telling_of_a_change_of_yesterday(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: Verb, record: str | None, body: object
) -> None:
    house.shelf.put("a", name="one")
    await made(house, verb, record, body=body)
    decide = PreparedByHand.decide

    async def erased(_: object, subjects: Any) -> Any:
        return [Facts(floors=Floors(erased=True)) for _ in subjects]

    def floored(prepared: PreparedByHand, facts: Facts) -> Decision:
        return prepared._no(facts) if facts.floors.erased else decide(prepared, facts)

    monkeypatch.setattr(house.gate.facts, "floors", erased)
    monkeypatch.setattr(PreparedByHand, "decide", floored)
    assert isinstance(await refused(house, verb, record, body=body), Denied)


async def test_an_open_intent_is_told_to_nobody_whose_right_ended(house: House) -> None:
    house.shelf.fails_after = NoAnswer()
    await refused(house, **NEW)
    house.policy.unseen.add("thing:create")
    error = await refused(house, **NEW)
    assert (error.code, dict(error.params)) == (Code.DENIED, {})


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE])
async def test_a_record_that_was_hidden_since_and_one_that_was_removed_are_alike(
    house: House, verb: Verb
) -> None:
    house.shelf.put("a", name="one")
    record = "a" if verb is Verb.UPDATE else None
    await made(house, verb, record, body={"name": "two"})
    name = record or "new1"
    house.shelf.put(name, name="two", secret=True)
    hidden = await refused(house, verb, record, body={"name": "two"})
    del house.shelf.things[name]
    removed = await refused(house, verb, record, body={"name": "two"})
    told = [problem(error, Language.ENGLISH, "req_x") for error in (hidden, removed)]
    assert told[0].body == told[1].body
    assert hidden.code is Code.NOT_FOUND
    assert house.shelf.forwarded == [verb.value]


async def test_a_record_that_moved_out_of_his_reach_is_not_shown_again(house: House) -> None:
    house.shelf.put("a", name="one", owner="me")
    await made(house, Verb.UPDATE, "a", body={"name": "two"})
    house.shelf.put("a", name="two", owner="other")
    assert (await refused(house, Verb.UPDATE, "a", body={"name": "two"})).code is Code.DENIED


async def test_who_was_shown_nothing_is_told_that_it_was_done_and_nothing_of_the_record(house: House) -> None:
    house.policy.unseen.add("thing:read")
    first = await made(house, **NEW)
    assert (first.status, first.body) == (201, b"")
    replies = [await made(house, **NEW)]
    house.shelf.put("new0", name="new", secret=True)
    replies.append(await made(house, **NEW))
    del house.shelf.things["new0"]
    replies.append(await made(house, **NEW))
    for reply in replies:
        assert (reply.status, reply.body) == (201, b"")
        assert set(dict(reply.headers)) == {"gatehouse-replay", "audit-ref", "gatehouse-policy"}


async def test_who_changes_blindly_is_told_that_it_was_done_and_shown_nothing(house: House) -> None:
    house.shelf.put("a", name="one")
    house.policy.unseen.add("thing:read")
    for _ in range(2):
        reply = await made(house, Verb.UPDATE, "a", body={"name": "two"})
        assert (reply.status, reply.body) == (204, b"")
        assert "etag" not in dict(reply.headers)
    assert house.shelf.forwarded == ["update"]


async def test_a_created_record_of_which_he_could_not_make_another_now_is_not_shown_again(
    house: House,
) -> None:
    await made(house, **NEW)
    house.shelf.put("new0", name="new", owner="other")
    assert (await refused(house, **NEW)).code is Code.NOT_FOUND


@pytest.mark.parametrize(("verb", "record", "body"), [CHANGES[0], CHANGES[2]])
@pytest.mark.parametrize("status", [None, 202, 422])
async def test_below_a_record_that_was_hidden_or_removed_since_nothing_is_told(
    house: House, verb: Verb, record: str | None, body: object, status: int | None
) -> None:
    house.shelf.put("p", name="above")
    house.shelf.put("a", name="one")
    house.shelf.answers = status
    with suppress(Refused):
        await made(house, verb, record, body=body, below="p")
    house.shelf.put("p", name="above", secret=True)
    assert (await refused(house, verb, record, body=body, below="p")).code is Code.NOT_FOUND
    del house.shelf.things["p"]
    error = await refused(house, verb, record, body=body, below="p")
    assert (error.code, error.params) == (Code.NOT_FOUND, {})


async def test_a_record_that_is_more_than_an_entry_holds_is_told_as_done_and_not_shown(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made(house, **NEW)
    append = house.log.append

    async def too_large(event: AuditEvent, **given: Any) -> Any:
        if event.kind is Kind.SERVED and event.records:
            raise EventRefused("a record's part would be larger")
        return await append(event, **given)

    monkeypatch.setattr(house.log, "append", too_large)
    again = await made(house, **NEW)
    assert (again.status, again.body) == (201, b"")
    assert "etag" not in dict(again.headers)
    entry = (await house.entries())[-1]
    assert (entry["upstream"]["replay"], entry["parts"]) == (1, [])


async def test_a_fact_that_a_deleted_record_had_not_in_its_entry_is_not_taken_for_absent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one", owner=["no fact"])
    await made(house, Verb.DELETE, "a")
    asked: list[Facts] = []
    decide = PreparedByHand.decide

    def noted(prepared: PreparedByHand, facts: Facts) -> Decision:
        asked.append(facts)
        return decide(prepared, facts)

    monkeypatch.setattr(PreparedByHand, "decide", noted)
    await made(house, Verb.DELETE, "a")
    assert (asked[0].values, asked[0].unfit) == ({"name": "one"}, {"owner", "secret"})


async def test_a_repetition_shows_no_field_that_was_closed_since(house: House) -> None:
    await made(house, **NEW)
    house.policy.open_fields = frozenset({"/owner"})
    assert (await made(house, **NEW)).body == b'{"owner":"me"}'


@pytest.mark.parametrize("waits", ["located", "views"])
async def test_a_revocation_while_a_repetition_is_on_its_way_is_obeyed(
    house: House, monkeypatch: pytest.MonkeyPatch, waits: str
) -> None:
    await made(house, **NEW)
    look, views = house.shelf.look, house.lens.views

    async def revoke() -> None:
        if "thing:create" not in house.policy.closed:
            house.policy.closed.add("thing:create")
            await house.log.append(AuditEvent(Kind.CHANGE, "req_r", {}, "key:revoke"), raises_fence=True)

    async def looked(*given: Any) -> Any:
        found = await look(*given)
        await revoke()
        return found

    async def viewed(*given: Any) -> Any:
        found = await views(*given)
        await revoke()
        return found

    monkeypatch.setattr(house.shelf, "look", looked if waits == "located" else look)
    monkeypatch.setattr(house.lens, "views", viewed if waits == "views" else views)
    assert (await refused(house, **NEW)).code is Code.DENIED
    assert [e["kind"] for e in await house.entries()] == ["intent", "outcome", "change", "denied"]


async def test_a_revocation_while_a_refusal_is_told_again_is_obeyed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.answers = 422
    await refused(house, **NEW)
    floors = house.gate.facts.floors

    async def revoked(*given: Any) -> Any:
        house.policy.closed.add("thing:create")
        await house.log.append(AuditEvent(Kind.CHANGE, "req_r", {}, "key:revoke"), raises_fence=True)
        return await floors(*given)

    monkeypatch.setattr(house.gate.facts, "floors", revoked)
    assert (await refused(house, **NEW)).code is Code.DENIED
