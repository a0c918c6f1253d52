"""Persons: an application acts for one only with that person's token, issued for it, and by whom we trust."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.identity import Identity
from gateway.identity import persons as persons_page
from gateway.identity.demo import ISSUER
from gateway.identity.issuers import Issuer
from gateway.identity.persons import Persons
from gateway.identity.strangers import Unproven
from gateway.words.errors import Code, Refused
from tests.identity.identity_house import NOW, House, bearer, call

SECONDS = int(NOW.timestamp())
CLAIMS = {
    "iss": ISSUER,
    "sub": "li.wei",
    "aud": "gatehouse",
    "azp": "desk",
    "iat": SECONDS,
    "exp": SECONDS + 600,
}
KEYS = {
    "ed": OKPKey.generate_key("Ed25519"),
    "ec": ECKey.generate_key("P-256"),
    "rsa": RSAKey.generate_key(2048),
    "other": OKPKey.generate_key("Ed25519"),
}
BY = {"EdDSA": "Ed25519"}


def segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(
    claims: Mapping[str, Any] = CLAIMS,
    *,
    alg: str = "EdDSA",
    kid: str = "ed",
    key: Any = None,
    header: Mapping[str, Any] | None = None,
    payload: bytes | None = None,
) -> str:
    """A token signed as `alg`; `header` replaces the whole header, `payload` the claims' bytes."""
    first = segment({"alg": alg, "kid": kid, "typ": "JWT"} if header is None else header)
    signed = f"{first}.{segment(dict(claims) if payload is None else payload)}"
    algorithm = JWSRegistry.algorithms[BY.get(alg, alg)]
    return f"{signed}.{segment(algorithm.sign(signed.encode(), key or KEYS[kid]))}"


def without(*names: str, **more: Any) -> dict[str, Any]:
    return {k: v for k, v in {**CLAIMS, **more}.items() if k not in names}


def jwks(*names: str, **changes: Any) -> bytes:
    keys = [{**KEYS[name].as_dict(private=False), "kid": name, **changes} for name in names]
    return json.dumps({"keys": keys}).encode()


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    (tmp_path / "jwks.json").write_bytes(jwks("ed", "ec", "rsa"))
    return Issuer(ISSUER, tmp_path / "jwks.json", "gatehouse", frozenset({"EdDSA", "ES256", "RS256"}))


@pytest.fixture
def persons(issuer: Issuer) -> Persons:
    persons = Persons([issuer], None)
    persons.take(persons.read())
    return persons


async def reason(persons: Persons, text: str, application: str = "app:desk") -> str:
    with pytest.raises(Unproven) as caught:
        await persons.prove(text, application, NOW)
    assert caught.value.code is Code.PERSON_UNPROVEN
    assert (dict(caught.value.params), str(caught.value)) == ({}, "person-unproven")
    return caught.value.reason.value


@pytest.mark.parametrize(("alg", "kid"), [("EdDSA", "ed"), ("ES256", "ec"), ("RS256", "rsa")])
async def test_a_token_of_a_pinned_algorithm_proves_the_person(persons: Persons, alg: str, kid: str) -> None:
    proven = await persons.prove(token(alg=alg, kid=kid), "app:desk", NOW)
    assert proven.party.id == "person:https://id.demo.example#li.wei"
    assert proven.party.roles == frozenset()
    assert proven.how == f"token:{alg}"


@pytest.mark.parametrize(
    "claims",
    [
        without("azp", client_id="desk"),
        without(client_id="desk"),
        without("azp", act={"sub": "desk"}),
        without(act={"sub": "desk", "act": {"sub": "another"}}),
        without(aud=["elsewhere", "gatehouse"]),
        without(nbf=SECONDS + 30),
        without(iat=SECONDS + 30),
        without(iat=SECONDS - 900),
        without(sub="auth0|5f7c8ec7"),
        without(unknown={"nested": [1]}),
    ],
)
async def test_each_way_of_saying_for_whom_and_when_is_understood(
    persons: Persons, claims: dict[str, Any]
) -> None:
    assert (await persons.prove(token(claims), "app:desk", NOW)).party.id.startswith("person:")


FOR_OTHERS = {
    "issued for another application": (without(azp="billing"), "application-other"),
    "issued for nobody": (without("azp"), "application-other"),
    "azp and client_id disagree": (without(client_id="billing"), "application-other"),
    "azp is no text": (without(azp=["desk"]), "application-other"),
    "azp holds, client_id is no text": (without(client_id=7), "application-other"),
    "the actor is another": (without(act={"sub": "billing"}), "application-other"),
    "only a former actor is this one": (
        without(act={"sub": "billing", "act": {"sub": "desk"}}),
        "application-other",
    ),
    "the actor has no name": (without(act={}), "application-other"),
    "the actor is no object": (without(act="desk"), "application-other"),
    "another audience": (without(aud="crm"), "audience-other"),
    "no audience": (without("aud"), "audience-other"),
    "an audience that contains ours": (without(aud="gatehouse.evil"), "audience-other"),
    "audience as a number": (without(aud=7), "audience-other"),
    "another issuer": (without(iss="https://evil.example"), "issuer-unknown"),
    "no issuer": (without("iss"), "issuer-unknown"),
    "issuer with a slash more": (without(iss=ISSUER + "/"), "issuer-unknown"),
}
OUT_OF_TIME = {
    "over": (without(exp=SECONDS), "token-times"),
    "no end": (without("exp"), "token-times"),
    "no beginning": (without("iat"), "token-times"),
    "end as text": (without(exp=str(SECONDS + 600)), "token-times"),
    "end as true": (without(exp=True), "token-times"),
    "not yet valid": (without(nbf=SECONDS + 31), "token-times"),
    "nbf as null": (without(nbf=None), "token-times"),
    "valid before it is issued": (without(nbf=SECONDS, iat=SECONDS + 31), "token-times"),
    "issued in the future": (without(iat=SECONDS + 31), "token-times"),
    "older than fifteen minutes": (without(iat=SECONDS - 901), "token-old"),
    "old but long-lived": (without(iat=SECONDS - 3600, exp=SECONDS + 36000), "token-old"),
}
UNNAMEABLE = {
    name: (without(sub=value), "subject-refused")
    for name, value in {
        "empty": "",
        "a number": 7,
        "null": None,
        "a hash sign": "li#wei",
        "a line break": "li.wei\n",
        "a comma": "li,wei",
        "a quote": 'li"wei',
        "a space": "li wei",
        "too long": "x" * 129,
        "full-width": "ｌi.wei",
        "a NUL": "li\u0000wei",
    }.items()
} | {"missing": (without("sub"), "subject-refused")}


@pytest.mark.parametrize("case", [*FOR_OTHERS, *OUT_OF_TIME, *UNNAMEABLE])
async def test_a_signed_token_that_says_something_else_is_refused(persons: Persons, case: str) -> None:
    claims, expected = (FOR_OTHERS | OUT_OF_TIME | UNNAMEABLE)[case]
    assert await reason(persons, token(claims)) == expected


HEADERS = {
    "no kid": {"alg": "EdDSA", "typ": "JWT"},
    "no typ": {"alg": "EdDSA", "kid": "ed"},
    "no alg": {"kid": "ed", "typ": "JWT"},
    "kid is a number": {"alg": "EdDSA", "kid": 7, "typ": "JWT"},
    "kid is empty": {"alg": "EdDSA", "kid": "", "typ": "JWT"},
    "another type": {"alg": "EdDSA", "kid": "ed", "typ": "logout+jwt"},
    "crit": {"alg": "EdDSA", "kid": "ed", "typ": "JWT", "crit": ["exp"]},
    "crit b64": {"alg": "EdDSA", "kid": "ed", "typ": "JWT", "crit": ["b64"], "b64": False},
    "jku": {"alg": "EdDSA", "kid": "ed", "typ": "JWT", "jku": "https://evil.example/jwks"},
    "x5u": {"alg": "EdDSA", "kid": "ed", "typ": "JWT", "x5u": "https://evil.example/x"},
    "x5c": {"alg": "EdDSA", "kid": "ed", "typ": "JWT", "x5c": ["MII"]},
    "jwk": {"alg": "EdDSA", "kid": "ed", "typ": "JWT", "jwk": KEYS["other"].as_dict(private=False)},
    "zip": {"alg": "EdDSA", "kid": "ed", "typ": "JWT", "zip": "DEF"},
}


@pytest.mark.parametrize("case", HEADERS)
async def test_a_header_that_brings_its_own_key_or_terms_is_refused(persons: Persons, case: str) -> None:
    assert await reason(persons, token(header=HEADERS[case])) == "token-header"
    assert await reason(persons, token(header=HEADERS[case], key=KEYS["other"])) == "token-header"


async def test_types_are_read_in_any_case_and_with_their_prefix(persons: Persons) -> None:
    for kind in ("jwt", "JWT", "at+jwt", "application/at+JWT"):
        header = {"alg": "EdDSA", "kid": "ed", "typ": kind, "x5t": "aa"}
        assert (await persons.prove(token(header=header), "app:desk", NOW)).how == "token:EdDSA"


async def test_none_and_hmac_with_the_public_key_are_refused(persons: Persons) -> None:
    for alg in ("none", "None", "HS256", "HS512", "EdDSA ", "eddsa", "RS512", "PS256", "ES384", "Ed448"):
        header = {"alg": alg, "kid": "rsa", "typ": "JWT"}
        unsigned = f"{segment(header)}.{segment(CLAIMS)}.{segment(b'x' * 64)}"
        assert await reason(persons, unsigned) == "algorithm-refused"
    assert await reason(
        persons, f"{segment({'alg': 'none', 'kid': 'ed', 'typ': 'JWT'})}.{segment(CLAIMS)}."
    ) == ("token-malformed")
    # The classic confusion: the public key's text as the HMAC key (the library would refuse to import it as one).
    public = OctKey.import_key(b"x" * 32)
    public._raw_value = KEYS["rsa"].as_pem(private=False)
    assert await reason(persons, token(alg="HS256", kid="rsa", key=public)) == "algorithm-refused"


async def test_an_algorithm_that_is_not_pinned_for_the_issuer_is_refused(issuer: Issuer) -> None:
    persons = Persons([replace(issuer, algorithms=frozenset({"ES256"}))], None)
    persons.take(persons.read())
    assert await reason(persons, token()) == "algorithm-refused"
    assert (await persons.prove(token(alg="ES256", kid="ec"), "app:desk", NOW)).how == "token:ES256"


async def test_a_key_verifies_only_with_its_own_algorithm(persons: Persons) -> None:
    for alg, kid, key in (("EdDSA", "rsa", "ed"), ("RS256", "ed", "rsa"), ("ES256", "ed", "ec")):
        assert await reason(persons, token(alg=alg, kid=kid, key=KEYS[key])) == "algorithm-refused"


async def test_another_signer_another_claim_or_a_torn_signature_is_refused(persons: Persons) -> None:
    good = token()
    head, claims, signature = good.split(".")
    assert await reason(persons, token(key=KEYS["other"])) == "signature-wrong"
    assert await reason(persons, token(kid="other")) == "signer-unknown"
    assert (
        await reason(persons, f"{head}.{segment(without(sub='zhang.min'))}.{signature}") == "signature-wrong"
    )
    assert await reason(persons, f"{head}.{claims}.{segment(bytes(60))}") == "signature-wrong"
    assert await reason(persons, f"{head}.{claims}.{segment(bytes(64))}") == "signature-wrong"
    torn = token(alg="ES256", kid="ec").rsplit(".", 1)[0]
    assert await reason(persons, f"{torn}.{segment(bytes(64))}") == "signature-wrong"


async def test_a_token_has_one_spelling(persons: Persons) -> None:
    good = token()
    head, claims, signature = good.split(".")
    last = signature[-1]
    spare = next(c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" if c != last)
    for text in (
        good + "=",
        good + "\n",
        " " + good,
        good + ".",
        f"{head}.{claims}",
        f"{head}.{claims}.",
        f"{head}..{signature}",
        f"{head}.{claims}.{signature}AAA",
        good.replace("-", "+").replace("_", "/") + "+",
        "",
        "..",
        "x" * 9000,
        f"{head}.{claims}.{'A' * 9000}",
        "é.é.é",
    ):
        assert await reason(persons, text) == "token-malformed", text[:60]
    assert await reason(persons, f"{head}.{claims}.{signature[:-1]}{spare}") in (
        "token-malformed",
        "signature-wrong",
    )


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"https://evil.example","iss":"https://id.demo.example"}',
        b"[]",
        b"null",
        b"{",
        b'{"iss": NaN}',
        b"[" * 3000,
        b"\xff",
        b"\xef\xbb\xbf{}",
    ],
)
async def test_claims_that_two_readers_could_read_differently_are_refused(
    persons: Persons, payload: bytes
) -> None:
    assert await reason(persons, token(payload=payload)) == "token-malformed"


@given(st.text(max_size=200))
@settings(max_examples=200)
async def test_no_text_makes_the_reader_raise_anything_else(text: str) -> None:
    persons = Persons([], None)
    with pytest.raises(Unproven):
        await persons.prove(text, "app:desk", NOW)


async def test_a_remembered_token_is_good_for_its_application_only_and_no_longer_than_it_lasts(
    persons: Persons,
) -> None:
    text = token()
    one = await persons.prove(text, "app:desk", NOW)
    assert await persons.prove(text, "app:desk", NOW) is one
    assert await reason(persons, text, "app:billing") == "application-other"
    with pytest.raises(Unproven):
        await persons.prove(text, "app:desk", NOW + timedelta(seconds=600))
    lasting = token(without(exp=SECONDS + 36000))
    await persons.prove(lasting, "app:desk", NOW)
    with pytest.raises(Unproven):
        await persons.prove(lasting, "app:desk", NOW + timedelta(seconds=901))


async def test_a_key_taken_from_the_file_ends_remembered_tokens_at_the_refresh(
    persons: Persons, issuer: Issuer
) -> None:
    text = token()
    await persons.prove(text, "app:desk", NOW)
    assert isinstance(issuer.jwks, Path)
    issuer.jwks.write_bytes(jwks("ec"))
    persons.take(persons.read())
    assert await reason(persons, text) == "signer-unknown"


async def test_client_ids_stand_for_the_applications_that_settings_name_and_for_no_others(
    issuer: Issuer,
) -> None:
    persons = Persons([replace(issuer, clients={"0oa-77": "app:desk"})], None)
    persons.take(persons.read())
    assert (await persons.prove(token(without(azp="0oa-77")), "app:desk", NOW)).party.id.endswith("#li.wei")
    assert await reason(persons, token()) == "application-other"
    assert await reason(persons, token(without(azp="0oa-77")), "app:billing") == "application-other"


async def test_application_and_person_stand_in_the_principal_both(house: House) -> None:
    text, key_id = await house.key()
    minted = house.demo.mint("li.wei", "app:desk", 10, now=house.clock())
    who = await house.identity.identify(call(bearer(text), ("gatehouse-person", minted)))
    assert who.person is not None
    assert [party.id for party in who.parties] == ["app:desk", "person:https://id.demo.example#li.wei"]
    assert who.proven == (f"api-key:{key_id}", "token:EdDSA")


async def test_a_person_without_a_key_twice_or_by_name_is_refused(house: House) -> None:
    text, _ = await house.key()
    minted = house.demo.mint("li.wei", "app:desk", 10, now=house.clock())
    person = ("gatehouse-person", minted)
    with pytest.raises(Refused) as caught:
        await house.identity.identify(call(bearer(text), person, person))
    assert caught.value.code is Code.PERSON_UNPROVEN
    assert house.identity.strangers.take() == {"several-tokens": 1}
    for value in ("", "li.wei", f"Bearer {minted}", "person:https://id.demo.example#li.wei"):
        with pytest.raises(Refused):
            await house.identity.identify(call(bearer(text), ("gatehouse-person", value)))
    assert house.identity.strangers.take() == {"token-malformed": 4}


async def test_counts_that_could_not_be_recorded_are_in_the_next_summary(house: House) -> None:
    identity: Identity = house.identity
    for _ in range(2):
        with pytest.raises(Refused):
            await house.identity.identify(call(bearer((await house.key())[0]), ("gatehouse-person", "x")))
    taken = identity.strangers.take()
    assert taken == {"token-malformed": 2}
    assert identity.strangers.take() == {}
    identity.strangers.give_back(taken)
    assert identity.strangers.take() == {"token-malformed": 2}


async def test_a_forged_token_is_verified_once_and_again_when_keys_change(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = []
    signed = persons_page._signed

    def counted(*given: Any) -> bool:
        verified.append(given)
        return signed(*given)

    monkeypatch.setattr(persons_page, "_signed", counted)
    persons = Persons((issuer,), None)
    persons.take(persons.read())
    forged = token(key=KEYS["other"])  # by a key of somebody else's under a name that is known
    for application in ("app:desk", "app:other", "app:desk"):
        with pytest.raises(Unproven) as refusal:
            await persons.prove(forged, application, NOW)
        assert refusal.value.reason == "signature-wrong"
    assert len(verified) == 1
    assert isinstance(issuer.jwks, Path)
    good = {**KEYS["other"].as_dict(private=False), "kid": "ed"}
    issuer.jwks.write_text(json.dumps({"keys": [good]}))
    persons.take(persons.read())
    assert (await persons.prove(forged, "app:desk", NOW)).party.id.endswith("#li.wei")


async def test_forged_tokens_that_are_remembered_are_bounded(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persons_page, "MAX_REMEMBERED", 3)
    persons = Persons((issuer,), None)
    persons.take(persons.read())
    for number in range(8):
        with pytest.raises(Unproven):
            await persons.prove(token(without(jti=str(number)), key=KEYS["other"]), "app:desk", NOW)
    assert len(persons._forged) == 3
