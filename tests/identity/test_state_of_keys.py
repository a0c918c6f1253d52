"""Rows of API keys on both engines: what the store itself refuses, and what comes back as it went in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, exc, text, update

from gateway.identity import (
    ApiKey,
    all_keys,
    confirm_key,
    insert_key,
    key_of_intent,
    read_key,
    revoke_key,
    revoked_by,
)
from gateway.identity.tables import API_KEYS
from gateway.store import Store
from gateway.words.errors import Unavailable
from gateway.words.principal import RoleHeld

NOW = datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)
KEY = ApiKey(
    id="key_1",
    digest=b"d" * 32,
    application="app:desk",
    roles=frozenset({RoleHeld("role:agent", "branch:shanghai"), RoleHeld("role:x")}),
    purposes=frozenset({"service", "audit"}),
    created=NOW,
    not_after=NOW + timedelta(days=1),
    intent=41,
)


async def test_a_key_comes_back_as_it_went_in(each_store: Store) -> None:
    await each_store.write(lambda c: insert_key(c, KEY))
    assert await each_store.read(lambda c: read_key(c, "key_1")) == KEY
    assert await each_store.read(lambda c: key_of_intent(c, 41)) == KEY
    assert await each_store.read(lambda c: revoked_by(c, 41)) is None
    assert await each_store.scan(all_keys) == [KEY]
    assert await each_store.read(lambda c: read_key(c, "key_2")) is None


async def test_confirming_and_revoking_each_happen_once(each_store: Store) -> None:
    await each_store.write(lambda c: insert_key(c, KEY))
    assert await each_store.write(lambda c: confirm_key(c, "key_1", NOW)) is True
    assert await each_store.write(lambda c: confirm_key(c, "key_1", NOW)) is False
    assert await each_store.write(lambda c: revoke_key(c, "key_1", NOW, 50)) is True
    assert await each_store.write(lambda c: revoke_key(c, "key_1", NOW, 51)) is False
    found = await each_store.read(lambda c: revoked_by(c, 50))
    assert found is not None
    assert (found.confirmed_at, found.revoked_at) == (NOW, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": None},
        {"revoked_at": NOW + timedelta(1)},
        {"revoke_intent": None},
        {"confirmed_at": None},
        {"digest": b"e" * 32},
        {"application": "app:other"},
        {"roles": "[]"},
        {"purposes": "[]"},
        {"not_after": NOW + timedelta(days=9)},
        {"id": "key_2"},
    ],
)
async def test_the_store_refuses_to_take_back_a_revocation_or_to_change_a_key(
    each_store: Store, change: dict[str, object]
) -> None:
    await each_store.write(lambda c: insert_key(c, KEY))
    await each_store.write(lambda c: confirm_key(c, "key_1", NOW))
    await each_store.write(lambda c: revoke_key(c, "key_1", NOW, 50))
    with pytest.raises((exc.IntegrityError, Unavailable)):
        await each_store.write(lambda c: c.execute(update(API_KEYS).values(**change)))
    assert await each_store.read(lambda c: read_key(c, "key_1")) is not None


async def test_the_store_refuses_to_forget_a_key(each_store: Store) -> None:
    await each_store.write(lambda c: insert_key(c, KEY))
    with pytest.raises((exc.IntegrityError, Unavailable)):
        await each_store.write(lambda c: c.execute(delete(API_KEYS)))
    if each_store.dialect == "postgresql":
        with pytest.raises((exc.IntegrityError, Unavailable)):
            await each_store.write(lambda c: c.execute(text("TRUNCATE api_keys")))
    assert await each_store.read(lambda c: read_key(c, "key_1")) == KEY
