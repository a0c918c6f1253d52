"""What the lens lets a caller change: what he was shown and sends back changes nothing, the rest needs the write view."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from gateway.fields import FieldLens
from gateway.fields.tables import BINDING, DATA_KEY, SUBJECT
from gateway.keys import Keyring
from gateway.words.draft import Draft
from gateway.words.errors import Code, Refused
from gateway.words.record import ClosedRecord
from gateway.words.resource import Idempotency, IdForm, Mask, UpdateMode
from tests.fields.conftest import (
    CUSTOMER,
    MASKED,
    MATERIAL,
    MESSAGE,
    NOW,
    THREAD,
    TOKEN,
    WITHHELD,
    World,
    asked,
    decision,
    plain,
    principal,
    put,
    replace,
)

MERGE, REPLACE = UpdateMode.MERGE, UpdateMode.REPLACE


async def refusal(work: Any) -> tuple[Code, object]:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value.code, caught.value.params.get("field")


async def rows(world: World) -> tuple[int, ...]:
    def count(connection: Any) -> tuple[int, ...]:
        return tuple(
            connection.execute(select(func.count()).select_from(t)).scalar_one()
            for t in (SUBJECT, DATA_KEY, BINDING)
        )

    return await world.store.read(count)


# ── create ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_create_is_pending_until_it_is_bound(world: World) -> None:
    what = asked(CUSTOMER)
    change = await world.lens.seal_create(
        what, Draft({"name": "张伟", "unit": "n"}), decision(CUSTOMER), principal()
    )
    assert change.set == ("/name", "/unit")
    assert change.digests == {"/name": hashlib.sha256(str(change.document["name"]).encode()).hexdigest()}
    assert change.document["unit"] == "n"
    assert change.pending is not None
    record = ClosedRecord(what.ref.record_of("c1"), {"id": "c1", **change.document})
    assert "name" not in (await world.view(CUSTOMER, record)).document
    (waiting,) = await world.lens.kept(NOW + timedelta(seconds=1), None)
    assert (waiting.seal, waiting.marker) == (change.pending, change.marker)
    assert await world.lens.bind(change, record.ref) is None
    assert await world.lens.bind(change, record.ref) is None
    assert await world.lens.kept(NOW + timedelta(seconds=1), None) == []
    assert (await world.view(CUSTOMER, record)).document["name"] == "张伟"


async def test_a_marker_is_random_or_the_envelope_that_is_searched_for(world: World) -> None:
    change = [
        await world.lens.seal_create(asked(CUSTOMER), Draft({"name": "a b"}), decision(CUSTOMER), principal())
        for _ in range(2)
    ]
    assert len({c.marker for c in change}) == 2
    assert all(c.marker and c.marker.startswith("gh-") and len(c.marker) == 35 for c in change)
    thread = await world.thread(await world.customer())
    what = asked(MESSAGE, None, thread.ref.record)
    made = await world.lens.seal_create(what, Draft({"body": "x"}), decision(MESSAGE), principal())
    assert made.marker == made.document["body"]
    assert (await refusal(world.lens.seal_create(what, Draft({}), decision(MESSAGE), principal())))[
        0
    ] is Code.VALUE_REFUSED
    never = replace(CUSTOMER, idempotency=Idempotency.NONE)
    made = await world.lens.seal_create(asked(never), Draft({"name": "a b"}), decision(never), principal())
    assert made.marker is None


async def test_a_key_of_ours_goes_into_the_field_that_is_searched(world: World) -> None:
    mark = plain("/home/mark", server_set=True)
    keyed = replace(
        CUSTOMER, fields=(*CUSTOMER.fields, mark), idempotency=Idempotency.FIELD, lookup_field="/home/mark"
    )
    sent = {"name": "a b", "home": {"country": "CN"}}
    made = await world.lens.seal_create(asked(keyed), Draft(sent), decision(keyed), principal())
    assert made.document["home"] == {"country": "CN", "mark": made.marker}
    assert made.marker is not None
    assert made.marker.startswith("gh-")
    assert made.set == ("/name", "/home/country")
    theirs = Draft({"name": "a b", "home": {"mark": "gh-theirs"}})
    assert await refusal(world.lens.seal_create(asked(keyed), theirs, decision(keyed), principal())) == (
        Code.FIELD_NOT_WRITABLE,
        "/home/mark",
    )


@pytest.mark.parametrize("mode", UpdateMode)
async def test_a_field_takes_only_the_names_that_its_value_has(world: World, mode: UpdateMode) -> None:
    spelled = replace(
        CUSTOMER,
        fields=(
            *(spec for spec in CUSTOMER.fields if spec.pattern not in ("/unit", "/tags")),
            plain("/unit", values=("north", "south")),
            plain("/tags", form=IdForm.NUMBER),
        ),
    )
    before = await world.customer(unit="a name from before", tags="05")
    for member, wrong in (
        ("unit", ["north ", "NORTH", "", 1, ["north"]]),
        ("tags", ["04", " 4", "li.wei", "", 4]),
    ):
        for value in wrong:
            whole = (await world.view(spelled, before)).document if mode is REPLACE else {}
            if value == whole.get(member):
                continue
            work = world.update(spelled, before, {**whole, member: value}, mode=mode)
            assert await refusal(work) == (Code.VALUE_REFUSED, f"/{member}"), value
            made = world.lens.seal_create(
                asked(spelled), Draft({member: value}), decision(spelled), principal()
            )
            assert await refusal(made) == (Code.VALUE_REFUSED, f"/{member}"), value
    for member, right in (("unit", "south"), ("tags", "4")):
        assert (await world.update(spelled, before, {member: right}, mode=MERGE)).set == (f"/{member}",)
    back = (await world.view(spelled, before)).document
    assert (await world.update(spelled, before, back, mode=mode)).same


async def test_a_dropped_create_leaves_nothing(world: World) -> None:
    change = await world.lens.seal_create(
        asked(CUSTOMER), Draft({"name": "a b"}), decision(CUSTOMER), principal()
    )
    await world.lens.drop(change)
    assert await rows(world) == (0, 0, 0)


async def test_a_dropped_thread_leaves_its_customer_as_he_was(world: World) -> None:
    customer = await world.customer()
    draft = Draft({"customer_id": "c1", "title": "x"})
    change = await world.lens.seal_create(asked(THREAD), draft, decision(THREAD), principal())
    await world.lens.drop(change)
    assert (await world.view(CUSTOMER, customer)).document["name"] == "张伟"
    assert (await rows(world))[2] == 1


async def test_a_bound_seal_is_not_dropped(world: World) -> None:
    change = await world.lens.seal_create(
        asked(CUSTOMER), Draft({"name": "a b"}), decision(CUSTOMER), principal()
    )
    await world.lens.bind(change, asked(CUSTOMER).ref.record_of("c7"))
    await world.lens.drop(change)
    assert (await rows(world))[2] == 1


@pytest.mark.parametrize(
    ("sent", "code", "field"),
    [
        ({"nickname": 1}, Code.FIELD_UNKNOWN, "/nickname"),
        ({"home": {"door": 1}}, Code.FIELD_UNKNOWN, "/home/door"),
        ({"id": "c1"}, Code.FIELD_NOT_WRITABLE, "/id"),
        ({"phone": "13812345678"}, Code.FIELD_NOT_WRITABLE, "/phone"),
        ({"name": "张*"}, Code.MASK_SUBMITTED, "/name"),
        ({"name": "tok_" + "A" * 22}, Code.MASK_SUBMITTED, "/name"),
        ({"name": "gh1:abc"}, Code.VALUE_REFUSED, "/name"),
        ({"unit": "n", "tags": [{"a": "gh1:"}]}, Code.VALUE_REFUSED, "/tags"),
        ({"tags": {"gh1:": 1}}, Code.VALUE_REFUSED, "/tags"),
        ({"phones": ["1", "gh1:"]}, Code.VALUE_REFUSED, "/phones/*"),
        ({"home": "gh1:"}, Code.VALUE_REFUSED, "/home"),
        ({"home": [["gh1:"]]}, Code.VALUE_REFUSED, "/home/*"),
        ({"home": {"country": "CN", "door": ["gh1:"]}}, Code.VALUE_REFUSED, "/home/door"),
        ({"home": {"gh1:": 1}}, Code.VALUE_REFUSED, "/home/*"),
        ({"gh1:13812345678": 1}, Code.VALUE_REFUSED, "/*"),
        ({"name": "x" * 48_001}, Code.VALUE_REFUSED, "/name"),
        ({"name": "\ud800"}, Code.VALUE_REFUSED, "/name"),
        ({"home": "x"}, Code.VALUE_REFUSED, "/home"),
        ({"home": [1]}, Code.VALUE_REFUSED, "/home"),
        ({"self": "https://x"}, Code.FIELD_NOT_WRITABLE, "/self"),
        ([], Code.VALUE_REFUSED, None),
        ("x", Code.VALUE_REFUSED, None),
    ],
)
async def test_what_a_create_may_not_hold(world: World, sent: Any, code: Code, field: str | None) -> None:
    may = decision(CUSTOMER, write=["/name", "/tags", "/home/address", "/self"])
    assert await refusal(world.lens.seal_create(asked(CUSTOMER), Draft(sent), may, principal())) == (
        code,
        field,
    )
    assert await rows(world) == (0, 0, 0)


@pytest.mark.parametrize("customer", ["c99", None, 7, "", {}])
async def test_a_thread_needs_a_customer_that_is_bound(world: World, customer: Any) -> None:
    draft = Draft({"customer_id": customer, "title": "x"})
    work = world.lens.seal_create(asked(THREAD), draft, decision(THREAD), principal())
    assert await refusal(work) == (Code.VALUE_REFUSED, "/customer_id")


async def test_a_draft_and_its_parent_must_name_one_subject(world: World) -> None:
    one, other = await world.customer(), await world.customer()
    mine = await world.thread(one)
    spec = replace(THREAD, name="part", parent="thread")
    for customer, fine in ((one, True), (other, False)):
        draft = Draft({"customer_id": customer.ref.record, "title": "x"})
        work = world.lens.seal_create(asked(spec, None, mine.ref.record), draft, decision(spec), principal())
        if fine:
            assert (await work).subject is not None
        else:
            assert (await refusal(work))[0] is Code.VALUE_REFUSED


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ([{"id": "m1", "author": "a"}, {"id": "m2", "body": "gh1:"}], "/messages/*/body"),
        ({"gh1:13812345678": {"id": "m1"}}, "/messages/*"),
        ([{"id": "m1", "gh1:": 1}], "/messages/*/*"),
        (["gh1:"], "/messages/*"),
    ],
)
async def test_an_envelope_within_elements_names_their_field(world: World, sent: Any, field: str) -> None:
    await world.customer()
    draft = Draft({"customer_id": "c1", "messages": sent})
    work = world.lens.seal_create(asked(THREAD), draft, decision(THREAD), principal())
    assert await refusal(work) == (Code.VALUE_REFUSED, field)


@pytest.mark.parametrize("named", ["", [], {}, ["c1"], True, 1.5])
async def test_what_names_nobody_in_a_names_place_is_refused_whatever_the_parent_says(
    world: World, named: Any
) -> None:
    mine = await world.thread(await world.customer())
    spec = replace(THREAD, name="part", parent="thread")
    before = await rows(world)
    for sent, fine in ({"customer_id": named}, False), ({}, True), ({"customer_id": None}, True):
        draft = Draft({"title": "x", **sent})
        work = world.lens.seal_create(asked(spec, None, mine.ref.record), draft, decision(spec), principal())
        if fine:
            assert (await work).subject is not None
        else:
            assert await refusal(work) == (Code.VALUE_REFUSED, "/customer_id")
            assert await rows(world) == before


# ── update ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_put_of_what_he_was_shown_changes_nothing(world: World) -> None:
    before = await world.customer(email="a@b.example", tags=["x"], vip=False, phones=["1"])
    for read in ({}, {"/name": MASKED, "/phone": TOKEN, "/email": WITHHELD}, {"/phones/*": MASKED}):
        view = await world.view(CUSTOMER, before, read)
        for mode in (REPLACE, MERGE):
            change = await world.update(CUSTOMER, before, view.document, read, mode=mode)
            assert change.same
            assert change.set == ()
            assert change.document == (before.fields if mode is REPLACE else {})


async def test_only_what_changes_is_sealed_anew(world: World) -> None:
    before = await world.customer(email="a@b.example")
    sent = {"name": "李娜", "phone": "13812345678", "email": "a@b.example"}
    change = await world.update(CUSTOMER, before, sent)
    assert change.set == ("/name",)
    assert change.document["phone"] == before.fields["phone"]
    assert change.document["name"] != before.fields["name"]
    assert set(change.digests) == {"/name"}
    assert not change.same
    after = replace(before, fields=change.document)
    assert (await world.view(CUSTOMER, after)).document == {"id": "c1", **sent}


async def test_a_merge_holds_only_what_changes(world: World) -> None:
    before = await world.customer(email="a@b.example", home={"address": "x", "country": "CN"}, unit="n")
    change = await world.update(
        CUSTOMER, before, {"unit": "s", "email": None, "home": {"country": "DE"}}, mode=MERGE
    )
    assert change.document == {"email": None, "unit": "s", "home": {"country": "DE"}}
    assert set(change.set) == {"/email", "/unit", "/home/country"}


async def test_a_put_keeps_what_he_cannot_see(world: World) -> None:
    before = put(await world.customer(email="a@b.example", home={"address": "x", "country": "CN"}), stray=1)
    read = {"/name": WITHHELD, "/phone": MASKED, "/email": TOKEN, "/home/address": WITHHELD}
    change = await world.update(CUSTOMER, before, {"unit": "s", "home": {"country": "DE"}}, read)
    assert change.document == {
        **before.fields,
        "unit": "s",
        "home": {**before.fields["home"], "country": "DE"},
    }  # type: ignore[dict-item]  # a dict


@pytest.mark.parametrize("mode", UpdateMode)
@pytest.mark.parametrize(
    ("read", "write", "sent", "code", "field"),
    [
        ({}, ["/unit"], {"name": "李娜"}, Code.FIELD_NOT_WRITABLE, "/name"),
        ({}, ["/unit"], {"name": None}, Code.FIELD_NOT_WRITABLE, "/name"),
        ({"/name": WITHHELD}, None, {"name": None}, Code.FIELD_NOT_WRITABLE, "/name"),
        ({"/name": MASKED}, None, {"name": None}, Code.FIELD_NOT_WRITABLE, "/name"),
        ({"/name": MASKED}, None, {"name": "李*"}, Code.MASK_SUBMITTED, "/name"),
        ({}, None, {"name": "李*"}, Code.MASK_SUBMITTED, "/name"),
        ({}, None, {"phone": "139****0000"}, Code.MASK_SUBMITTED, "/phone"),
        ({"/phone": TOKEN}, None, {"phone": "tok_" + "A" * 22}, Code.MASK_SUBMITTED, "/phone"),
        ({"/unit": MASKED}, None, {"unit": "****"}, Code.MASK_SUBMITTED, "/unit"),
        ({}, None, {"unit": "tok_" + "A" * 22}, Code.MASK_SUBMITTED, "/unit"),
        ({}, None, {"tags": ["a", "tok_" + "A" * 22]}, Code.MASK_SUBMITTED, "/tags"),
        ({}, None, {"phones": ["138****1234"]}, Code.MASK_SUBMITTED, "/phones/*"),
        ({}, None, {"phones": [{"home": "tok_" + "A" * 22}]}, Code.MASK_SUBMITTED, "/phones/*"),
        ({}, None, {"id": "c2"}, Code.FIELD_NOT_WRITABLE, "/id"),
        ({}, None, {"id": 1}, Code.FIELD_NOT_WRITABLE, "/id"),
        ({}, None, {"nick": 1}, Code.FIELD_UNKNOWN, "/nick"),
        ({}, None, {"stray": 1}, Code.FIELD_UNKNOWN, "/stray"),
        ({}, None, {"name": "gh1:x"}, Code.VALUE_REFUSED, "/name"),
        ({}, None, {"home": [1]}, Code.VALUE_REFUSED, "/home"),
        ({"/home/address": WITHHELD}, None, {"home": None}, Code.FIELD_NOT_WRITABLE, "/home/address"),
        ({}, ["/home/country"], {"home": None}, Code.FIELD_NOT_WRITABLE, "/home/address"),
    ],
)
async def test_what_an_update_may_not_do(
    world: World, mode: UpdateMode, read: Any, write: Any, sent: Any, code: Code, field: str | None
) -> None:
    before = put(await world.customer(home={"address": "x", "country": "CN"}), stray=1)
    whole = (await world.view(CUSTOMER, before, read)).document if mode is REPLACE else {}
    assert await refusal(world.update(CUSTOMER, before, {**whole, **sent}, read, write, mode)) == (
        code,
        field,
    )


async def test_stars_are_a_value_where_nothing_is_ever_masked(world: World) -> None:
    rated = replace(CUSTOMER, fields=(*CUSTOMER.fields, plain("/desk", mask=Mask.PHONE)))
    before = await world.customer()
    change = await world.update(rated, before, {"unit": "***", "tags": ["138****1234"]}, mode=MERGE)
    assert change.set == ("/unit", "/tags")
    work = world.update(rated, before, {"desk": "138****1234"}, mode=MERGE)
    assert await refusal(work) == (Code.MASK_SUBMITTED, "/desk")


async def test_an_envelope_of_his_own_record_is_refused_too(world: World) -> None:
    before = await world.customer()
    work = world.update(CUSTOMER, before, {"name": before.fields["name"]}, mode=MERGE)
    assert (await refusal(work))[0] is Code.VALUE_REFUSED


async def test_leaving_out_in_a_put_needs_sight_and_the_right_to_write(world: World) -> None:
    before = await world.customer()
    gone = await world.update(CUSTOMER, before, {"phone": "13812345678"})
    assert "name" not in gone.document
    assert gone.set == ("/name",)
    work = world.update(CUSTOMER, before, {"phone": "13812345678"}, write=["/phone"])
    assert await refusal(work) == (Code.FIELD_NOT_WRITABLE, "/name")


async def test_a_field_may_be_written_blind(world: World) -> None:
    before = await world.customer()
    change = await world.update(CUSTOMER, before, {"phone": "13900001111"}, WITHHELD, ["/phone"], MERGE)
    assert change.set == ("/phone",)
    after = replace(before, fields={**before.fields, **change.document})
    assert (await world.view(CUSTOMER, after)).document["phone"] == "13900001111"


@pytest.mark.parametrize("mode", UpdateMode)
@pytest.mark.parametrize("customer", ["c2", None, 1, {"id": "c1"}])
async def test_a_record_does_not_change_its_subject(world: World, mode: UpdateMode, customer: Any) -> None:
    mine = await world.customer()
    await world.customer()
    thread = await world.thread(mine)
    sent = {"customer_id": customer, "title": "a complaint"}
    assert (await refusal(world.update(THREAD, thread, sent, mode=mode)))[0] is Code.SUBJECT_CHANGED
    if mode is REPLACE:
        assert (await refusal(world.update(THREAD, thread, {"title": "a complaint"})))[
            0
        ] is Code.SUBJECT_CHANGED


async def test_a_hidden_subject_is_not_guessed(world: World) -> None:
    thread = await world.thread(await world.customer())
    for guess in ("c1", "c2"):
        work = world.update(THREAD, thread, {"customer_id": guess}, {"/customer_id": WITHHELD}, mode=MERGE)
        assert (await refusal(work))[0] is Code.SUBJECT_CHANGED


async def test_types_are_part_of_a_value(world: World) -> None:
    before = await world.customer(unit=1, vip=True)
    for sent in ({"unit": True}, {"unit": 1.0}, {"unit": "1"}, {"vip": 1}):
        assert not (await world.update(CUSTOMER, before, sent, mode=MERGE)).same
    assert (await world.update(CUSTOMER, before, {"unit": 1, "vip": True}, mode=MERGE)).same


async def test_an_unbound_or_mismatched_record_is_not_written(world: World) -> None:
    mine, other = await world.customer(), await world.customer()
    stray = replace(mine, ref=replace(mine.ref, record="c99"))
    thread = put(await world.thread(mine), customer_id=other.ref.record)
    assert (await refusal(world.update(CUSTOMER, stray, {"unit": "n"}, mode=MERGE)))[
        0
    ] is Code.RECORD_WITHHELD  # it holds another record's ciphertexts: such a one is not adopted
    assert (await refusal(world.update(THREAD, thread, {"title": "x"}, mode=MERGE)))[
        0
    ] is Code.RECORD_WITHHELD


async def test_a_put_seals_on_the_way_what_is_still_in_clear(world: World) -> None:
    before = put(await world.customer(), note="calls on Mondays", phone="13812345678")
    view = await world.view(CUSTOMER, before)
    assert (await world.update(CUSTOMER, before, view.document)).same
    change = await world.update(CUSTOMER, before, {**view.document, "unit": "n"})
    assert set(change.set) == {"/note", "/phone", "/unit"}
    assert all(str(change.document[name]).startswith("gh1:") for name in ("name", "note", "phone"))
    after = replace(before, fields=change.document)
    assert (await world.view(CUSTOMER, after)).document["phone"] == "13812345678"


async def test_a_patch_seals_what_may_still_come_in_clear_and_not_what_somebody_planted(world: World) -> None:
    before = put(await world.customer(), note="calls on Mondays", phone="13812345678")
    change = await world.update(CUSTOMER, before, {"unit": "n"}, mode=MERGE)
    assert (change.document.keys(), set(change.set)) == ({"unit", "note"}, {"/unit", "/note"})
    assert str(change.document["note"]).startswith("gh1:")
    world.lens = FieldLens(world.store, Keyring(MATERIAL), clock=lambda: NOW + timedelta(days=1))
    change = await world.update(CUSTOMER, before, {"unit": "n"}, mode=MERGE)
    assert (change.document, change.set) == ({"unit": "n"}, ("/unit",))


STORED_LINKS = {
    "self": "http://crm/c/1",
    "website": "https://their-shop.example/",
    "papers": ["http://crm/papers/2", "https://elsewhere.example/3", None],
}


async def test_a_link_goes_out_as_the_upstream_says_it_shown_or_not(world: World) -> None:
    before = put(await world.customer(), **STORED_LINKS, home={"map": "https://maps.example/7"})
    view = await world.view(CUSTOMER, before)
    assert view.document["self"] == "/crm/c/1"
    assert view.document["papers"] == ["/crm/papers/2", None, None]
    assert not {"website", "home"} & view.document.keys()
    for sent in ({**view.document, "unit": "n"}, {"id": "c1", "unit": "n"}):
        change = await world.update(CUSTOMER, before, sent, write=["/unit", "/name", "/phone"])
        assert change.document | STORED_LINKS == change.document
        assert change.document["home"] == {"map": "https://maps.example/7"}
        assert "/unit" in change.set
        assert not [pointer for pointer in change.set if pointer.split("/")[1] in {*STORED_LINKS, "home"}]
    assert (await world.update(CUSTOMER, before, view.document)).same


@pytest.mark.parametrize("sent", ["http://crm/c/1", "/crm/c/2", "https://x.example/", 7, ["/crm/c/1"]])
@pytest.mark.parametrize("name", ["self", "website"])
async def test_a_link_that_is_changed_is_refused(world: World, name: str, sent: Any) -> None:
    before = put(await world.customer(), **STORED_LINKS)
    for mode in UpdateMode:
        doing = world.update(CUSTOMER, before, {name: sent}, mode=mode)
        assert await refusal(doing) == (Code.FIELD_NOT_WRITABLE, "/" + name)


async def test_a_broken_field_is_kept_by_a_put_and_healed_by_a_new_value(world: World) -> None:
    before = await world.customer()
    before = put(before, phone=before.fields["name"])
    kept = await world.update(CUSTOMER, before, {"name": "张伟", "unit": "n"})
    assert kept.document["phone"] == before.fields["name"]
    healed = await world.update(CUSTOMER, before, {"name": "张伟", "phone": "13900001111"})
    after = replace(before, fields=healed.document)
    assert (await world.view(CUSTOMER, after)).document["phone"] == "13900001111"


# ── arrays ───────────────────────────────────────────────────────────────────────────────────────────────────────────

M1, M2 = {"id": "m1", "body": "one", "author": "a"}, {"id": "m2", "body": "two", "author": "b"}


async def test_one_element_changes_alone(world: World) -> None:
    before = await world.thread(await world.customer(), messages=[M1, M2])
    for mode in UpdateMode:
        sent = {"customer_id": "c1", "title": "a complaint", "messages": [M1, {**M2, "body": "three"}]}
        change = await world.update(THREAD, before, sent, mode=mode)
        assert change.set == ("/messages/m2/body",)
        stored, new = before.fields["messages"], change.document["messages"]
        assert isinstance(stored, list)
        assert isinstance(new, list)
        assert new[0] == stored[0]
        assert new[1] != stored[1]
        after = replace(before, fields={**before.fields, "messages": new})
        assert (await world.view(THREAD, after)).document["messages"] == sent["messages"]


async def test_elements_come_with_an_id_and_the_right_to_write(world: World) -> None:
    before = await world.thread(await world.customer(), messages=[M1])
    more = [M1, M2]
    change = await world.update(THREAD, before, {"messages": more}, mode=MERGE)
    after = replace(before, fields={**before.fields, **change.document})
    assert (await world.view(THREAD, after)).document["messages"] == more
    assert change.document["messages"][0] == before.fields["messages"][0]  # type: ignore[index,call-overload]  # lists
    work = world.update(THREAD, before, {"messages": more}, write=["/title", "/messages/*/id"], mode=MERGE)
    assert await refusal(work) == (Code.FIELD_NOT_WRITABLE, "/messages/*/body")
    for bad in ({"body": "no id"}, {"id": "m1", "body": "twice"}, {"id": ["m3"], "body": "x"}, {"id": None}):
        assert (await refusal(world.update(THREAD, before, {"messages": [M1, bad]}, mode=MERGE)))[
            0
        ] is Code.VALUE_REFUSED


async def test_elements_go_and_move_only_for_whom_may_see_and_write_them(world: World) -> None:
    before = await world.thread(await world.customer(), messages=[M1, M2])
    gone = await world.update(THREAD, before, {"messages": [M2]}, mode=MERGE)
    assert gone.document["messages"] == [before.fields["messages"][1]]  # type: ignore[index,call-overload]  # a list
    moved = await world.update(THREAD, before, {"messages": [M2, M1]}, mode=MERGE)
    assert moved.set == ("/messages",)
    read = {"/messages/*/body": MASKED}
    seen = [{**M2, "body": "***"}]
    assert (await refusal(world.update(THREAD, before, {"messages": seen}, read, mode=MERGE)))[
        0
    ] is Code.FIELD_NOT_WRITABLE
    for sent in ([M2], [M2, M1], []):
        work = world.update(THREAD, before, {"messages": sent}, write=["/messages/*/author"], mode=MERGE)
        assert (await refusal(work))[0] is Code.FIELD_NOT_WRITABLE


async def test_an_element_that_he_cannot_see_stays_in_its_place(world: World) -> None:
    before = await world.thread(await world.customer(), messages=[M1, M2])
    stored = before.fields["messages"]
    assert isinstance(stored, list)
    bare = [{"body": stored[0]["body"]}, stored[1]]  # type: ignore[index,call-overload]  # dicts
    before = put(before, messages=bare)
    view = await world.view(THREAD, before)
    assert view.document["messages"] == [M2]
    change = await world.update(THREAD, before, {"messages": [{**M2, "author": "c"}]}, mode=MERGE)
    assert change.document["messages"] == [bare[0], {**stored[1], "author": "c"}]  # type: ignore[dict-item]  # a dict
    assert (await refusal(world.update(THREAD, before, {"messages": []}, mode=MERGE)))[
        0
    ] is Code.FIELD_NOT_WRITABLE


async def test_elements_without_ids_are_known_by_their_index(world: World) -> None:
    steps = [{"label": "call", "done": True}, {"label": "write", "done": False}]
    before = await world.thread(await world.customer(), steps=steps)
    read = {"/steps/*/label": WITHHELD}
    view = await world.view(THREAD, before, read)
    assert view.document["steps"] == [{"done": True}, {"done": False}]
    change = await world.update(THREAD, before, {"steps": [{"done": True}, {"done": True}]}, read, mode=MERGE)
    assert change.document["steps"] == [steps[0], {"label": "write", "done": True}]
    assert change.set == ("/steps/1/done",)


async def test_nothing_is_added_beside_an_element_that_he_cannot_see(world: World) -> None:
    before = await world.thread(await world.customer(), messages=[M1])
    before = put(before, messages=[None, *before.fields["messages"]])  # type: ignore[misc]  # a list
    assert (await world.view(THREAD, before)).document["messages"] == [M1]
    for sent in ([M1, M2], [M2]):  # the odd one would silently be lost
        work = world.update(THREAD, before, {"messages": sent}, mode=MERGE)
        assert await refusal(work) == (Code.FIELD_NOT_WRITABLE, "/messages/*")
