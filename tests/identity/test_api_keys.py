"""API keys: what holds, what does not, and that nobody can tell the ways of not holding apart."""

from __future__ import annotations

import hmac
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity import ApiKey, confirm_key, keytext, read_key, revoke_key
from gateway.identity.apikeys import _Row
from gateway.words.errors import Unidentified
from gateway.words.principal import RoleHeld
from tests.identity.identity_house import NOW, House, bearer, call


async def refusal(house: House, *headers: tuple[str, str]) -> str:
    """The reason that was counted for a refused call; the caller learns none of it."""
    with pytest.raises(Unidentified) as caught:
        await house.identity.identify(call(*headers))
    assert (caught.value.code.value, dict(caught.value.params)) == ("unidentified", {})
    ((reason, number),) = house.identity.strangers.take().items()
    assert number == 1
    return reason


async def test_a_key_says_which_application_asks_with_which_roles_and_purposes(house: House) -> None:
    text, key_id = await house.key()
    who = await house.identity.identify(call(bearer(text)))
    assert who.application.id == "app:desk"
    assert who.application.roles == {
        RoleHeld("role:app-desk", "*"),
        RoleHeld("role:agent", "branch:shanghai"),
    }
    assert who.purposes == {"service"}
    assert who.person is None
    assert who.proven == (f"api-key:{key_id}",)
    assert house.identity.strangers.take() == {}


async def test_the_scheme_is_read_in_any_case_and_nothing_else_is(house: House) -> None:
    text, _ = await house.key()
    assert (
        await house.identity.identify(call(("authorization", f"bEARER {text}")))
    ).application.id == "app:desk"
    for value in (
        text,
        f"Basic {text}",
        f"Bearer  {text}",
        f"Bearer {text} ",
        f" Bearer {text}",
        f"Bearer\t{text}",
        "Bearer",
    ):
        assert await refusal(house, ("authorization", value)) == "key-malformed"


async def test_none_and_two_credentials_are_refused_even_when_both_hold(house: House) -> None:
    text, _ = await house.key()
    assert await refusal(house) == "no-credential"
    assert await refusal(house, bearer(text), bearer(text)) == "several-credentials"


async def test_a_key_in_another_header_is_no_credential(house: House) -> None:
    text, _ = await house.key()
    for name in ("proxy-authorization", "x-api-key", "cookie", "gatehouse-person"):
        assert await refusal(house, (name, f"Bearer {text}")) == "no-credential"


async def test_a_key_that_ends_is_refused_from_that_moment_without_a_refresh(house: House) -> None:
    text, _ = await house.key(minutes=10)
    house.clock.pass_(minutes=10, microseconds=-1)
    assert (await house.identity.identify(call(bearer(text)))).application.id == "app:desk"
    house.clock.pass_(microseconds=1)
    assert await refusal(house, bearer(text)) == "key-expired"


async def test_a_revoked_key_is_refused_after_a_refresh_and_cannot_come_back(house: House) -> None:
    text, key_id = await house.key()
    assert await house.store.write(lambda c: revoke_key(c, key_id, house.clock(), 7)) is True
    assert await house.store.write(lambda c: revoke_key(c, key_id, house.clock() + timedelta(1), 8)) is False
    await house.refresh()
    assert await refusal(house, bearer(text)) == "key-revoked"
    assert await house.store.write(lambda c: confirm_key(c, key_id, house.clock())) is False


async def test_an_unconfirmed_key_is_refused_and_valid_as_soon_as_it_is_confirmed(house: House) -> None:
    text, key_id = await house.key(confirmed=False)
    assert await refusal(house, bearer(text)) == "key-unconfirmed"
    await house.store.write(lambda c: confirm_key(c, key_id, house.clock()))
    assert (await house.identity.identify(call(bearer(text)))).application.id == "app:desk"


async def test_an_unconfirmed_key_that_was_revoked_never_becomes_valid(house: House) -> None:
    text, key_id = await house.key(confirmed=False)
    await house.store.write(lambda c: revoke_key(c, key_id, house.clock(), 7))
    assert await house.store.write(lambda c: confirm_key(c, key_id, house.clock())) is False
    assert await refusal(house, bearer(text)) == "key-revoked"


async def test_an_id_with_the_secret_of_another_key_is_refused(house: House) -> None:
    one, _ = await house.key()
    two, _ = await house.key()
    body = one[:30] + two[30:-7]
    assert await refusal(house, bearer(body + keytext._checksum(body))) == "secret-wrong"


async def test_every_refusal_costs_one_hash_and_one_comparison(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, _ = await house.key()
    expired, _ = await house.key(minutes=0)
    revoked, revoked_id = await house.key()
    await house.store.write(lambda c: revoke_key(c, revoked_id, house.clock(), 7))
    await house.refresh()
    unknown, _ = keytext.write("key_" + "7" * 26, b"u" * 32)
    wrong = good[:-8] + ("A" if good[-8] != "A" else "B")
    wrong += keytext._checksum(wrong)
    compared: list[tuple[int, int]] = []
    honest = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return honest(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    seen = {}
    cases = {
        "good": [bearer(good)],
        "expired": [bearer(expired)],
        "revoked": [bearer(revoked)],
        "unknown": [bearer(unknown)],
        "wrong": [bearer(wrong)],
        "typo": [bearer(good[:-1] + ("0" if good[-1] != "0" else "1"))],
        "garbage": [bearer("x" * 5000)],
        "none": [],
        "two": [bearer(good), bearer(good)],
    }
    for name, headers in cases.items():
        house.hashing.asked.clear()
        compared.clear()
        values = [value for _, value in headers]
        house.identity._keys.check(values, house.clock())
        seen[name] = (len(house.hashing.asked), list(compared))
    assert seen == {name: (1, [(32, 32)]) for name in cases}


def held(number: int) -> list[ApiKey]:
    return [
        ApiKey(f"key_{n:026}", bytes([n]) * 32, "app:desk", frozenset(), frozenset(), NOW, NOW, n)
        for n in range(1, number + 1)
    ]


@pytest.mark.parametrize("number", [0, 1, 2, 37])
def test_each_id_leads_to_its_own_key_and_any_other_to_some_neighbour(number: int) -> None:
    keys = held(number)
    row = _Row(keys)
    assert [row.get(key.id) for key in keys] == keys
    assert sorted(key.id for key in row.keys()) == [key.id for key in keys]  # noqa: SIM118  # not a mapping's
    for n in range(100, 200):
        assert row.get(f"key_{n:026}") is None
        assert row.nearest(f"key_{n:026}").key in (None, *keys)


def test_two_ids_with_one_hash_lead_to_two_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = _Row._place
    monkeypatch.setattr(_Row, "_place", lambda row, name: honest(row, name) if row._salt > 2 else 7)
    keys = held(5)
    assert [_Row(keys).get(key.id) for key in keys] == keys


async def test_the_database_holds_no_secret_and_the_digest_is_not_shown(house: House) -> None:
    text, key_id = await house.key()
    key = await house.store.read(lambda c: read_key(c, key_id))
    assert key is not None
    assert text[30:73].encode() not in key.digest
    assert "digest" not in repr(key)
    assert "secret" not in repr(keytext.read(text))


@given(st.binary(min_size=32, max_size=32))
def test_a_key_is_read_as_it_was_written(random: bytes) -> None:
    text, written = keytext.write("key_0123456789abcdefghjkmnpqrs", random)
    assert len(text) == 80
    assert keytext.read(text) == written


@given(st.integers(0, 79), st.characters())
def test_a_key_with_any_one_character_changed_is_no_key(place: int, character: str) -> None:
    text, _ = keytext.write("key_0123456789abcdefghjkmnpqrs", b"r" * 32)
    changed = text[:place] + character + text[place + 1 :]
    assert (keytext.read(changed) is None) == (changed != text)


@given(st.text())
def test_no_text_makes_the_reader_raise(text: str) -> None:
    assert keytext.read(text) is None
    assert keytext.read("gh_" + text) is None


def test_the_format_of_a_key_is_pinned() -> None:
    text, _ = keytext.write("key_0123456789abcdefghjkmnpqrs", bytes(range(32)))
    assert text == "gh_0123456789abcdefghjkmnpqrs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh83dfvx82"


async def test_a_key_that_was_proven_is_proven_again_when_the_keys_were_read_anew(house: House) -> None:
    text, key_id = await house.key()
    before = len(house.hashing.asked)
    for _ in range(3):
        await house.identity.identify(call(bearer(text)))
    assert len(house.hashing.asked) == before + 1
    await house.identity.load()
    await house.identity.identify(call(bearer(text)))
    assert len(house.hashing.asked) == before + 2
    await house.store.write(lambda connection: revoke_key(connection, key_id, house.clock(), 9))
    await house.identity.load()
    assert await refusal(house, bearer(text)) == "key-revoked"


async def test_a_key_that_was_proven_ends_all_the_same(house: House) -> None:
    text, _ = await house.key(minutes=5)
    await house.identity.identify(call(bearer(text)))
    house.clock.pass_(minutes=6)
    assert await refusal(house, bearer(text)) == "key-expired"
