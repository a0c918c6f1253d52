"""Access tokens of our own in the place of a key: what they say, that they say no more than the key's row, and what ends them."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from gateway.identity import AccessTokens, Identity, Terms, access, revoke_key
from gateway.identity.issuers import Issuer
from gateway.identity.jwks import read_keys
from gateway.identity.persons import Persons, Proven
from gateway.keys import Keyring, SigningKey, TokenKeys
from gateway.keys.material import Kek, Material
from gateway.wire.json import dump
from gateway.words.errors import Code, GatehouseError, Misconfigured, Refused, Unidentified
from gateway.words.ids import new_id
from gateway.words.principal import Party, Principal, RoleHeld
from tests.identity.identity_house import GATEWAY, NOW, RING, House, bearer, call
from tests.identity.test_persons import jwks

SECONDS = int(NOW.timestamp())
HOURS = timedelta(hours=1)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims."""
    first, second, _ = token.split(".")
    header, claims = (
        json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) for text in (first, second)
    )
    return header, claims


def segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: Mapping[str, Any], claims: Mapping[str, Any], key: SigningKey | None = None) -> str:
    """A token signed by the gateway's own key of that moment, or another."""
    text = f"{segment(dump(dict(header)))}.{segment(dump(dict(claims)))}"
    return f"{text}.{segment((key or TokenKeys(RING).at(NOW)).sign(text.encode()))}"


async def who(house: House, token: str, *headers: tuple[str, str]) -> Principal:
    return await house.identity.identify(call(bearer(token), *headers))


async def why(house: House, token: str, *headers: tuple[str, str]) -> str:
    """The reason that is counted for one refusal."""
    house.identity.strangers.take()
    with pytest.raises((Unidentified, Refused)) as caught:
        await who(house, token, *headers)
    assert caught.value.code in (Code.UNIDENTIFIED, Code.PERSON_UNPROVEN)
    (reason,) = house.identity.strangers.take()
    return reason


# ── what a token says ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_token_is_its_clients_key(house: House) -> None:
    client, secret = await house.client()
    found = await who(house, await house.token(client, secret))
    assert found.application.id == "app:desk"
    assert found.application.roles == {RoleHeld("role:app-desk"), RoleHeld("role:agent", "branch:shanghai")}
    assert (found.person, found.purposes, found.proven) == (None, {"service"}, (f"access-token:{client}",))


async def test_its_form_is_everybodys_and_it_names_no_role(house: House) -> None:
    client, secret = await house.client()
    header, claims = parts(await house.token(client, secret))
    key = TokenKeys(RING).at(NOW)
    assert header == {"alg": "EdDSA", "kid": key.kid, "typ": "at+jwt"}
    assert claims.pop("jti").startswith("tok_")
    assert claims.pop("secret").startswith("sec_")
    assert claims == {
        "iss": GATEWAY,
        "aud": "gatehouse",
        "sub": "app:desk",
        "client_id": client,
        "iat": SECONDS,
        "exp": SECONDS + 900,
    }


async def test_a_stranger_with_the_key_set_can_check_it(house: House, tmp_path: Path) -> None:
    client, secret = await house.client()
    (tmp_path / "ours.json").write_bytes(dump(house.tokens.jwks(NOW)))
    other = Persons(
        [Issuer(GATEWAY, tmp_path / "ours.json", "gatehouse", frozenset({"EdDSA"}), {client: "app:desk"})],
        None,
    )
    other.take(other.read())
    proven = await other.prove(await house.token(client, secret), "app:desk", NOW)
    assert proven.party.id == f"person:{GATEWAY}#app:desk"


async def test_it_may_be_limited_to_some_purposes_and_never_widened(house: House) -> None:
    client, secret = await house.client()
    assert (await who(house, await house.token(client, secret, None, "service"))).purposes == {"service"}
    assert (await who(house, await house.token(client, secret, None, "audit"))).purposes == set()


async def test_what_is_remembered_of_a_key_is_not_taken_for_what_it_is_now(house: House) -> None:
    client, _ = await house.client()
    key = house.identity._keys.named(client, NOW).key
    assert key is not None
    assert house.identity._by_itself(key, "x", key.purposes).application.roles
    now = dataclasses.replace(key, roles=frozenset())
    assert not house.identity._by_itself(now, "x", key.purposes).application.roles


async def test_who_may_limit_his_tokens_in_many_ways_does_not_fill_the_memory(house: House) -> None:
    names = [f"p{number}" for number in range(13)]
    client, _ = await house.client()
    key = house.identity._keys.named(client, NOW).key
    assert key is not None
    for number in range(2**13):
        some = frozenset(name for bit, name in enumerate(names) if number >> bit & 1)
        assert house.identity._by_itself(key, "x", some).purposes == some
    assert len(house.identity._alone) <= 4096
    assert house.identity._by_itself(key, "x", some) is house.identity._by_itself(key, "x", some)


# ── what is no token of ours ─────────────────────────────────────────────────────────────────────────────────────────

OTHER_RING = Keyring(Material(b"s" * 32, (Kek(1, "2026-11-21T00:00:00Z", b"k" * 32),), "another house"))


def changed(name: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    return lambda header, claims: signed(header, {**claims, name: value})


def headed(**change: Any) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    return lambda header, claims: signed({**header, **change}, claims)


FORGED: dict[str, Callable[[dict[str, Any], dict[str, Any]], str]] = {
    "by another house": lambda h, c: signed(
        {**h, "kid": TokenKeys(OTHER_RING).at(NOW).kid}, c, TokenKeys(OTHER_RING).at(NOW)
    ),
    "by another house under our key's name": lambda h, c: signed(h, c, TokenKeys(OTHER_RING).at(NOW)),
    "by tomorrow's key": lambda h, c: signed(
        {**h, "kid": TokenKeys(RING).at(NOW + 24 * HOURS).kid}, c, TokenKeys(RING).at(NOW + 24 * HOURS)
    ),
    "by yesterday's key": lambda h, c: signed(
        {**h, "kid": TokenKeys(RING).at(NOW - 24 * HOURS).kid}, c, TokenKeys(RING).at(NOW - 24 * HOURS)
    ),
    "no algorithm": headed(alg="none"),
    "a symmetric algorithm": headed(alg="HS256"),
    "another name of the algorithm": headed(alg="Ed25519"),
    "no access token": headed(typ="JWT"),
    "a key of its own": headed(jwk={"kty": "OKP"}),
    "another issuer": changed("iss", "https://id.demo.example"),
    "another audience": changed("aud", "crm"),
    "several audiences": changed("aud", ["gatehouse", "crm"]),
    "roles of its own": changed("roles", ["role:security-admin"]),
    "good for longer than we ever give": changed("exp", SECONDS + 901),
    "from the future": lambda h, c: signed(h, {**c, "iat": SECONDS + 31, "exp": SECONDS + 60}),
    "from before time": lambda h, c: signed(h, {**c, "iat": -(10**18), "exp": SECONDS + 60}),
    "a time that is a text": changed("exp", str(SECONDS + 60)),
    "a time that is a fraction": changed("exp", SECONDS + 60.5),
    "an actor and nobody he acts for": changed("act", {"sub": "app:desk"}),
    "a person and no actor": changed("person", {"how": "token:EdDSA", "issuer": "https://id.demo.example", "kid": "k"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
async def test_what_we_did_not_make_is_refused(house: House, name: str) -> None:
    client, secret = await house.client()
    good = await house.token(client, secret)
    assert await why(house, FORGED[name](*parts(good))) == "access-refused"
    assert await who(house, good)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often anything was signed, and any JSON read, to judge tokens."""
    done: Counter[str] = Counter()
    sign, read = SigningKey.sign, access.members

    def signing(self: SigningKey, data: bytes) -> bytes:
        done["signed"] += 1
        return sign(self, data)

    def reading(segment_: str) -> dict[str, Any]:
        done["read"] += 1
        return read(segment_)

    monkeypatch.setattr(SigningKey, "sign", signing)
    monkeypatch.setattr(access, "members", reading)
    return done


async def test_what_we_did_not_sign_is_not_read_and_what_cannot_be_ours_is_not_even_held_to_a_key(
    house: House, work: Counter[str]
) -> None:
    """Strangers send what they like: a forged token costs one signature at most, and no JSON."""
    client, secret = await house.client()
    good = await house.token(client, secret)
    head, claims, signature = good.split(".")
    forged = segment(os.urandom(63) + b"\1")
    room = 4096 - len(head) - len(signature) - 2
    dear = {
        "another signature": f"{head}.{claims}.{forged}",
        "the longest": f"{head}.{'A' * room}.{forged}",
    }
    cheap = {
        "a character too many": f"{head}.{'A' * (room + 1)}.{forged}",
        "very long": f"{head}.{'A' * 20_000}.{forged}",
        "a signature that is short": f"{head}.{claims}.{forged[:-1]}",
        "a signature that is long": f"{head}.{claims}.{forged}AA",
        "a signature in another spelling": f"{head}.{claims}.{forged[:-1]}B",
        "no signature": f"{head}.{claims}.",
        "two segments": f"{head}.{claims}",
        "four segments": f"{head}.{claims}.{forged}.{forged}",
        "another key's name": f"{segment(dump({'alg': 'EdDSA', 'kid': 'x' * 43, 'typ': 'at+jwt'}))}.{claims}.{forged}",
        "an empty header": f"e30.{claims}.{forged}",
        "no ASCII": f"{head}.{claims}\u00e9.{forged}",
    }
    work.clear()
    for name, text in dear.items():
        assert await why(house, text) == "access-refused", name
    assert work == {"signed": 2}
    for name, text in cheap.items():
        assert await why(house, text) == "access-refused", name
    assert work == {"signed": 2}
    assert await who(house, good)
    assert work == {"signed": 3, "read": 1}


async def test_a_header_has_one_spelling(house: House) -> None:
    client, secret = await house.client()
    header, claims = parts(await house.token(client, secret))
    for spelled in (json.dumps(header), json.dumps(dict(reversed(header.items())), separators=(",", ":"))):
        assert json.loads(spelled) == header
        text = f"{segment(spelled.encode())}.{segment(dump(claims))}"
        by_us = segment(TokenKeys(RING).at(NOW).sign(text.encode()))
        assert await why(house, f"{text}.{by_us}") == "access-refused"
    assert await who(house, signed(header, claims))


async def test_the_longest_that_we_make_is_taken(house: House) -> None:
    issuer = "https://id.example/" + "r" * 131
    tokens = AccessTokens(TokenKeys(RING), Terms("https://gateway.example/" + "x" * 126, "a" * 150))
    person = Proven(
        Party(f"person:{issuer}#" + "s" * 128), "token:EdDSA", SECONDS + 900.0, issuer, "\u00e9" * 256
    )
    scope = frozenset(f"p{n:040}" for n in range(20))
    made = tokens.mint(
        client=new_id("key"),
        secret=new_id("sec"),
        application="app:" + "a" * 63,
        purposes=scope,
        person=person,
        now=NOW,
    )
    assert 3_400 < len(made.text) <= 3_500
    said = tokens.verify(made.text, NOW)
    assert (said.purposes, said.person) == (scope, person)
    tokens.remember(made.text, said, 1)
    assert tokens.known(made.text, NOW, 1) is said


async def test_a_token_whose_key_is_not_shown_any_more_is_none(house: House) -> None:
    client, secret = await house.client()
    old = await house.token(client, secret)
    house.clock.pass_(hours=24)
    assert await why(house, old) == "access-ended"
    house.clock.pass_(hours=24)
    assert await why(house, old) == "access-refused"


async def test_every_bit_counts(house: House) -> None:
    client, secret = await house.client()
    good = await house.token(client, secret)
    for place in range(0, len(good), 7):
        other = "B" if good[place] == "A" else "A"
        assert await why(house, good[:place] + other + good[place + 1 :]) in (
            "access-refused",
            "key-malformed",
        )
    assert await why(house, good + "A") == "access-refused"
    assert await why(house, good + ".A") == "access-refused"
    assert await why(house, "a.b") == "access-refused"


async def test_a_persons_token_is_no_clients(house: House) -> None:
    client, secret = await house.client()
    assert await why(house, house.demo.mint("li.wei", "app:desk", 10, now=NOW)) == "access-refused"
    token = await house.token(client, secret)
    key, _ = await house.key()
    assert await why(house, key, ("gatehouse-person", token)) == "issuer-unknown"


async def test_two_credentials_are_none(house: House) -> None:
    client, secret = await house.client()
    token = await house.token(client, secret)
    with pytest.raises(Unidentified):
        await house.identity.identify(call(bearer(token), bearer(token)))
    with pytest.raises(Unidentified):
        await house.identity.identify(call(("authorization", f"Basic {token}")))


def test_who_issues_persons_tokens_does_not_have_our_name(house: House) -> None:
    issuer = dataclasses.replace(house.demo.terms(), issuer=GATEWAY)
    with pytest.raises(Misconfigured, match="this gateway's own name"):
        Identity(
            store=house.store,
            keyed_hash=house.hashing,
            issuers=(issuer,),
            clock=house.clock,
            clients=house.clients,
            tokens=house.tokens,
        )


# ── what ends a token ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("used", [True, False], ids=["remembered", "not yet seen"])
async def test_a_token_ends_by_itself(house: House, used: bool) -> None:
    client, secret = await house.client()
    token = await house.token(client, secret)
    if used:
        await who(house, token)
    house.clock.pass_(seconds=899)
    assert await who(house, token)
    house.clock.pass_(seconds=1)
    assert await why(house, token) == "access-ended"


@pytest.mark.parametrize("used", [True, False], ids=["remembered", "not yet seen"])
async def test_a_revoked_client_has_no_token(house: House, used: bool) -> None:
    client, secret = await house.client()
    token = await house.token(client, secret)
    if used:
        await who(house, token)
    await house.store.write(lambda c: revoke_key(c, client, NOW, 50))
    await house.refresh()
    assert await why(house, token) == "key-revoked"


async def test_a_client_that_ends_takes_its_tokens_with_it(house: House) -> None:
    client, secret = await house.client(minutes=5)
    token = await house.token(client, secret)
    assert await who(house, token)
    house.clock.pass_(minutes=5)
    assert await why(house, token) == "key-expired"


@pytest.mark.parametrize("used", [True, False], ids=["remembered", "not yet seen"])
async def test_a_secret_that_is_replaced_takes_its_tokens_with_it(house: House, used: bool) -> None:
    client, secret = await house.client()
    token = await house.token(client, secret)
    if used:
        await who(house, token)
    new = await house.secret(client, overlap_seconds=60)
    assert await who(house, token)
    house.clock.pass_(seconds=60)
    assert await why(house, token) == "client-secret-ended"
    assert await who(house, await house.token(client, new))


async def test_a_key_signs_for_a_day_and_its_tokens_outlive_that_day(house: House) -> None:
    house.clock.now = datetime.fromisoformat("2026-11-21T23:59:00+00:00")
    client, secret = await house.client()
    old = await house.token(client, secret)
    house.clock.pass_(minutes=2)
    new = await house.token(client, secret)
    assert parts(old)[0]["kid"] != parts(new)[0]["kid"]
    assert await who(house, old)
    assert await who(house, new)
    kids = [entry["kid"] for entry in house.tokens.jwks(house.clock.now)["keys"]]  # type: ignore[index,union-attr,call-overload]
    assert kids[:2] == [parts(new)[0]["kid"], parts(old)[0]["kid"]]
    # Who reads the set now has the key of tomorrow before anything is signed by it.
    assert kids[2] == TokenKeys(RING).at(house.clock.now + 24 * HOURS).kid
    assert len(read_keys(dump(house.tokens.jwks(house.clock.now)))) == 3


async def test_another_process_with_the_same_key_file_takes_it(house: House) -> None:
    client, secret = await house.client()
    token = await house.token(client, secret)
    again = Keyring(Material(b"r" * 32, (Kek(7, "2026-11-21T00:00:00Z", b"n" * 32),), "a new wrapping key"))
    other = AccessTokens(TokenKeys(again), Terms(GATEWAY, "gatehouse"))
    assert other.verify(token, NOW).client == client


async def test_a_token_is_verified_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client, secret = await house.client()
    token = await house.token(client, secret)
    looked = 0
    real = SigningKey.signed

    def counting(self: SigningKey, data: bytes, signature: bytes) -> bool:
        nonlocal looked
        looked += 1
        return real(self, data, signature)

    monkeypatch.setattr(SigningKey, "signed", counting)
    for _ in range(5):
        await who(house, token)
        await house.refresh()
    assert looked == 1


# ── for a person ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_exchanged_token_is_the_key_and_the_persons_header(house: House) -> None:
    client, secret = await house.client()
    person = house.demo.mint("li.wei", "app:desk", 10, now=NOW)
    beside = await who(house, await house.token(client, secret), ("gatehouse-person", person))
    exchanged = await house.token(client, secret, person)
    assert await who(house, exchanged) == beside
    key, _ = await house.key()
    by_key = await who(house, key, ("gatehouse-person", person))
    assert dataclasses.replace(by_key, proven=beside.proven) == beside
    assert beside.proven == (f"access-token:{client}", "token:EdDSA")
    _, claims = parts(exchanged)
    assert (claims["sub"], claims["act"]) == ("person:https://id.demo.example#li.wei", {"sub": "app:desk"})
    assert claims["exp"] == SECONDS + 600


async def test_it_ends_with_the_persons_own_token(house: House) -> None:
    client, secret = await house.client()
    person = house.demo.mint("li.wei", "app:desk", 15, now=NOW - timedelta(minutes=12))
    exchanged = await house.token(client, secret, person)
    house.clock.pass_(seconds=179)
    assert (await who(house, exchanged)).person is not None
    house.clock.pass_(seconds=1)
    assert await why(house, exchanged) == "access-ended"


async def test_another_applications_person_is_exchanged_for_nothing(house: House) -> None:
    client, secret = await house.client()
    for person in (
        house.demo.mint("li.wei", "app:other", 10, now=NOW),
        house.demo.mint("li.wei", "app:desk", 10, now=NOW - timedelta(minutes=16)),
        await house.token(client, secret),
        "x",
    ):
        with pytest.raises(GatehouseError) as caught:
            await house.token(client, secret, person)
        assert caught.value.code is Code.PERSON_UNPROVEN


async def test_who_has_a_person_in_his_token_shows_no_other(house: House) -> None:
    client, secret = await house.client()
    person = house.demo.mint("li.wei", "app:desk", 10, now=NOW)
    exchanged = await house.token(client, secret, person)
    assert await why(house, exchanged, ("gatehouse-person", person)) == "several-tokens"


@pytest.mark.parametrize("used", [True, False], ids=["remembered", "not yet seen"])
async def test_a_withdrawn_key_of_the_issuer_ends_what_was_exchanged_by_it(house: House, used: bool) -> None:
    client, secret = await house.client()
    plain = await house.token(client, secret)
    exchanged = await house.token(client, secret, house.demo.mint("li.wei", "app:desk", 10, now=NOW))
    if used:
        await who(house, exchanged)
    house.demo.terms().jwks.write_bytes(jwks("ed"))  # type: ignore[union-attr]  # the demo's is a file
    await house.identity.watch()
    assert await why(house, exchanged) == "access-ended"
    assert await who(house, plain)


async def test_a_key_that_is_withdrawn_while_a_token_is_verified_is_not_remembered_as_good(
    house: House,
) -> None:
    client, secret = await house.client()
    exchanged = await house.token(client, secret, house.demo.mint("li.wei", "app:desk", 10, now=NOW))
    persons = house.identity._persons
    real = persons.believes

    async def meanwhile(*about: Any) -> bool:
        believed = await real(*about)
        persons.forget()
        return believed

    persons.believes = meanwhile  # type: ignore[method-assign]
    assert (await who(house, exchanged)).person is not None
    persons.believes = real  # type: ignore[method-assign]
    house.demo.terms().jwks.write_bytes(jwks("ed"))  # type: ignore[union-attr]
    await house.identity.watch()
    assert await why(house, exchanged) == "access-ended"


def test_a_foreign_key_is_no_key_of_ours() -> None:
    key = SigningKey(b"1" * 32)
    assert key.signed(b"data", key.sign(b"data")) is True
    assert key.signed(b"Data", key.sign(b"data")) is False
    assert SigningKey(b"2" * 32).signed(b"data", key.sign(b"data")) is False
    assert (
        OKPKey.import_key({k: str(v) for k, v in key.jwk().items() if k in ("kty", "crv", "x")}).thumbprint()
        == key.kid
    )
    assert repr(key) == f"SigningKey({key.kid})"
