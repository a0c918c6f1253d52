"""Clients' secrets: what proves a client, what it costs, and that nobody who guesses keeps a client out."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, exc, text, update

from gateway.identity import (
    ClientSecret,
    ClientShown,
    all_secrets,
    client_ids,
    end_secret_of,
    insert_secret,
    revoke_key,
    secrets_of,
    secrettext,
)
from gateway.identity.attempts import Attempts
from gateway.identity.proofs import LANES, MEMORY_KIB, PASSES, Proofs
from gateway.identity.secretrows import standings
from gateway.identity.tables import CLIENT_SECRETS
from gateway.store import Store
from gateway.words.errors import Code, Refused, Unavailable, Unidentified
from gateway.words.ids import new_id
from tests.identity.identity_house import NOW, CountingProofs, House, call, tag
from tests.waiting import until

STRANGER, OWN = "203.0.113.9", "10.1.2.3"
SECRET = ClientSecret("sec_1", "key_1", "$argon2id$…", NOW.replace(microsecond=7), 3600, 41)


def forged(secret_id: str = "sec_" + "1" * 26) -> str:
    """A secret that was never handed out, by somebody who has the key of the tags."""
    return secrettext.write(secret_id, os.urandom(32), tag).text.decode()


def guess() -> str:
    """A secret of the right shape, by somebody who has not."""
    return secrettext.write(new_id("sec"), os.urandom(32), lambda *_: os.urandom(32)).text.decode()


async def tried(house: House, client: str, secret: str, source: str = OWN) -> str:
    """What comes of it: `proven`, or the reason, or `too-many`."""
    try:
        found = await house.clients.check(client, secret, source, house.clock)
    except Refused as error:
        return error.code.value
    return "proven" if found.secret is not None else str(found.reason and found.reason.value)


# ── what proves a client ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_secret_proves_its_own_client_and_no_other(house: House) -> None:
    (one, secret), (other, another) = await house.client(), await house.client(application="app:other")
    proof = await house.identity.client(ClientShown(one, secret), call())
    assert (proof.key.id, proof.principal.application.id) == (one, "app:desk")
    assert proof.principal.proven == (f"client-secret:{one}",)
    assert {role.role for role in proof.principal.application.roles} == {"role:app-desk", "role:agent"}
    for client, wrong in ((one, another), (other, secret), ("key_" + "0" * 26, secret), (one, guess())):
        with pytest.raises(Unidentified):
            await house.identity.client(ClientShown(client, wrong), call())


async def test_a_client_is_no_key_and_a_key_is_no_client(house: House) -> None:
    text_, key = await house.key()
    client, secret = await house.client()
    assert await tried(house, key, text_) == "client-malformed"
    assert await tried(house, key, secret) == "client-unknown"
    with pytest.raises(Unidentified):
        await house.identity.identify(call(("authorization", f"Bearer {secret}")))
    assert await tried(house, client, secret) == "proven"


@pytest.mark.parametrize("cut", [0, 3, 10, 29, 30, 31, 50, 73, 74, 85])
async def test_every_part_of_a_secret_counts(house: House, cut: int) -> None:
    client, secret = await house.client()
    assert len(secret) == 4 + 26 + 1 + 43 + 12
    other = "z" if secret[cut] != "z" else "y"
    assert await tried(house, client, secret[:cut] + other + secret[cut + 1 :]) in (
        "client-malformed",
        "client-secret-wrong",
    )
    assert house.proofs.computed == 0
    assert await tried(house, client, secret) == "proven"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"confirmed": False}, "key-unconfirmed"),
        ({"minutes": 0}, "key-expired"),
    ],
)
async def test_a_client_holds_as_long_as_its_key(house: House, how: dict[str, Any], reason: str) -> None:
    client, secret = await house.client(**how)
    with pytest.raises(Unidentified):
        await house.identity.client(ClientShown(client, secret), call())
    assert house.identity.strangers.take() == {reason: 1}


# ── what it costs ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_secret_is_computed_once_however_many_ask_and_however_often(house: House) -> None:
    client, secret = await house.client()
    together = await asyncio.gather(*(tried(house, client, secret) for _ in range(30)))
    assert set(together) == {"proven"}
    await house.refresh()
    assert await tried(house, client, secret) == "proven"
    assert house.proofs.computed == 1


async def test_a_guess_costs_no_computation_and_tells_nothing_of_who_is_a_client(house: House) -> None:
    client, _ = await house.client()
    for asked in (client, "key_" + "0" * 26, "nobody", ""):
        assert await tried(house, asked, guess()) == "client-secret-wrong"
        assert await tried(house, asked, "hunter2") == "client-malformed"
    assert house.proofs.computed == 0


async def test_who_can_make_tags_costs_as_much_for_a_client_as_for_nobody(house: House) -> None:
    client, secret = await house.client()
    known = secret[4:30]
    there = forged(f"sec_{known}")
    assert await tried(house, client, there) == "client-unknown"
    assert house.proofs.computed == 1
    assert await tried(house, "key_" + "0" * 26, forged()) == "client-unknown"
    assert house.proofs.computed == 2
    for _ in range(3):
        assert await tried(house, client, there) == "client-unknown"
    await house.refresh()
    assert await tried(house, client, there) == "client-unknown"
    assert house.proofs.computed == 2  # what is wrong once is wrong for ever


async def ended(house: House, client: str) -> None:
    await house.secret(client)


async def revoked(house: House, client: str) -> None:
    await house.store.write(lambda c: revoke_key(c, client, NOW, 99))
    await house.refresh()


async def gone(house: House, client: str) -> None:
    """As after a backup from before its making was put back."""
    rows = await house.store.scan(all_secrets)
    house.clients.replace(row for row in rows if row.client != client)


async def held(house: House, client: str) -> None:
    await house.refresh()


@pytest.mark.parametrize("since", [held, ended, revoked, gone])
@pytest.mark.parametrize("used", [False, True], ids=["not yet shown", "shown before"])
async def test_a_secret_that_was_handed_out_is_computed_once_under_whatever_ids_it_is_sent(
    house: House, since: Callable[[House, str], Awaitable[None]], used: bool
) -> None:
    """Somebody has one, from a former application or an old repository, and makes client ids up: one at a time, and many at once."""
    client, secret = await house.client()
    if used:
        assert await tried(house, client, secret) == "proven"
    await since(house, client)
    made_up = [f"key_{n:026}" for n in range(50)]
    ids = itertools.count()

    async def by_a_stranger(name: str) -> str:
        n = next(ids)
        return await tried(house, name, secret, f"203.0.{n // 250}.{n % 250}")

    first = house.proofs.computed
    told = [await by_a_stranger(name) for name in made_up]
    told += await asyncio.gather(*(by_a_stranger(name) for name in made_up))
    assert set(told) == {"client-unknown"}
    # What was right is a fact of its row; where that is gone, to find out that it is wrong is another computation, and the last.
    once = 0 if used and since is not gone else 1
    assert house.proofs.computed - first == once
    await since(house, client)
    await by_a_stranger(client)
    assert house.proofs.computed - first == once  # rows that are read anew change nothing of it


async def test_who_has_one_secret_keeps_no_client_out_and_nobody_from_making_one(house: House) -> None:
    former, secret = await house.client()
    await revoked(house, former)
    new = [await house.client() for _ in range(3)]
    house.clients._proofs = proofs = CountingProofs(at_once=1)
    # Whether its key holds is looked at after this.
    assert await tried(house, former, secret, STRANGER) == "proven"
    told: list[str] = []

    async def flood() -> None:
        while True:
            n = len(told)
            told.append(await tried(house, f"x{n}", secret, f"203.0.{n // 250 % 250}.{n % 250}"))
            await asyncio.sleep(0)

    flooding = [asyncio.ensure_future(flood()) for _ in range(8)]
    try:
        for client, own in new:
            assert await tried(house, client, own, STRANGER) == "proven"
            assert await house.clients.make(client, NOW, os.urandom)
    finally:
        for one in flooding:
            one.cancel()
        await asyncio.gather(*flooding, return_exceptions=True)
    assert len(told) > 100
    assert set(told) == {"client-unknown"}
    assert proofs.computed == 1 + len(new)


async def test_who_leaves_before_it_is_computed_has_it_computed_once_all_the_same(house: House) -> None:
    client, secret = await house.client()
    await gone(house, client)
    for _ in range(3):
        asking = asyncio.ensure_future(tried(house, "nobody", secret))
        for _ in range(5):  # the computation is under way
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await until(lambda: not house.clients._running)
    assert await tried(house, "nobody", secret) == "client-unknown"
    assert house.proofs.computed == 1


async def test_what_a_row_keeps_now_is_what_counts(house: House) -> None:
    """Rows that are read anew may have a secret that was not there, or keep another: what was found out before says nothing."""
    client, secret = await house.client()
    (row,) = await house.store.scan(all_secrets)
    assert await tried(house, client, secret) == "proven"
    other = replace(row, hash=await house.proofs.hash(b"another"))
    for rows, comes in (([], "unknown"), ([row], "proven"), ([other], "unknown"), ([row], "proven")):
        house.clients.replace(rows)
        assert (await tried(house, client, secret)).endswith(comes)
    house.clients.replace([replace(row, client="key_other")])
    assert await tried(house, client, secret) == "client-unknown"
    assert await tried(house, "key_other", secret) == "proven"


async def test_a_row_that_is_replaced_while_its_secret_is_computed_proves_nothing(house: House) -> None:
    client, secret = await house.client()
    (row,) = await house.store.scan(all_secrets)
    other = replace(row, hash=await house.proofs.hash(b"another"))
    asking = asyncio.ensure_future(tried(house, client, secret))
    await asyncio.sleep(0)
    house.clients.replace([other])
    assert await asking == "client-unknown"


class Instant(Proofs):
    """No text is what is kept; for the bound of what is remembered, which takes thousands of them."""

    async def equal(self, kept: str, secret: bytes) -> bool:
        return False


async def test_what_is_remembered_of_texts_is_bounded(house: House) -> None:
    client, secret = await house.client()
    assert await tried(house, client, secret) == "proven"
    house.clients._proofs = Instant(1)
    for n in range(4_100):
        await tried(house, f"x{n}", forged(new_id("sec")), f"203.{n // 250}.0.{n % 250}")
    assert len(house.clients._wrong) == 4_096
    # By what is remembered: nothing is right for this argon2id.
    assert await tried(house, client, secret) == "proven"
    house.clients.replace([])
    assert (house.clients._right, house.clients._running) == ({}, {})


async def test_so_many_computations_at_once_and_no_more(store: Store, house: House) -> None:
    proofs = CountingProofs(at_once=1)
    house.clients._proofs = proofs
    one, two = await house.client(), await house.client()
    told = await asyncio.gather(tried(house, *one), tried(house, *two))
    assert sorted(told) == ["proven", "too-many"]
    left = two if told[0] == "proven" else one
    assert await tried(house, *left) == "proven"
    with pytest.raises(Refused) as caught:
        await asyncio.gather(*(proofs.hash(b"x") for _ in range(2)))
    assert (caught.value.code, caught.value.params["retry_after_seconds"]) == (Code.TOO_MANY, 1)


async def test_a_caller_who_leaves_gives_no_place_away_that_is_not_free(house: House) -> None:
    proofs = CountingProofs(at_once=1)
    leaving = asyncio.ensure_future(proofs.hash(b"x"))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    with pytest.raises(Refused, match="too-many"):
        await proofs.hash(b"y")
    async with asyncio.timeout(10):
        while True:
            try:
                await proofs.hash(b"y")
                break
            except Refused:
                await asyncio.sleep(0.01)


async def test_what_is_kept_is_argon2id_with_these_parameters(house: House) -> None:
    _, secret = await house.client()
    (row,) = await house.store.scan(all_secrets)
    assert (MEMORY_KIB, PASSES, LANES) == (19_456, 2, 1)
    assert row.hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert secret not in repr(row) + row.hash
    assert row.hash not in repr(row)
    assert house.proofs.nobody.rpartition("$")[0].rpartition("$")[0] == "$argon2id$v=19$m=19456,t=2,p=1"
    assert await house.proofs.equal(house.proofs.nobody, secret.encode()) is False


# ── nobody keeps a client out ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stranger_who_guesses_is_slowed_and_the_client_is_not(house: House) -> None:
    client, secret = await house.client()
    told = [await tried(house, client, guess(), STRANGER) for _ in range(200)]
    assert told == ["client-secret-wrong"] * 10 + ["too-many"] * 190
    # Never proven before, from the stranger's own address (one proxy for all), in the middle of the flood.
    assert await tried(house, client, secret, STRANGER) == "proven"
    assert await tried(house, client, secret, OWN) == "proven"
    assert await tried(house, client, guess(), STRANGER) == "too-many"


async def test_guesses_at_one_client_from_many_addresses_are_slowed_too(house: House) -> None:
    client, secret = await house.client()
    told = [await tried(house, client, guess(), f"203.0.{n // 250}.{n % 250}") for n in range(50)]
    assert told == ["client-secret-wrong"] * 10 + ["too-many"] * 40
    assert await tried(house, client, secret) == "proven"
    other, another = await house.client()
    assert await tried(house, other, guess(), OWN) == "client-secret-wrong"
    assert await tried(house, other, another, OWN) == "proven"


async def test_a_client_that_is_known_passes_while_all_computations_are_taken(house: House) -> None:
    client, secret = await house.client()
    assert await tried(house, client, secret) == "proven"
    taken = [house.proofs._free.acquire(blocking=False) for _ in range(2)]
    assert taken == [True, True]
    assert await tried(house, client, secret) == "proven"
    assert await tried(house, client, forged(), OWN) == "too-many"


def test_one_more_try_every_six_seconds_and_one_network_of_ipv6_is_one_source() -> None:
    attempts, now = Attempts(), NOW
    for n in range(10):
        attempts.wrong(f"2001:db8:1:2::{n:x}", f"client-{n}", now)
    with pytest.raises(Refused) as caught:
        attempts.wrong("2001:db8:1:2:ffff::1", "client-x", now)
    assert caught.value.params["retry_after_seconds"] == 7
    attempts.wrong("2001:db8:1:3::1", "client-y", now)
    now += timedelta(seconds=6)
    attempts.wrong("2001:db8:1:2::1", "client-z", now)
    with pytest.raises(Refused):
        attempts.wrong("2001:db8:1:2::1", "client-z", now)
    for n in range(10):
        attempts.wrong("::ffff:198.51.100.7", f"m-{n}", now)
    with pytest.raises(Refused):
        attempts.wrong("198.51.100.7", "m-x", now)
    attempts.wrong("unix", "m-y", now)


def test_what_is_remembered_of_strangers_is_bounded() -> None:
    attempts = Attempts()
    for n in range(10_050):
        attempts.wrong(f"source-{n}", f"client-{n}", NOW)
    assert (len(attempts._sources), len(attempts._clients)) == (10_000, 10_000)


async def test_rows_that_are_read_while_a_secret_is_computed_count_for_the_next_who_asks(
    house: House,
) -> None:
    """A secret that another process made: unknown here, asked for, and its row read before the computation ends."""
    _, client = await house.key()
    text_, made = await house.clients.make(client, NOW, os.urandom)
    await house.store.write(lambda c: insert_secret(c, made))
    asking = asyncio.ensure_future(tried(house, client, text_))
    await asyncio.sleep(0)
    await house.refresh()
    assert await tried(house, client, text_) == "proven"
    assert await asking in ("proven", "client-unknown")
    assert await tried(house, client, text_) == "proven"


# ── another secret ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_another_secret_ends_those_before_it_at_once_or_after_a_while(house: House) -> None:
    client, first = await house.client()
    second = await house.secret(client, overlap_seconds=3600)
    assert (await tried(house, client, first), await tried(house, client, second)) == ("proven", "proven")
    house.clock.pass_(seconds=3599)
    assert await tried(house, client, first) == "proven"
    house.clock.pass_(seconds=1)
    assert await tried(house, client, first) == "client-secret-ended"
    assert await tried(house, client, second) == "proven"
    third = await house.secret(client)
    assert await tried(house, client, second) == "client-secret-ended"
    assert await tried(house, client, third) == "proven"


async def test_at_once_is_an_order_and_asks_no_clock(house: House) -> None:
    client, first = await house.client()
    house.clock.pass_(hours=-1)  # this process's clock is behind that of the one that made the second
    ahead = house.clock.now + timedelta(minutes=30)
    text_, made = await house.clients.make(client, ahead, os.urandom)
    await house.store.write(lambda c: insert_secret(c, made))
    await house.refresh()
    assert await tried(house, client, first) == "client-secret-ended"
    assert await tried(house, client, text_) == "proven"


SECRETS = st.lists(
    st.tuples(st.sampled_from(["key_a", "key_b"]), st.sampled_from([0, 60, 3600]), st.booleans()), max_size=6
)


@given(made=SECRETS, after=st.integers(0, 4000))
def test_a_secret_holds_until_a_later_one_that_stands_says_otherwise(
    made: list[tuple[str, int, bool]], after: int
) -> None:
    rows = [
        ClientSecret(f"sec_{n}", client, "h", NOW + timedelta(seconds=n), overlap, n, NOW if ended else None)
        for n, (client, overlap, ended) in enumerate(made)
    ]
    now = NOW + timedelta(seconds=after)
    found = standings(reversed(rows))
    for n, row in enumerate(rows):
        later = [r for r in rows[n + 1 :] if r.client == row.client and r.ended_at is None]
        ends = [r.created + timedelta(seconds=r.overlap_seconds) for r in later]
        at_once = any(r.overlap_seconds == 0 for r in later)
        holds = row.ended_at is None and not at_once and all(now < end for end in ends)
        assert found[row.id].holds(now) is holds
    last = {row.client: row for row in rows if row.ended_at is None}
    assert all(found[row.id].holds(now) for row in last.values())


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_secrets_row_comes_back_as_it_went_in(each_store: Store) -> None:
    other = ClientSecret("sec_2", "key_2", "h", NOW, 0, 42)
    await each_store.write(lambda c: (insert_secret(c, SECRET), insert_secret(c, other)))
    assert await each_store.scan(all_secrets) == [SECRET, other]
    assert await each_store.read(lambda c: secrets_of(c, "key_1")) == [SECRET]
    assert await each_store.read(client_ids) == {"key_1", "key_2"}
    assert await each_store.write(lambda c: end_secret_of(c, 41, NOW, 50)) is True
    assert await each_store.write(lambda c: end_secret_of(c, 41, NOW, 51)) is False
    assert await each_store.write(lambda c: end_secret_of(c, 99, NOW, 51)) is False
    assert (await each_store.scan(all_secrets))[0].ended_at == NOW


@pytest.mark.parametrize(
    "change",
    [
        {"ended_at": None},
        {"end_intent": 9},
        {"hash": "other"},
        {"client": "key_2"},
        {"created": NOW},
        {"overlap_seconds": 9_999},
        {"intent": 7},
        {"id": "sec_9"},
    ],
)
async def test_the_store_refuses_to_give_a_secret_back_or_to_put_another_in_its_place(
    each_store: Store, change: dict[str, object]
) -> None:
    await each_store.write(lambda c: insert_secret(c, SECRET))
    await each_store.write(lambda c: end_secret_of(c, 41, NOW, 50))
    with pytest.raises((exc.IntegrityError, Unavailable)):
        await each_store.write(lambda c: c.execute(update(CLIENT_SECRETS).values(**change)))
    with pytest.raises((exc.IntegrityError, Unavailable)):
        await each_store.write(lambda c: c.execute(delete(CLIENT_SECRETS)))
    if each_store.dialect == "postgresql":
        with pytest.raises((exc.IntegrityError, Unavailable)):
            await each_store.write(lambda c: c.execute(text("TRUNCATE client_secrets")))
    assert [row.id for row in await each_store.scan(all_secrets)] == ["sec_1"]
