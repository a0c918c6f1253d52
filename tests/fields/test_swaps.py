"""Somebody with the upstream's database, or ours, moves ciphertexts, keys and bindings about: each is withheld, alarmed and named."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from gateway.fields import FieldLens
from gateway.fields.envelope import parse, write
from gateway.keys import Keyring
from gateway.store import Damaged
from gateway.words.draft import Draft
from gateway.words.errors import Refused, Unavailable
from gateway.words.record import Alarm, ClosedRecord
from gateway.words.resource import SubjectRule
from tests.fields.conftest import (
    CUSTOMER,
    MASKED,
    MATERIAL,
    MESSAGE,
    NOW,
    THREAD,
    TOKEN,
    World,
    asked,
    decision,
    kinds,
    principal,
    put,
)

MISPLACED = ["envelope-misplaced"]


async def sql(world: World, *statements: str, forget: bool = True, **values: Any) -> None:
    """Runs statements as somebody who owns our database, then lets a fresh process look."""

    def run(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement), values)

    await world.store.write(run)
    if forget:
        world.lens = FieldLens(world.store, Keyring(MATERIAL), clock=lambda: NOW)


async def seal_of(world: World, record: ClosedRecord) -> str:
    token = world.lens._fetcher.bindings._evidence.reference(record.ref, False)
    found: str = await world.store.read(
        lambda c: c.execute(text("SELECT seal FROM binding WHERE ref = :r"), {"r": token}).scalar_one()
    )
    return found


def withheld(document: Any, *names: str) -> bool:
    return not set(names) & set(document)


async def subject_of(world: World, record: ClosedRecord) -> str:
    (found,) = await world.lens.subjects_of(CUSTOMER, [record])
    assert found is not None
    return found


# ── in the upstream's database ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("read", [{}, {"/phone": MASKED}, {"/phone": TOKEN}])
async def test_a_field_put_into_another_field(world: World, read: Any) -> None:
    record = await world.customer()
    view = await world.view(CUSTOMER, put(record, phone=record.fields["name"]), read)
    assert withheld(view.document, "phone")
    assert kinds(view) == MISPLACED
    assert view.alarms[0].pattern == "/phone"
    assert view.document["name"] == "张伟"


async def test_a_field_of_another_record_of_the_same_customer(world: World) -> None:
    customer = await world.customer()
    one, other = await world.thread(customer), await world.thread(customer)
    view = await world.view(THREAD, put(one, title=other.fields["title"]))
    assert withheld(view.document, "title")
    assert kinds(view) == MISPLACED


async def test_a_field_of_another_customer(world: World) -> None:
    one, other = await world.customer(), await world.customer()
    view = await world.view(CUSTOMER, put(one, phone=other.fields["phone"]))
    assert withheld(view.document, "phone")
    assert kinds(view) == MISPLACED


async def test_a_whole_record_of_another_customer(world: World) -> None:
    one, other = await world.customer(), await world.customer()
    view = await world.view(CUSTOMER, replace(one, fields=other.fields))
    assert view.document == {"id": "c2"}
    assert [(a.kind.value, a.pattern) for a in view.alarms] == [
        ("envelope-misplaced", "/name"),
        ("envelope-misplaced", "/phone"),
    ]


async def test_a_whole_record_of_the_same_customer(world: World) -> None:
    customer = await world.customer()
    one, other = await world.thread(customer), await world.thread(customer)
    view = await world.view(THREAD, replace(one, fields=other.fields))
    assert withheld(view.document, "title")
    assert kinds(view) == MISPLACED


async def test_a_message_that_is_reached_below_a_thread_of_another_customer(world: World) -> None:
    """All of it stays as it was, the message's own word on whose it is too: only where it hangs was changed."""
    one, other = await world.customer(), await world.customer()
    own, merged, foreign = await world.thread(one), await world.thread(one), await world.thread(other)
    message = await world.create(MESSAGE, {"body": "请尽快回电"}, parent=own.ref.record)
    message = put(message, thread_id=own.ref.record)
    for below, seen in ((own, True), (merged, True), (foreign, False)):
        moved = replace(message, ref=replace(message.ref, parent=below.ref))
        view = await world.view(MESSAGE, moved)
        assert withheld(view.document, "body") is not seen
        assert kinds(view) == ([] if seen else ["subject-mismatch"])
    nowhere = replace(message.ref, parent=replace(foreign.ref, record="t99"))
    assert kinds(await world.view(MESSAGE, replace(message, ref=nowhere))) == ["subject-mismatch"]


async def test_a_thread_that_the_upstream_gives_to_another_customer(world: World) -> None:
    one, other = await world.customer(), await world.customer()
    thread = await world.thread(one)
    for named in (other.ref.record, "c99", None, "", {"id": "c1"}):
        view = await world.view(THREAD, put(thread, customer_id=named))
        assert withheld(view.document, "title")
        odd = ["field-unknown"] if isinstance(named, dict) else []
        assert kinds(view) == ["subject-mismatch", *odd]


async def test_a_message_that_the_upstream_moves_to_another_customers_thread(world: World) -> None:
    mine, other = await world.thread(await world.customer()), await world.thread(await world.customer())
    message = await world.create(MESSAGE, {"body": "hello"}, parent=mine.ref.record)
    assert kinds(await world.view(MESSAGE, put(message, thread_id=mine.ref.record))) == []
    view = await world.view(MESSAGE, put(message, thread_id=other.ref.record))
    assert withheld(view.document, "body")
    assert kinds(view) == ["subject-mismatch"]


async def test_elements_of_an_array_exchanged(world: World) -> None:
    messages = [{"id": "m1", "body": "one"}, {"id": "m2", "body": "two"}]
    thread = await world.thread(await world.customer(), messages=messages)
    one, two = thread.fields["messages"]  # type: ignore[misc,union-attr,str-unpack]  # a list of two
    moved = put(thread, messages=[{**one, "body": two["body"]}, {**two, "body": one["body"]}])
    view = await world.view(THREAD, moved)
    assert view.document["messages"] == [{"id": "m1"}, {"id": "m2"}]
    assert kinds(view) == MISPLACED
    renamed = put(thread, messages=[{**one, "id": "m2"}, {**two, "id": "m1"}])
    assert (await world.view(THREAD, renamed)).document["messages"] == [{"id": "m2"}, {"id": "m1"}]
    assert (await world.view(THREAD, put(thread, messages=[two, one]))).document["messages"] == messages[::-1]


async def test_two_elements_of_one_id(world: World) -> None:
    thread = await world.thread(await world.customer(), messages=[{"id": "m1", "body": "one"}])
    (one,) = thread.fields["messages"]  # type: ignore[misc,union-attr,str-unpack]  # a list of one
    view = await world.view(THREAD, put(thread, messages=[one, one]))
    assert view.document["messages"] == [{"id": "m1", "body": "one"}]
    assert kinds(view) == MISPLACED


async def test_an_element_of_a_whole_array(world: World) -> None:
    record = await world.customer(phones=["13811112222"])
    view = await world.view(CUSTOMER, put(record, phones=[record.fields["phones"]]))
    assert withheld(view.document, "phones")
    assert kinds(view) == ["clear-where-sealed"]


async def test_a_record_of_another_upstream(world: World) -> None:
    spec = replace(CUSTOMER, upstream="old")
    here = await world.customer()
    there = await world.create(spec, {"name": "张伟", "phone": "13812345678"}, record="c1")
    view = await world.view(CUSTOMER, replace(here, fields=there.fields))
    assert view.document == {"id": "c1"}
    assert set(kinds(view)) == set(MISPLACED)


async def test_a_record_of_another_resource_of_the_same_customer(world: World) -> None:
    customer = await world.customer()
    spec = replace(THREAD, name="case")
    thread = await world.thread(customer)
    case = await world.create(spec, {"customer_id": "c1", "title": "a complaint"}, record="t1")
    view = await world.view(THREAD, put(thread, title=case.fields["title"]))
    assert kinds(view) == MISPLACED


def changed(envelope: str, **parts: Any) -> str:
    return write(parse(envelope)._replace(**parts))


async def test_every_part_of_an_envelope_is_authenticated(world: World) -> None:
    record = await world.customer()
    phone = str(record.fields["phone"])
    taken = parse(phone)
    for kind in {1, 2, 3, 5, 6}:
        assert kinds(await world.view(CUSTOMER, put(record, phone=changed(phone, kind=kind)))) == MISPLACED
    for parts in (
        {"version": 2},
        {"cls": "finance"},
        {"cls": "x"},
        {"key": bytes(16)},
        {"nonce": bytes(12)},
        {"sealed": taken.sealed[:-1] + bytes([taken.sealed[-1] ^ 1])},
        {"sealed": taken.sealed[16:]} if len(taken.sealed) > 32 else {"sealed": taken.sealed + bytes(16)},
    ):
        view = await world.view(CUSTOMER, put(record, phone=changed(phone, **parts)))
        assert kinds(view) == MISPLACED, parts
        assert withheld(view.document, "phone")


async def test_a_cut_envelope_is_malformed(world: World) -> None:
    record = await world.customer()
    phone = str(record.fields["phone"])
    for length in range(4, len(phone)):
        view = await world.view(CUSTOMER, put(record, phone=phone[:length]))
        assert withheld(view.document, "phone")
        assert kinds(view) in (["envelope-malformed"], MISPLACED)
    for more in (phone + "A", phone + "=", phone + "\n", phone.replace("_", "/").replace("-", "+") + "=="):
        assert kinds(await world.view(CUSTOMER, put(record, phone=more))) == ["envelope-malformed"]


async def test_another_spelling_of_the_same_bytes_is_malformed(world: World) -> None:
    record = await world.customer(email="a@b.example")
    for name in ("name", "email"):
        told = str(record.fields[name])
        if len(told[4:]) % 4 == 0:
            continue
        data = base64.urlsafe_b64decode(told[4:] + "=" * (-len(told[4:]) % 4))
        for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
            other = told[:-1] + last
            if other != told and base64.urlsafe_b64decode(other[4:] + "=" * (-len(other[4:]) % 4)) == data:
                assert kinds(await world.view(CUSTOMER, put(record, **{name: other}))) == [
                    "envelope-malformed"
                ]


async def test_an_envelope_under_another_key_class(world: World) -> None:
    record = await world.customer(income=1)
    view = await world.view(CUSTOMER, put(record, income=record.fields["phone"]))
    assert kinds(view) == MISPLACED


async def test_an_envelope_of_the_key_class_that_its_field_had_before(world: World) -> None:
    record = await world.customer(income=1)
    fields = tuple(replace(f, key_class="profile") if f.pattern == "/income" else f for f in CUSTOMER.fields)
    view = await world.view(replace(CUSTOMER, fields=fields), record)
    assert withheld(view.document, "income")
    assert kinds(view) == MISPLACED


# ── in our own database ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_fresh_process_of_these_tests_opens_what_is_whole(world: World) -> None:
    record = await world.customer()
    await sql(world, "SELECT 1")
    assert (await world.view(CUSTOMER, record)).document["name"] == "张伟"


async def test_wrapped_keys_exchanged(world: World) -> None:
    one, _ = await world.customer(), await world.customer()
    await sql(
        world,
        "CREATE TABLE w AS SELECT key, wrapped FROM data_key",
        "UPDATE data_key SET wrapped = (SELECT w.wrapped FROM w WHERE w.key <> data_key.key LIMIT 1)",
    )
    view = await world.view(CUSTOMER, one)
    assert withheld(view.document, "name", "phone")
    assert set(kinds(view)) == {"key-broken"}


@pytest.mark.parametrize(
    "change",
    [
        "subject = (SELECT max(subject) FROM data_key)",
        "cls = 'other'",
        "cls = CAST(cls AS BLOB)",
        "wrapped = 'abc'",
        "version = 'abc'",
        "kek_version = 'abc'",
        "created = 'abc', wrapped = x'00'",
        "destroyed_at = 'abc'",
        "version = 2",
        "version = -1",
        "version = 4294967296",
        "kek_version = 1",
        "kek_version = 7",
    ],
)
async def test_a_key_row_altered(world: World, change: str) -> None:
    one, _ = await world.customer(), await world.customer()
    first = parse(str(one.fields["name"])).key
    await sql(
        world,
        "DELETE FROM data_key WHERE cls = 'finance'",
        "UPDATE data_key SET version = 9 WHERE key <> :key",
        key=first,
    )
    await sql(world, f"UPDATE data_key SET {change} WHERE key = :key", key=first)
    view = await world.view(CUSTOMER, one)
    assert withheld(view.document, "name", "phone")
    assert set(kinds(view)) <= {"key-broken", "key-missing"}
    assert kinds(view)


async def test_a_destroyed_key_opens_nothing_and_is_not_made_again(world: World) -> None:
    record = await world.customer(income=5)
    await world.view(CUSTOMER, record)
    await sql(
        world, "UPDATE data_key SET wrapped = NULL, destroyed_at = 1 WHERE cls = 'profile'", forget=False
    )
    world.lens.forget()
    view = await world.view(CUSTOMER, record)
    assert view.document == {"id": "c1", "income": 5}
    assert set(kinds(view)) == {"key-missing"}
    with pytest.raises(Exception, match="record-withheld"):
        await world.update(CUSTOMER, record, {"phone": "13900001111"})
    await sql(world, "SELECT 1")
    with pytest.raises(Exception, match="record-withheld"):
        await world.update(CUSTOMER, record, {"phone": "13900001111"})


@pytest.mark.parametrize("mark", ["destroyed_at = 1", "wrapped = NULL"])
async def test_either_mark_of_destruction_shuts_a_key(world: World, mark: str) -> None:
    record = await world.customer(income=5)
    await sql(world, f"UPDATE data_key SET {mark} WHERE cls = 'profile'")
    view = await world.view(CUSTOMER, record)
    assert view.document == {"id": "c1", "income": 5}
    assert set(kinds(view)) == {"key-missing"}


async def test_an_older_key_opens_and_does_not_seal_where_a_newer_one_is_shut(world: World) -> None:
    record = await world.customer()
    await sql(
        world,
        "INSERT INTO data_key SELECT randomblob(16), subject, cls, 2, kek_version, NULL, created, 1"
        " FROM data_key WHERE cls = 'profile'",
    )
    assert (await world.view(CUSTOMER, record)).document["name"] == "张伟"
    with pytest.raises(Exception, match="record-withheld"):
        await world.update(CUSTOMER, record, {"name": "李娜"})


async def test_key_rows_gone(world: World) -> None:
    record = await world.customer()
    await sql(world, "DELETE FROM data_key")
    assert set(kinds(await world.view(CUSTOMER, record))) == {"key-missing"}


async def test_a_key_that_another_process_made_is_found(world: World) -> None:
    customer = await world.customer()
    other = FieldLens(world.store, Keyring(MATERIAL), clock=lambda: NOW)
    elsewhere = World(world.store, other)
    thread = await elsewhere.thread(
        customer
    )  # mints the customer's messages key there; here his keys are cached
    assert (await world.view(THREAD, thread)).document["title"] == "a complaint"


UNLOCK = ("DROP TRIGGER binding_fixed", "DROP TRIGGER binding_kept")


@pytest.mark.parametrize(
    "change",
    [
        "subject = (SELECT max(id) FROM subject)",
        "seal = 'seal_x'",
        "upstream = 'old'",
        "resource = 'thread'",
        "founds = 1 - founds",
        "marker = NULL",
        "marker = ''",
        "created = created + 1",
        "mac = x'00'",
        "place = x'00'",
        # Cells of another type than their column's: a row that cannot be read is one that was altered.
        "created = 'abc'",
        "created = 9e99",
        "created = 9223372036854775807",
        "created = '2026-11-21T12:00:00.000000+00:00'",
        "founds = 'True'",
        "founds = x'01'",
        "place = 'abc'",
        "place = 5",
        "mac = 'abc'",
        "mac = 5",
        "upstream = CAST(upstream AS BLOB)",
        "seal = CAST(seal AS BLOB)",
        "marker = x'ff00'",
        "marker = CAST(x'ff00' AS TEXT)",
        "place = (SELECT b.place FROM binding b WHERE b.seal <> binding.seal LIMIT 1)",
        "mac = (SELECT b.mac FROM binding b WHERE b.seal <> binding.seal LIMIT 1)",
    ],
)
async def test_a_binding_row_altered(world: World, change: str) -> None:
    one, other = await world.customer(), await world.customer()
    seal = await seal_of(world, one)
    await sql(world, *UNLOCK, f"UPDATE binding SET {change} WHERE seal = :seal", seal=seal)
    await broken(world, one, other)


async def broken(world: World, one: ClosedRecord, other: ClosedRecord) -> None:
    """Nobody can tell whose the one is: nothing of it opens, by itself or beside another, and nothing is done to it or under it."""
    view, whole = await world.lens.views(
        CUSTOMER, [(one, decision(CUSTOMER)), (other, decision(CUSTOMER))], principal()
    )
    assert withheld(view.document, "name", "phone")
    assert kinds(view) == ["binding-broken"]
    assert view.subject is None
    assert whole.document["name"] == "张伟"
    assert whole.subject is not None
    assert kinds(whole) == []
    refusals: list[Callable[[], Awaitable[object]]] = [
        lambda: world.update(CUSTOMER, one, {"phone": "13900001111"}),
        lambda: world.lens.pseudonym_of(asked(CUSTOMER, one.ref.record), None, one),
        lambda: world.thread(one),
    ]
    for refusal, code in zip(refusals, ("record-withheld", "record-withheld", "value-refused"), strict=True):
        with pytest.raises(Refused) as caught:
            await refusal()
        assert (caught.value.code.value, [a.kind.value for a in caught.value.alarms]) == (
            code,
            ["binding-broken"],
        )
    await world.update(CUSTOMER, other, {"phone": "13900001111"})


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE subject SET pseudonym = 'x' WHERE id = :id",
        "UPDATE subject SET pseudonym = NULL WHERE id = :id",
        "UPDATE subject SET pseudonym = CAST(pseudonym AS BLOB) WHERE id = :id",
        "UPDATE subject SET pseudonym = CAST(x'ff00' AS TEXT) WHERE id = :id",
        "UPDATE subject SET mac = x'00' WHERE id = :id",
        "UPDATE subject SET mac = 'abc' WHERE id = :id",
        "UPDATE subject SET (pseudonym, mac) = (SELECT 'psd_x', mac FROM subject s WHERE s.id <> :id) WHERE id = :id",
    ],
)
async def test_a_subjects_row_altered(world: World, change: str) -> None:
    one, other = await world.customer(), await world.customer()
    await sql(world, change, id=await subject_of(world, one))
    await broken(world, one, other)


async def test_a_subjects_row_gone(world: World) -> None:
    one, other = await world.customer(), await world.customer()
    subject = await subject_of(world, one)
    with closing(
        sqlite3.connect(world.store.location.path)
    ) as there:  # without the guard that our own connections have
        there.execute("DELETE FROM data_key WHERE subject = ?", [subject])
        there.execute("DELETE FROM subject WHERE id = ?", [subject])
        there.commit()
    world.lens = FieldLens(world.store, Keyring(MATERIAL), clock=lambda: NOW)
    await broken(world, one, other)


async def test_a_subject_that_was_destroyed_with_his_keys_is_no_broken_one(world: World) -> None:
    one = await world.customer()
    await sql(
        world, "UPDATE subject SET pseudonym = NULL", "UPDATE data_key SET wrapped = NULL, destroyed_at = 1"
    )
    view = await world.view(CUSTOMER, one)
    assert withheld(view.document, "name", "phone")
    assert set(kinds(view)) == {"key-missing"}


async def test_a_row_that_is_put_right_opens_again_in_the_same_process(world: World) -> None:
    one, _ = await world.customer(), await world.customer()
    await sql(world, "UPDATE subject SET pseudonym = pseudonym || 'x'")
    assert kinds(await world.view(CUSTOMER, one)) == ["binding-broken"]
    await sql(world, "UPDATE subject SET pseudonym = rtrim(pseudonym, 'x')", forget=False)
    assert (await world.view(CUSTOMER, one)).document["name"] == "张伟"


@pytest.mark.parametrize(
    "change", ["marker = 'x'", "created = created - 1", "place = 'abc'", "marker = CAST(x'ff' AS TEXT)"]
)
async def test_a_pending_row_altered_is_told_of_once(world: World, change: str) -> None:
    what = asked(CUSTOMER)
    made = [
        await world.lens.seal_create(what, Draft({"name": "张伟"}), decision(CUSTOMER), principal())
        for _ in range(2)
    ]
    await sql(world, f"UPDATE binding SET {change} WHERE seal = :seal", seal=made[0].pending)
    told: list[Alarm] = []
    world.lens = FieldLens(world.store, Keyring(MATERIAL), clock=lambda: NOW, alarm=told.append)
    for _ in range(2):
        assert [p.seal for p in await world.lens.kept(NOW + timedelta(days=1), None)] == [made[1].pending]
    assert [alarm.kind.value for alarm in told] == ["binding-broken"]


async def test_a_database_that_is_not_there_is_no_broken_row(world: World) -> None:
    one = await world.customer()
    await sql(world, "ALTER TABLE subject RENAME TO elsewhere")
    with pytest.raises(Unavailable) as caught:
        await world.view(CUSTOMER, one)
    assert not isinstance(caught.value, Damaged)


async def test_two_bindings_that_change_records(world: World) -> None:
    one, other = await world.customer(), await world.customer()
    a, b = await seal_of(world, one), await seal_of(world, other)
    await sql(
        world,
        *UNLOCK,
        "CREATE TABLE w AS SELECT seal, ref FROM binding",
        "UPDATE binding SET ref = 'x' || seal",
        "UPDATE binding SET ref = (SELECT ref FROM w WHERE w.seal = CASE binding.seal WHEN :a THEN :b ELSE :a END)",
        a=a,
        b=b,
    )
    for record in (one, other):
        view = await world.view(CUSTOMER, record)
        assert view.document == {"id": record.ref.record}
        assert kinds(view) == ["binding-broken"]


async def test_a_pending_binding_made_bound_by_hand(world: World) -> None:
    one = await world.customer()
    seal = await seal_of(world, one)
    await sql(
        world, *UNLOCK, "UPDATE binding SET state = 'pending', ref = NULL WHERE seal = :seal", seal=seal
    )
    assert kinds(await world.view(CUSTOMER, one)) == ["record-unbound"]
    alarm = await world.lens.bind_pending(seal, one.ref)
    assert alarm is not None
    assert alarm.kind.value == "binding-broken"


async def test_an_exchanged_pseudonym_is_not_said(world: World) -> None:
    one, other = await world.customer(), await world.customer()
    names = [(await world.view(CUSTOMER, r)).subject for r in (one, other)]
    await sql(
        world,
        "UPDATE subject SET pseudonym = 'x' WHERE pseudonym = :a",
        "UPDATE subject SET pseudonym = :a WHERE pseudonym = :b",
        a=names[0],
        b=names[1],
    )
    assert [(await world.view(CUSTOMER, r)).subject for r in (one, other)] == [None, None]


async def test_a_pseudonym_exchanged_with_its_mac_is_not_said(world: World) -> None:
    one, other = await world.customer(), await world.customer()
    await sql(
        world,
        "CREATE TABLE w AS SELECT id, pseudonym, mac FROM subject",
        "UPDATE subject SET pseudonym = NULL",
        "UPDATE subject SET (pseudonym, mac) = (SELECT w.pseudonym, w.mac FROM w WHERE w.id <> subject.id)",
    )
    assert [(await world.view(CUSTOMER, r)).subject for r in (one, other)] == [None, None]


async def test_another_root_key_opens_nothing(world: World) -> None:
    record = await world.customer()
    world.lens = FieldLens(
        world.store, Keyring(replace(MATERIAL, root=bytes(32)[:-1] + b"\1")), clock=lambda: NOW
    )
    view = await world.view(CUSTOMER, record)
    assert view.document == {"id": "c1"}
    assert kinds(view) == ["record-unbound"]


async def test_a_lost_kek_opens_nothing(world: World) -> None:
    record = await world.customer()
    world.lens = FieldLens(world.store, Keyring(replace(MATERIAL, keks=MATERIAL.keks[:1])), clock=lambda: NOW)
    assert set(kinds(await world.view(CUSTOMER, record))) == {"key-broken"}


async def test_a_record_that_is_not_its_own_subject_does_not_become_it(world: World) -> None:
    # A catalogue edited so that a thread would be a data subject itself: the binding says otherwise.
    thread = await world.thread(await world.customer())
    view = await world.view(replace(THREAD, subject=SubjectRule("thread")), thread)
    assert withheld(view.document, "title")
    assert kinds(view) == ["subject-mismatch"]
