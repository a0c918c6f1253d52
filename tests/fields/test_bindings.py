"""Bindings and keys on both engines: unique both ways, fixed once bound, made once however many ask at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from gateway.fields import FieldLens, bindings
from gateway.fields.bindings import Bindings
from gateway.fields.subjects import DataKeys
from gateway.fields.tables import BINDING, DATA_KEY, SUBJECT
from gateway.keys import KeyedEvidence, Keyring
from gateway.store import Location, metadata
from gateway.words.access import ResourceRef
from gateway.words.draft import Draft
from gateway.words.record import ClosedRecord
from tests.fields.conftest import (
    CUSTOMER,
    MATERIAL,
    NOW,
    THREAD,
    World,
    asked,
    decision,
    kinds,
    migrated,
    principal,
)

RING = Keyring(MATERIAL)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "sqlite":
        location = Location.parse(f"sqlite:///{tmp_path}/home/state.db")
    else:
        location = Location.parse(request.getfixturevalue("postgres"), schema="state")
    store = await migrated(location)
    yield World(store, FieldLens(store, RING, clock=lambda: NOW))
    await store.close()


async def begun(world: World) -> Any:
    return await world.lens.seal_create(
        asked(CUSTOMER), Draft({"name": "张伟"}), decision(CUSTOMER), principal()
    )


async def test_the_tables_are_those_that_the_migrations_make(world: World) -> None:
    def columns(connection: Connection) -> dict[str, set[str]]:
        return {t.name: set(connection.execute(select(t)).keys()) for t in (SUBJECT, DATA_KEY, BINDING)}

    assert await world.store.read(columns) == {
        t.name: {c.name for c in t.c} for t in (SUBJECT, DATA_KEY, BINDING)
    }
    assert {"subject", "data_key", "binding"} <= set(metadata.tables)


async def test_a_record_is_sealed_and_opened(world: World) -> None:
    customer = await world.customer(income=7)
    thread = await world.thread(customer)
    world.lens = FieldLens(world.store, RING, clock=lambda: NOW)
    assert (await world.view(CUSTOMER, customer)).document == {
        "id": "c1",
        "name": "张伟",
        "phone": "13812345678",
        "income": 7,
    }
    assert (await world.view(THREAD, thread)).document["title"] == "a complaint"


async def test_creates_whose_record_was_never_seen_are_kept_the_oldest_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [NOW + timedelta(hours=h) for h in (2, 0, 1)]
    seals = []
    for time in times:
        world.lens = FieldLens(world.store, RING, clock=lambda time=time: time)
        seals.append((await begun(world)).pending)
    later = NOW + timedelta(hours=3)
    kept = await world.lens.kept(later, None)
    assert [(p.seal, p.created) for p in kept] == [(seals[i], times[i]) for i in (1, 2, 0)]
    assert {(p.upstream, p.resource, p.parent) for p in kept} == {
        (CUSTOMER.upstream, CUSTOMER.name, asked(CUSTOMER).ref.parent)
    }
    assert [p.seal for p in await world.lens.kept(times[2], None)] == [seals[1]]
    assert [p.seal for p in await world.lens.kept(later, kept[0])] == [seals[2], seals[0]]
    assert await world.lens.kept(later, kept[2]) == []
    monkeypatch.setattr(bindings, "CHUNK", 1)
    await spoil(world, seals[2])
    assert [p.seal for p in await world.lens.kept(later, kept[0])] == [seals[0]]
    await world.lens.bind_pending(seals[1], ResourceRef(CUSTOMER.upstream, CUSTOMER.name, "c1"))
    assert [p.seal for p in await world.lens.kept(later, None)] == [seals[0]]


async def spoil(world: World, seal: str) -> None:
    """Alters a pending row behind the gateway's back."""

    def alter(connection: Connection) -> None:
        connection.execute(text("UPDATE binding SET marker = 'another' WHERE seal = :seal"), {"seal": seal})

    await world.store.write(alter)


async def test_a_kept_create_that_somebody_altered_is_passed_over(world: World) -> None:
    seal = (await begun(world)).pending
    assert len(await world.lens.kept(NOW + timedelta(hours=1), None)) == 1
    await spoil(world, seal)
    assert await world.lens.kept(NOW + timedelta(hours=1), None) == []


async def test_an_id_that_is_bound_is_never_bound_again(world: World) -> None:
    first, second = await begun(world), await begun(world)
    ref = asked(CUSTOMER).ref.record_of("c1")
    assert await world.lens.bind(first, ref) is None
    alarm = await world.lens.bind(second, ref)
    assert alarm is not None
    assert alarm.kind.value == "already-bound"
    assert await world.lens.subjects_of(CUSTOMER, [await held(ref, first)]) == [first.subject]


async def held(ref: ResourceRef, change: Any) -> Any:
    return ClosedRecord(ref, change.document)


async def test_a_seal_that_is_bound_takes_no_second_id(world: World) -> None:
    first = await begun(world)
    ref = asked(CUSTOMER).ref
    assert await world.lens.bind(first, ref.record_of("c1")) is None
    alarm = await world.lens.bind(first, ref.record_of("c2"))
    assert alarm is not None
    assert alarm.kind.value == "already-bound"


async def test_a_seal_of_another_resource_or_of_nobody_binds_nothing(world: World) -> None:
    first = await begun(world)
    other = replace(asked(CUSTOMER).ref, resource="thread", record="t1")
    for seal, kind in ((first.pending, "binding-broken"), ("seal_none", "record-unbound")):
        alarm = await world.lens.bind_pending(seal, other)
        assert alarm is not None
        assert alarm.kind.value == kind


async def test_of_many_that_bind_one_id_at_once_one_wins(world: World) -> None:
    changes = [await begun(world) for _ in range(6)]
    ref = asked(CUSTOMER).ref.record_of("c1")
    alarms = await asyncio.gather(*(world.lens.bind(change, ref) for change in changes))
    assert sorted(a.kind.value if a else "" for a in alarms) == ["", *["already-bound"] * 5]


async def test_of_many_that_mint_at_once_all_get_one_key(world: World) -> None:
    customer = await world.customer()
    lenses = [World(world.store, FieldLens(world.store, RING, clock=lambda: NOW)) for _ in range(6)]
    what, draft = asked(THREAD), {"customer_id": "c1", "title": "x"}
    made = await asyncio.gather(
        *(w.lens.seal_create(what, Draft(dict(draft)), decision(THREAD), principal()) for w in lenses)
    )
    found = await world.store.read(
        lambda c: c.execute(select(DATA_KEY.c.key).where(DATA_KEY.c.cls == "messages")).all()
    )
    assert len(found) == 1
    assert {change.subject for change in made} == set(await world.lens.subjects_of(CUSTOMER, [customer]))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE binding SET marker = 'x' WHERE state = 'bound'",
        "UPDATE binding SET state = 'pending', ref = NULL WHERE state = 'bound'",
        "DELETE FROM binding WHERE state = 'bound'",
        "UPDATE binding SET subject = (SELECT max(id) FROM subject) WHERE state = 'pending'",
        "UPDATE binding SET seal = 'seal_x' WHERE state = 'pending'",
        "UPDATE binding SET resource = 'x' WHERE state = 'pending'",
        "UPDATE binding SET state = 'bound' WHERE state = 'pending'",
        "UPDATE binding SET state = 'other' WHERE state = 'pending'",
        "INSERT INTO binding SELECT 'seal_y', upstream, resource, ref, place, subject, founds, state, marker, created, mac"
        " FROM binding WHERE state = 'bound'",
    ],
)
async def test_the_database_refuses_to_change_what_is_fixed(world: World, statement: str) -> None:
    await begun(world)
    record = await world.customer()
    with pytest.raises((IntegrityError, DBAPIError)):
        await world.store.write(lambda c: c.execute(text(statement)))
    assert kinds(await world.view(CUSTOMER, record)) == []


async def test_a_reference_leads_back_to_its_record_and_parent(world: World) -> None:
    evidence = KeyedEvidence(RING)
    spec = replace(THREAD, name="part", parent="thread")
    thread = await world.thread(await world.customer())
    part = await world.create(spec, {"customer_id": "c1", "title": "x"}, parent="t1", record="p1")
    for ref in (thread.ref, part.ref):
        token = evidence.reference(ref, False)
        assert await world.lens.located("crm", ref.resource, token) == ref
        assert await world.lens.located("crm", "customer", token) is None
    assert part.ref.parent is not None
    assert await world.lens.located("crm", "thread", "ref_nothing") is None


async def test_no_record_id_stands_in_our_store_in_clear(world: World) -> None:
    await world.create(CUSTOMER, {"name": "x y"}, record="li.na@example.org")
    rows = await world.store.read(lambda c: c.execute(select(BINDING)).all())
    raw = b"".join(v if isinstance(v, bytes) else str(v).encode() for row in rows for v in row)
    assert b"li.na" not in raw
    assert len(rows) == 1


async def test_many_records_cost_one_query_each_of_two_kinds(world: World) -> None:
    records = [await world.customer() for _ in range(5)]
    bindings, keys = Bindings(RING), DataKeys(RING)
    asked_for = [("crm", "customer", r.ref.record or "") for r in records]
    found = await world.store.read(lambda c: bindings.get(c, [*asked_for, ("crm", "customer", "none")]))
    assert set(found) == set(asked_for)
    subjects = [b.subject for b in found.values()]  # type: ignore[union-attr]  # all are sound
    assert set(await world.store.read(lambda c: keys.get(c, subjects))) == set(subjects)
    assert [bindings.cached(k) for k in asked_for] == [found[k] for k in asked_for]


async def test_no_more_is_kept_in_memory_than_the_limit(world: World) -> None:
    records = [await world.customer() for _ in range(3)]
    bindings, keys = Bindings(RING, limit=2), DataKeys(RING, limit=2)
    asked_for = [("crm", "customer", r.ref.record or "") for r in records]
    found = await world.store.read(lambda c: bindings.get(c, asked_for))
    subjects = [b.subject for b in found.values()]  # type: ignore[union-attr]  # all are sound
    loaded = await world.store.read(lambda c: keys.get(c, subjects))
    keys.remember(loaded.values(), keys.generation)
    assert len([k for k in asked_for if bindings.cached(k)]) == 2
    assert len([s for s in subjects if keys.cached(s)]) == 2


async def test_keys_read_before_forget_are_not_kept_after_it(world: World) -> None:
    await world.customer()
    keys = DataKeys(RING)
    (subject,) = await world.store.read(lambda c: c.execute(select(SUBJECT.c.id)).scalars().all())
    generation = keys.generation
    loaded = await world.store.read(lambda c: keys.get(c, [subject]))
    keys.forget()  # somebody destroyed them while they were being read
    keys.remember(loaded.values(), generation)
    assert keys.cached(subject) is None
    keys.remember(loaded.values(), keys.generation)
    assert keys.cached(subject) is not None


async def test_the_caches_are_bounded(world: World) -> None:
    records = [await world.customer() for _ in range(5)]
    bindings, keys = Bindings(RING, limit=2), DataKeys(RING, limit=2)
    asked_for = [("crm", "customer", r.ref.record or "") for r in records]
    found = await world.store.read(lambda c: bindings.get(c, asked_for))
    assert sum(bindings.cached(k) is not None for k in asked_for) == 2
    subjects = [b.subject for b in found.values()]  # type: ignore[union-attr]  # all are sound
    keys.remember((await world.store.read(lambda c: keys.get(c, subjects))).values(), keys.generation)
    assert sum(keys.cached(s) is not None for s in subjects) == 2
