"""What the room of keys promises, on both engines, on the tables as the migrations make them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, select, update

from gateway.idempotency import IdempotencyKeys
from gateway.idempotency.claims import Claims
from gateway.idempotency.tables import IDEMPOTENCY_KEY
from gateway.keys import Keyring, create_key_file, from_file
from gateway.store import Location, Store, Tree, migrate, open_store
from gateway.words.claim import Claim
from gateway.words.errors import Code, Refused


@dataclass
class Room:
    """One store, its clock, and as many rooms on it as a test asks for."""

    store: Store
    keyring: Keyring
    now: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def keys(self, **given: Any) -> IdempotencyKeys:
        return IdempotencyKeys(self.store, self.keyring, clock=lambda: self.now, **given)

    async def rows(self) -> list[Any]:
        query = select(IDEMPOTENCY_KEY).order_by(IDEMPOTENCY_KEY.c.intent)
        return list(await self.store.read(lambda c: c.execute(query).all()))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def room(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Room]:
    at = (
        Location.parse(f"sqlite:///{tmp_path}/state.sqlite")
        if request.param == "sqlite"
        else Location.parse(request.getfixturevalue("postgres"), schema="state")
    )
    create_key_file(tmp_path / "keys.json")
    store = await open_store(at)
    await migrate(store, Tree.of("state"))
    try:
        yield Room(store, Keyring(from_file(tmp_path / "keys.json")))
    finally:
        await store.close()


def claim(key: str = "k", principal: str = "p", request: str = "r", salt: bytes = b"s" * 16) -> Claim:
    digests = (part.encode().ljust(32, b".") for part in (key, principal, request))
    return Claim(*digests, salt, mark="for the log")


async def intent_of(keys: IdempotencyKeys, wanted: Claim) -> int | None:
    standing = await keys.first(wanted)
    return None if standing is None else standing.intent


async def test_a_key_is_free_until_it_is_taken_and_then_stands_for_that_intent(room: Room) -> None:
    keys = room.keys()
    assert await keys.first(claim()) is None
    assert await keys.take(claim(), 7, None) is True
    assert await intent_of(keys, claim()) == 7
    assert await keys.first(claim("k2")) is None


async def test_a_key_that_is_taken_is_taken_by_nobody_else(room: Room) -> None:
    keys, elsewhere = room.keys(), room.keys()
    await keys.take(claim(), 7, None)
    assert await elsewhere.take(claim(), 8, None) is False
    assert await elsewhere.take(claim(), 8, 6) is False
    assert await intent_of(elsewhere, claim()) == 7


async def test_of_many_at_once_one_takes_a_key(room: Room) -> None:
    rooms = [room.keys() for _ in range(12)]
    taken = await asyncio.gather(*(keys.take(claim(), n, None) for n, keys in enumerate(rooms, 1)))
    assert sorted(taken) == [False] * 11 + [True]
    assert await intent_of(rooms[0], claim()) == taken.index(True) + 1


async def test_what_was_never_sent_gives_its_place_to_one(room: Room) -> None:
    keys = room.keys()
    await keys.take(claim(), 7, None)
    taken = await asyncio.gather(*(room.keys().take(claim(), n, 7) for n in range(10, 20)))
    assert sorted(taken) == [False] * 9 + [True]
    assert await intent_of(keys, claim()) == taken.index(True) + 10


async def test_a_key_is_believed_by_the_mark_of_whoever_took_it_last(room: Room) -> None:
    keys = room.keys()
    for intent, instead, salt in ((7, None, b"1" * 16), (8, 7, b"2" * 16)):
        await keys.take(claim(salt=salt), intent, instead)
        standing = await keys.first(claim(salt=b"3" * 16))
        assert standing is not None
        made = Claims(room.keyring).mark(claim().key, claim().request, salt)
        assert (standing.intent, standing.mark) == (intent, made)


async def test_another_request_with_the_same_key_is_refused(room: Room) -> None:
    keys = room.keys()
    await keys.take(claim(), 7, None)
    with pytest.raises(Refused) as refusal:
        await keys.first(claim(request="another"))
    assert refusal.value.code is Code.IDEMPOTENCY_KEY_REUSED


async def test_a_key_ends_after_a_day_without_anybody_sweeping(room: Room) -> None:
    keys = room.keys()
    await keys.take(claim(), 7, None)
    room.now += timedelta(hours=24) - timedelta(microseconds=1)
    assert await intent_of(keys, claim()) == 7
    assert await keys.take(claim(), 8, None) is False
    room.now += timedelta(microseconds=1)
    assert await keys.first(claim(request="another")) is None
    assert await keys.take(claim(request="another"), 8, None) is True
    assert await intent_of(keys, claim(request="another")) == 8
    (row,) = await room.rows()
    assert row.expires == room.now + timedelta(hours=24)


async def test_a_sweep_forgets_what_has_ended_and_nothing_else(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.idempotency.store.SWEPT_TOGETHER", 2)
    keys = room.keys()
    for number in range(1, 6):
        await keys.take(claim(f"old{number}"), number, None)
    room.now += timedelta(hours=23)
    await keys.take(claim("young"), 9, None)
    assert await keys.sweep() == 0
    room.now += timedelta(hours=1)
    assert await keys.sweep() == 5
    assert [row.intent for row in await room.rows()] == [9]


async def test_a_key_that_is_taken_anew_while_it_is_swept_stays(room: Room) -> None:
    keys = room.keys()
    await keys.take(claim(), 7, None)
    room.now += timedelta(hours=24)
    ends = room.now + timedelta(hours=24)
    async with room.store.transaction() as taking:
        renewed = update(IDEMPOTENCY_KEY).values(intent=8, expires=ends)
        await taking.execute(renewed)  # as `take` does it, and not committed yet
        sweeping = asyncio.ensure_future(keys.sweep())
        await asyncio.sleep(0.3)
        assert not sweeping.done()
    assert await sweeping == 0
    assert await intent_of(keys, claim()) == 8


async def test_a_principal_has_as_many_as_he_may_and_room_again_when_some_end(room: Room) -> None:
    keys = room.keys(limit=20)
    for number in range(1, 21):
        assert await keys.first(claim(f"k{number}")) is None
        assert await keys.take(claim(f"k{number}"), number, None) is True
    with pytest.raises(Refused) as refusal:
        await keys.first(claim("more"))
    assert (refusal.value.code, refusal.value.params) == (Code.TOO_MANY, {"header": "idempotency-key"})
    with pytest.raises(Refused):
        await room.keys(limit=20).first(claim("more"))  # another process counts the same
    assert await intent_of(keys, claim("k3")) == 3
    assert await keys.first(claim("more", principal="q")) is None
    room.now += timedelta(hours=24)
    assert await keys.first(claim("more")) is None


async def test_a_principal_is_counted_a_few_times_and_not_each_time(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, counted = room.keys(limit=100), []
    scan = room.store.scan

    async def counting(work: Any) -> Any:
        counted.append(1)
        return await scan(work)

    monkeypatch.setattr(room.store, "scan", counting)
    for number in range(1, 51):
        assert await keys.first(claim(f"k{number}")) is None
        await keys.take(claim(f"k{number}"), number, None)
    assert len(counted) <= 8


async def test_a_row_holds_digests_a_number_and_a_moment(room: Room) -> None:
    secret = Claim(*(os.urandom(32) for _ in range(3)), os.urandom(16), mark="for the log")
    await room.keys().take(secret, 7, None)
    (row,) = await room.rows()
    kept = (bytes(row.key), bytes(row.principal), bytes(row.request), bytes(row.salt), row.intent)
    assert kept == (secret.key, secret.principal, secret.request, secret.salt, 7)
    columns = await room.store.scan(lambda c: [i["name"] for i in inspect(c).get_columns("idempotency_key")])
    assert columns == ["key", "principal", "request", "salt", "intent", "expires"]


async def test_the_tables_are_as_the_migrations_make_them(room: Room) -> None:
    indices = await room.store.scan(lambda c: {i["name"] for i in inspect(c).get_indexes("idempotency_key")})
    assert indices == {"ix_idempotency_key_expires", "ix_idempotency_key_principal"}
