"""Below a record that he may not read there is nothing for him, as if that record were not there."""

from typing import Any

import pytest

from gateway.text import Language
from gateway.text.problems import problem
from gateway.words.access import ResourceRef
from gateway.words.decision import NOTHING_SHOWN, Decision, FieldView
from gateway.words.errors import Code, Denied, GatehouseError, Refused, Unaddressable
from gateway.words.record import ClosedRecord, SealedChange
from gateway.words.resource import ResourceSpec, Verb
from tests.gate.house import House, call


@pytest.mark.parametrize(
    ("verb", "record", "body"),
    [
        (Verb.LIST, None, None),
        (Verb.CREATE, None, {"name": "new"}),
        (Verb.READ, "a", None),
        (Verb.UPDATE, "a", {"name": "two"}),
        (Verb.DELETE, "a", None),
    ],
)
async def test_below_a_hidden_record_is_answered_as_below_one_that_is_not_there(
    house: House, verb: Verb, record: str | None, body: object
) -> None:
    house.shelf.put("a", name="below")
    house.shelf.put("hidden", name="one", secret=True)
    answers = []
    for above in ("hidden", "absent"):
        with pytest.raises(GatehouseError) as refusal:
            await house.gate.answer(call(verb, record, body=body, below=above))
        assert refusal.value.entry is not None
        told = problem(refusal.value, Language.ENGLISH, "req_same")
        answers.append((told.status, told.body, sorted(name for name, _ in told.headers)))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert house.shelf.forwarded == []
    assert house.lens.pending == set()


async def test_below_a_record_that_he_may_read_he_lists_and_creates(house: House) -> None:
    house.shelf.put("seen", name="one")
    house.shelf.put("a", name="below")
    assert (await house.gate.answer(call(Verb.READ, "a", below="seen"))).status == 200
    assert (await house.gate.answer(call(Verb.LIST, below="seen"))).status == 200
    assert (await house.gate.answer(call(Verb.CREATE, body={"name": "new"}, below="seen"))).status == 201


async def test_a_create_that_its_own_facts_deny_is_denied_before_the_record_above_is_asked_for(
    house: House,
) -> None:
    for above in ("seen", "absent"):
        house.shelf.put("seen", name="one")
        with pytest.raises(Denied) as refusal:
            await house.gate.answer(call(Verb.CREATE, body={"secret": True}, below=above))
        assert refusal.value.code is Code.DENIED


async def test_a_record_about_a_hidden_one_is_refused_as_one_about_what_is_not_there(house: House) -> None:
    house.shelf.put("seen", name="one")
    house.shelf.put("hidden", name="one", secret=True)
    answers = []
    for owner in ("hidden", "absent"):
        with pytest.raises(GatehouseError) as refusal:
            await house.gate.answer(call(Verb.CREATE, body={"owner": owner}, below="seen"))
        assert refusal.value.entry is not None
        told = problem(refusal.value, Language.ENGLISH, "req_same")
        answers.append((told.status, told.body, sorted(name for name, _ in told.headers)))
    assert answers[0] == answers[1]
    assert answers[0][0] == 422
    assert house.shelf.forwarded == []
    assert house.lens.pending == set()
    assert (await house.gate.answer(call(Verb.CREATE, body={"owner": "seen"}, below="seen"))).status == 201


async def test_a_record_about_what_is_no_id_is_refused_as_one_about_what_is_not_there(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`a/b` has not its resource's form, and is asked for nowhere; `;` has, and fits no path."""
    look = house.shelf.look

    async def looked(ref: ResourceRef, resource: ResourceSpec) -> ClosedRecord | None:
        if ref.record == ";":
            raise Unaddressable
        return await look(ref, resource)

    monkeypatch.setattr(house.shelf, "look", looked)
    for name in ("seen", "a/b", ""):
        house.shelf.put(name, name="one")
    said, written = [], []
    for owner in ("absent", "a/b", "", ";"):
        with pytest.raises(GatehouseError) as refusal:
            await house.gate.answer(call(Verb.CREATE, body={"owner": owner}, below="seen"))
        told = problem(refusal.value, Language.ENGLISH, "req_same")
        said.append((told.status, told.body, refusal.value.tick_seconds))
        entry = await house.last()
        of_the_draft = entry["decision"].pop("facts")
        assert of_the_draft is not None
        written.append(
            {name: entry[name] for name in entry if name not in ("seq", "time", "prev", "records")}
        )
    assert (said[0][0], said[1:], written[1:]) == (422, said[:1] * 3, written[:1] * 3)
    assert (house.shelf.forwarded, house.lens.pending) == ([], set())


async def test_what_else_is_wrong_with_a_draft_says_nothing_of_a_hidden_record(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object) -> None:
        raise Refused(Code.FIELD_UNKNOWN, field="/bogus")

    monkeypatch.setattr(house.lens, "seal_create", refused)
    for name in ("seen", "above"):
        house.shelf.put(name, name="one")
    house.shelf.put("hidden", name="one", secret=True)
    told = {}
    for owner in ("hidden", "absent", "seen"):
        with pytest.raises(GatehouseError) as refusal:
            await house.gate.answer(call(Verb.CREATE, body={"owner": owner, "bogus": 1}, below="above"))
        told[owner] = (refusal.value.code, refusal.value.params["field"])
    assert told["hidden"] == told["absent"] == (Code.VALUE_REFUSED, "/owner")
    assert told["seen"] == (Code.FIELD_UNKNOWN, "/bogus")


@pytest.mark.parametrize(("verb", "told"), [(Verb.CREATE, {"location"}), (Verb.UPDATE, set())])
async def test_who_may_not_read_what_he_changes_is_told_no_version_and_only_where_his_own_is(
    house: House, verb: Verb, told: set[str]
) -> None:
    house.shelf.put("a", name="one")
    house.shelf.headers = (("etag", '"7"'), ("location", "/shelf/new"))
    house.policy.unseen = {"thing:read"}
    reply = await house.gate.answer(call(verb, "a" if verb is Verb.UPDATE else None, body={"name": "two"}))
    assert reply.body == b""
    assert {name for name, _ in reply.headers} & {"etag", "location"} == told


@pytest.mark.parametrize("may_read", [True, False])
async def test_who_may_not_read_what_he_changes_changes_it_blindly(
    house: House, monkeypatch: pytest.MonkeyPatch, may_read: bool
) -> None:
    seen: list[FieldView] = []
    seal_update = house.lens.seal_update

    async def sealed(what: Any, draft: Any, before: Any, decision: Decision, principal: Any) -> SealedChange:
        seen.append(decision.read)
        return await seal_update(what, draft, before, decision, principal)

    monkeypatch.setattr(house.lens, "seal_update", sealed)
    house.shelf.put("a", name="one")
    house.policy.unseen = set() if may_read else {"thing:read"}
    await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "two"}))
    assert [view == NOTHING_SHOWN for view in seen] == [not may_read]


async def test_who_reads_a_record_sets_no_plain_field_that_he_does_not_see(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    settable: list[frozenset[str]] = []
    seal_update = house.lens.seal_update

    async def sealed(what: Any, draft: Any, before: Any, decision: Decision, principal: Any) -> SealedChange:
        settable.append(decision.write)
        return await seal_update(what, draft, before, decision, principal)

    monkeypatch.setattr(house.lens, "seal_update", sealed)
    house.shelf.put("a", name="one", owner="me")
    house.policy.open_fields = frozenset({"/name"})
    await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "two"}))
    house.policy.unseen = {"thing:read"}  # blindly: he is told no version either
    await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "three"}))
    assert settable == [frozenset({"/name"}), frozenset({"/name", "/owner", "/secret"})]
