"""What the lens shows: each field as its decision says, and nothing that it cannot open in its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest

from gateway.fields import FieldLens
from gateway.fields.tokens import token
from gateway.keys import Keyring
from gateway.words.errors import Misconfigured
from gateway.words.record import ClosedRecord
from gateway.words.resource import FieldClass, FieldSpec, SubjectRule
from tests.fields.conftest import (
    CLEAR,
    CUSTOMER,
    MASKED,
    MATERIAL,
    MESSAGE,
    NOW,
    PLACE,
    THREAD,
    TOKEN,
    WITHHELD,
    World,
    kinds,
    plain,
    put,
    resource,
    sealed,
)


async def test_a_clear_field_is_opened_and_its_type_kept(world: World) -> None:
    given = {
        "name": "李娜",
        "vip": True,
        "income": 120_000.5,
        "phones": ["1", "2"],
        "home": {"address": "x", "country": "CN"},
    }
    record = await world.customer(**given)
    view = await world.view(CUSTOMER, record)
    assert view.document == {"id": "c1", "phone": "13812345678", **given}
    assert view.document["vip"] is True
    assert view.alarms == ()


async def test_what_is_sealed_leaves_nothing_readable_behind(world: World) -> None:
    record = await world.customer(vip=True, phones=["13911112222"])
    text = str(record.fields)
    for value in ("张伟", "13812345678", "13911112222", "True"):
        assert value not in text
    assert all(str(record.fields[name]).startswith("gh1:") for name in ("name", "phone", "vip", "phones"))


async def test_each_disclosure_shows_what_it_says(world: World) -> None:
    record = await world.customer(email="zhang.wei@example.com")
    view = await world.view(CUSTOMER, record, {"/name": MASKED, "/phone": TOKEN, "/email": WITHHELD})
    assert view.document["name"] == "张*"
    assert str(view.document["phone"]).startswith("tok_")
    assert "email" not in view.document
    assert dict(view.shown) == {"/id": CLEAR, "/name": MASKED, "/phone": TOKEN, "/email": WITHHELD}


async def test_a_token_joins_within_one_application_only(world: World) -> None:
    one, other = await world.customer(), await world.customer()
    views = [await world.view(CUSTOMER, r, TOKEN) for r in (one, other)]
    elsewhere = await world.view(CUSTOMER, one, TOKEN, application="app:bi")
    assert views[0].document["phone"] == views[1].document["phone"]
    assert views[0].document["phone"] != elsewhere.document["phone"]
    assert views[0].document["phone"] != views[0].document["name"]


def test_a_token_is_of_one_application_place_value_and_type() -> None:
    ring = Keyring(MATERIAL)
    made = {
        token(ring, "app:desk", CUSTOMER, "/name", "1"),
        token(ring, "app:bi", CUSTOMER, "/name", "1"),
        token(ring, "app:desk", replace(CUSTOMER, upstream="erp"), "/name", "1"),
        token(ring, "app:desk", replace(CUSTOMER, name="lead"), "/name", "1"),
        token(ring, "app:desk", CUSTOMER, "/phone", "1"),
        token(ring, "app:desk", CUSTOMER, "/name", "2"),
        token(ring, "app:desk", CUSTOMER, "/name", 1),
    }
    assert len(made) == 7
    one, other = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert token(ring, "app:desk", CUSTOMER, "/name", one) == token(
        ring, "app:desk", CUSTOMER, "/name", other
    )


async def test_a_field_that_is_withheld_is_not_opened(world: World) -> None:
    record = put(await world.customer(), phone="gh1:AAAA")
    assert kinds(await world.view(CUSTOMER, record, WITHHELD)) == []
    assert kinds(await world.view(CUSTOMER, record)) == ["envelope-malformed"]


async def test_null_stays_null_and_absent_stays_absent(world: World) -> None:
    record = await world.customer(email=None)
    assert record.fields["email"] is None
    for how in (CLEAR, MASKED, TOKEN):
        view = await world.view(CUSTOMER, record, how)
        assert view.document["email"] is None
        assert "home" not in view.document
    assert "email" not in (await world.view(CUSTOMER, record, WITHHELD)).document


async def test_an_unknown_field_is_withheld_and_reported_once(world: World) -> None:
    record = put(await world.customer(), nickname="阿伟", home={"country": "CN", "door": "7"})
    view = await world.view(CUSTOMER, record)
    assert "nickname" not in view.document
    assert view.document["home"] == {"country": "CN"}
    assert {(a.kind.value, a.pattern) for a in view.alarms} == {
        ("field-unknown", "/nickname"),
        ("field-unknown", "/home/door"),
    }
    assert "/nickname" not in view.shown
    assert kinds(await world.view(CUSTOMER, record)) == []


@pytest.mark.parametrize("name", ["13812345678", "张伟", "li@example.org", "a" * 60, "x\ny", ""])
async def test_an_unknown_name_that_may_be_a_value_is_not_said(world: World, name: str) -> None:
    view = await world.view(CUSTOMER, put(await world.customer(), **{name: 1}))
    assert [alarm.pattern for alarm in view.alarms] == ["/*"]
    assert name not in view.document


async def test_a_clear_value_where_sealed_is_withheld_and_reported(world: World) -> None:
    record = put(await world.customer(), phone="13812345678", vip=True)
    for how in (CLEAR, MASKED, WITHHELD):
        view = await world.view(CUSTOMER, record, how)
        assert "phone" not in view.document
        assert "vip" not in view.document
        assert kinds(view) == ["clear-where-sealed", "clear-where-sealed"]


async def test_until_its_day_a_clear_value_is_shown_by_the_rules_and_counted(world: World) -> None:
    counted: list[int] = []
    record = put(await world.customer(), note="calls on Mondays")
    world.lens = FieldLens(world.store, Keyring(MATERIAL), clock=lambda: NOW, adopted=counted.append)
    assert (await world.view(CUSTOMER, record)).document["note"] == "calls on Mondays"
    assert (await world.view(CUSTOMER, record, MASKED)).document["note"] == "***"
    assert counted == [1, 1]
    fields = tuple(
        replace(f, clear_until=date(2026, 11, 20)) if f.pattern == "/note" else f for f in CUSTOMER.fields
    )
    view = await world.view(replace(CUSTOMER, fields=fields), record)
    assert "note" not in view.document
    assert kinds(view) == ["clear-where-sealed"]


async def test_that_day_ends_at_midnight_utc_wherever_the_clock_is(world: World) -> None:
    record = put(await world.customer(), note="calls on Mondays")
    east = timezone(timedelta(hours=8))
    for hour, shown in ((7, True), (9, False)):
        at = datetime(2026, 11, 22, hour, tzinfo=east)
        world.lens = FieldLens(world.store, Keyring(MATERIAL), clock=lambda at=at: at)
        assert ("note" in (await world.view(CUSTOMER, record)).document) is shown


async def test_a_clear_value_that_holds_an_envelope_is_not_adopted(world: World) -> None:
    customer = await world.customer()
    view = await world.view(CUSTOMER, put(customer, note=[customer.fields["phone"]]))
    assert "note" not in view.document
    assert kinds(view) == ["clear-where-sealed"]


async def test_a_record_of_another_subject_shows_no_adopted_value(world: World) -> None:
    mine, other = await world.customer(), await world.customer()
    thread = put(await world.thread(mine), title="in clear", customer_id=other.ref.record)
    fields = tuple(
        replace(f, clear_until=date(2026, 11, 21)) if f.pattern == "/title" else f for f in THREAD.fields
    )
    view = await world.view(replace(THREAD, fields=fields), thread)
    assert "title" not in view.document
    assert kinds(view) == ["subject-mismatch"]


async def test_an_adopted_record_that_nobody_bound_shows_its_clear_values_only(world: World) -> None:
    stored = await world.customer()
    ref = replace(stored.ref, record="c99")
    view = await world.view(CUSTOMER, ClosedRecord(ref, {"id": "c99", "note": "an old one"}))
    assert view.document == {"id": "c99", "note": "an old one"}
    assert kinds(view) == []


async def test_an_unbound_record_with_a_ciphertext_shows_what_is_public_alone(world: World) -> None:
    stored = await world.customer(unit="north")
    elsewhere = replace(stored, ref=replace(stored.ref, record="c99"))
    view = await world.view(CUSTOMER, elsewhere)
    assert view.document == {"id": "c1"}
    assert kinds(view) == ["record-unbound"]
    assert view.subject is None
    plain = {name: value for name, value in elsewhere.fields.items() if name in ("id", "unit")}
    adoptable = await world.view(CUSTOMER, replace(elsewhere, fields=plain))
    assert adoptable.document == {"id": "c1", "unit": "north"}


@pytest.mark.parametrize("place", ["unit", "tags", "home"])
async def test_an_envelope_where_nothing_is_sealed_is_withheld(world: World, place: str) -> None:
    record = await world.customer()
    stray = record.fields["phone"]
    value = {"unit": stray, "tags": [["x", {"y": stray}]], "home": {"country": stray}}[place]
    view = await world.view(CUSTOMER, put(record, **{place: value}))
    assert place not in view.document
    assert kinds(view) == ["envelope-misplaced"]


async def test_a_view_names_the_subject_by_his_pseudonym(world: World) -> None:
    customer = await world.customer()
    thread = await world.thread(customer)
    views = [await world.view(CUSTOMER, customer), await world.view(THREAD, thread)]
    assert views[0].subject is not None
    assert views[0].subject.startswith("psd_")
    assert views[0].subject == views[1].subject
    assert views[0].subject != (await world.view(CUSTOMER, await world.customer())).subject


async def test_elements_are_shown_by_their_ids(world: World) -> None:
    messages = [
        {"id": "m1", "body": "hello", "author": "staff"},
        {"id": "m2", "body": "问题", "author": "customer"},
    ]
    record = await world.thread(await world.customer(), messages=messages)
    view = await world.view(THREAD, record)
    assert view.document["messages"] == messages
    assert view.shown["/messages/m2/body"] is CLEAR
    hidden = await world.view(THREAD, record, {"/messages/*/body": MASKED, "/messages/*/author": WITHHELD})
    assert hidden.document["messages"] == [{"id": "m1", "body": "***"}, {"id": "m2", "body": "***"}]


@pytest.mark.parametrize("odd", [True, 1.5, "", None, ["m1"], {"a": 1}])
async def test_an_element_without_an_id_of_its_own_is_withheld(world: World, odd: object) -> None:
    record = put(await world.thread(await world.customer()), messages=[{"id": odd, "author": "a"}])
    view = await world.view(THREAD, record)
    assert "messages" not in view.document
    assert kinds(view) == ["envelope-misplaced"]


async def test_an_id_that_came_before_is_no_id_wherever_it_came(world: World) -> None:
    elements = [{"id": i, "author": "a"} for i in ("m1", "m2", "m1")]
    view = await world.view(THREAD, put(await world.thread(await world.customer()), messages=elements))
    assert view.document["messages"] == elements[:2]
    assert kinds(view) == ["envelope-misplaced"]


async def test_an_elements_id_is_one_step_of_its_pointer(world: World) -> None:
    messages = [{"id": "a/b~c", "body": "hello", "author": "x"}]
    view = await world.view(THREAD, await world.thread(await world.customer(), messages=messages))
    assert view.shown["/messages/a~1b~0c/body"] is CLEAR


async def test_elements_whose_ids_he_may_not_see_are_withheld_whole(world: World) -> None:
    record = await world.thread(
        await world.customer(), messages=[{"id": "m1", "body": "hello", "author": "a"}]
    )
    view = await world.view(THREAD, record, {"/messages/*/id": MASKED})
    assert "messages" not in view.document
    assert view.shown["/messages/*/body"] is WITHHELD


async def test_a_part_of_which_nothing_is_shown_is_absent(world: World) -> None:
    record = await world.customer(home={"address": "北京市海淀区中关村大街1号"})
    assert "home" not in (await world.view(CUSTOMER, record, {"/home/address": WITHHELD})).document
    bare = await world.view(CUSTOMER, put(record, home={}, tags=[]))
    assert bare.document["home"] == {}
    assert bare.document["tags"] == []


@pytest.mark.parametrize("stored", ["text", 7, True, [1], [{"id": "m1"}]])
async def test_what_is_not_where_the_catalogue_says_is_withheld(world: World, stored: object) -> None:
    view = await world.view(CUSTOMER, put(await world.customer(), home=stored))
    assert "home" not in view.document
    assert kinds(view) == ["field-unknown"]


async def test_a_resource_without_a_subject_is_shown_by_the_rules(world: World) -> None:
    record = ClosedRecord(
        replace((await world.customer()).ref, resource="place"), {"id": "p1", "city": "Wuhan"}
    )
    view = await world.view(PLACE, record, {"/city": WITHHELD})
    assert view.document == {"id": "p1"}
    assert view.subject is None


async def test_a_message_belongs_to_its_threads_subject(world: World) -> None:
    customer = await world.customer()
    thread = await world.thread(customer)
    message = await world.create(MESSAGE, {"body": "hello"}, parent=thread.ref.record)
    message = put(message, thread_id=thread.ref.record)
    view = await world.view(MESSAGE, message)
    assert view.document["body"] == "hello"
    assert await world.lens.subjects_of(MESSAGE, [message]) == await world.lens.subjects_of(
        CUSTOMER, [customer]
    )


async def test_a_second_look_asks_the_store_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = await world.customer()
    await world.view(CUSTOMER, record)
    monkeypatch.delattr(type(world.store), "read")
    assert (await world.view(CUSTOMER, record)).document["name"] == "张伟"


@pytest.mark.parametrize(
    "fields",
    [
        [plain("/a"), plain("/a")],
        [plain("/a"), plain("/a/b")],
        [plain("/a/b"), plain("/a")],
        [plain("a")],
        [plain("")],
        [sealed("/a/*/b", FieldClass.CONTACT, CUSTOMER.fields[1].mask)],
        [sealed("/a/*/b", FieldClass.CONTACT, CUSTOMER.fields[1].mask, element_id="id")],
        [sealed("/a/*/id", FieldClass.CONTACT, CUSTOMER.fields[1].mask, element_id="id")],
        [plain("/a/*/id", element_id="id"), plain("/a/*/b", element_id="key")],
        [FieldSpec("/a", FieldClass.CONTACT, sealed=True)],
    ],
)
async def test_patterns_that_cannot_be_read_in_one_way_are_refused(
    world: World, fields: list[FieldSpec]
) -> None:
    spec = resource("thing", fields, SubjectRule("thing"))
    with pytest.raises(Misconfigured):
        await world.view(spec, ClosedRecord(replace((await world.customer()).ref, resource="thing"), {}))
