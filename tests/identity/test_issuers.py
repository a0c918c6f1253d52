"""Issuers: their terms, their keys from files and addresses, the demo's own, and the file that lists them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.identity import read_issuers
from gateway.identity.demo import ISSUER, KEY_FILE, DemoIssuer
from gateway.identity.issuers import Issuer
from gateway.identity.jwks import read_keys
from gateway.identity.persons import Persons
from gateway.words.errors import Misconfigured
from tests.identity.identity_house import NOW
from tests.identity.test_persons import KEYS, jwks, reason, token

ADDRESS = "https://id.demo.example/jwks"


@dataclass
class Server:
    """What an issuer's address answers, and how often it was asked."""

    answer: bytes | Exception
    asked: list[str] = field(default_factory=list)

    async def __call__(self, address: str) -> bytes:
        self.asked.append(address)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def remote(server: Server) -> Persons:
    return Persons([Issuer(ISSUER, ADDRESS, "gatehouse", frozenset({"EdDSA", "ES256"}))], server)


async def test_keys_from_an_address_are_fetched_once_and_kept() -> None:
    server = Server(jwks("ed"))
    persons = remote(server)
    for _ in range(3):
        persons.forget()
        await persons.prove(token(), "app:desk", NOW)
    assert server.asked == [ADDRESS]


async def test_a_new_key_id_asks_again_but_strange_ids_cannot_make_us_ask_often() -> None:
    server = Server(jwks("ed"))
    persons = remote(server)
    await persons.prove(token(), "app:desk", NOW)
    for _ in range(20):
        assert await reason(persons, token(kid="ec", alg="ES256")) == "signer-unknown"
    assert len(server.asked) == 1
    server.answer = jwks("ed", "ec")
    later = NOW + timedelta(seconds=30)
    assert (await persons.prove(token(kid="ec", alg="ES256"), "app:desk", later)).how == "token:ES256"
    assert len(server.asked) == 2


async def test_an_address_that_fails_keeps_the_keys_for_an_hour_and_no_longer() -> None:
    server = Server(jwks("ed"))
    persons = remote(server)
    await persons.update(NOW)
    for broken in (OSError(), TimeoutError(), b"{}", b"x" * 300_000, jwks("ed") + b"x"):
        server.answer = broken
        await persons.update(NOW + timedelta(minutes=20))
        at = int((NOW + timedelta(minutes=59)).timestamp())
        text = token(
            {"iss": ISSUER, "sub": "a", "aud": "gatehouse", "azp": "desk", "iat": at, "exp": at + 600}
        )
        persons.forget()
        assert await persons.prove(text, "app:desk", NOW + timedelta(minutes=59))
    persons.forget()
    with pytest.raises(Exception, match="person-unproven"):
        await persons.prove(text, "app:desk", NOW + timedelta(minutes=60))


async def test_a_key_withdrawn_at_the_address_ends_remembered_tokens() -> None:
    server = Server(jwks("ed"))
    persons = remote(server)
    text = token()
    await persons.prove(text, "app:desk", NOW)
    server.answer = jwks("ec")
    await persons.update(NOW + timedelta(minutes=1))
    with pytest.raises(Exception, match="person-unproven"):
        await persons.prove(text, "app:desk", NOW + timedelta(minutes=1))


async def test_an_issuer_without_any_keys_yet_proves_nobody() -> None:
    assert await reason(remote(Server(OSError())), token()) == "signer-unknown"


def test_a_key_set_gives_only_keys_that_can_verify() -> None:
    def one(key: OKPKey | ECKey | RSAKey, **more: object) -> dict[str, object]:
        return {**key.as_dict(private=False), **more}

    ed = KEYS["ed"]
    keys = [
        one(ed, kid="a"),
        one(ed),
        one(ed, kid="enc", use="enc"),
        one(ed, kid="mismatch", alg="RS256"),
        one(ed, kid=7),
        one(ed, kid="signs", key_ops=["sign"]),
        one(ed, kid="ops", key_ops="verify"),
        one(ECKey.generate_key("P-384"), kid="p384"),
        one(OKPKey.generate_key("Ed448"), kid="ed448"),
        one(RSAKey.generate_key(2048), kid="rsa", alg="PS256"),
        {"kty": "RSA", "n": "!!", "e": "AQAB", "kid": "broken"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "off-curve"},
        {"kty": "OKP", "crv": "Ed25519", "x": 7, "kid": "number"},
        {"kid": "nothing"},
        "text",
    ]
    assert set(read_keys(json.dumps({"keys": keys}).encode())) == {"a"}


@pytest.mark.filterwarnings("ignore:Key size")
def test_a_short_rsa_key_is_no_key() -> None:
    short = {**RSAKey.generate_key(1024).as_dict(private=False), "kid": "short"}
    with pytest.raises(Misconfigured, match="holds no key"):
        read_keys(json.dumps({"keys": [short]}).encode())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no JSON Web Key Set"),
        (b"{}", "no JSON Web Key Set"),
        (b'{"keys":[]}', "holds no key"),
        (b'{"keys":{}}', "no JSON Web Key Set"),
        (json.dumps({"keys": [{**KEYS["ed"].as_dict(private=True), "kid": "a"}]}).encode(), "burnt"),
        (json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}).encode(), "burnt"),
        (jwks("ed", "ec", kid="same"), "twice"),
    ],
)
def test_a_key_set_that_cannot_be_right_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        read_keys(data)


async def test_a_broken_file_keeps_the_good_keys_and_refuses_the_first_start(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    persons = Persons([Issuer(ISSUER, file, "gatehouse", frozenset({"EdDSA"}))], None)
    with pytest.raises(Misconfigured, match=r"jwks\.json: not readable"):
        persons.take(persons.read())
    file.write_bytes(jwks("ed"))
    persons.take(persons.read())
    file.write_bytes(b'{"keys": [')
    persons.take(persons.read())
    assert await persons.prove(token(), "app:desk", NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://id.example"},
        {"issuer": "https://id.example/#x"},
        {"issuer": "https://id.example/?x"},
        {"jwks": "http://id.example/jwks"},
        {"audience": ""},
        {"algorithms": frozenset()},
        {"algorithms": frozenset({"EdDSA", "HS256"})},
        {"algorithms": frozenset({"none"})},
        {"clients": {"x": "desk"}},
        {"clients": {"x": "system:reconciler"}},
    ],
)
def test_terms_that_protect_nothing_are_refused(change: dict[str, object]) -> None:
    terms = {"issuer": ISSUER, "jwks": Path("k"), "audience": "g", "algorithms": frozenset({"EdDSA"})}
    with pytest.raises(Misconfigured):
        Issuer(**(terms | change))  # type: ignore[arg-type]  # wrong on purpose


def test_a_client_cannot_be_named_into_another_kind_of_party() -> None:
    issuer = Issuer(ISSUER, Path("k"), "g", frozenset({"EdDSA"}))
    assert issuer.application_of("desk") == "app:desk"
    for client in ("", "app:desk", "Desk", "de sk", "desk\n", "x" * 80, "../desk", "system:seeder"):
        assert issuer.application_of(client) is None


def test_the_demo_key_is_made_once_readable_by_its_owner_alone_and_refused_otherwise(tmp_path: Path) -> None:
    one, two = DemoIssuer.open(tmp_path), DemoIssuer.open(tmp_path)
    assert one.terms() == two.terms()
    key = tmp_path / KEY_FILE
    assert key.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["demo-issuer.jwks.json", "demo-issuer.pem"]
    assert '"d"' not in (tmp_path / "demo-issuer.jwks.json").read_text()
    key.chmod(0o640)
    with pytest.raises(Misconfigured, match=r"0640.*chmod 600"):
        DemoIssuer.open(tmp_path)


async def test_a_demo_token_lasts_fifteen_minutes_at_most(tmp_path: Path) -> None:
    demo = DemoIssuer.open(tmp_path)
    persons = Persons([demo.terms()], None)
    persons.take(persons.read())
    text = demo.mint("li.wei", "app:desk", 600, now=NOW)
    assert await persons.prove(text, "app:desk", NOW + timedelta(minutes=14, seconds=59))
    persons.forget()
    with pytest.raises(Exception, match="person-unproven"):
        await persons.prove(text, "app:desk", NOW + timedelta(minutes=15))


def test_the_issuers_file_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    file = tmp_path / "issuers.json"
    entry = {"issuer": ISSUER, "jwks": "keys.json", "algorithms": ["EdDSA"]}
    file.write_text(
        json.dumps(
            [
                entry,
                {
                    **entry,
                    "issuer": "https://b.example",
                    "jwks": ADDRESS,
                    "audience": "gh",
                    "types": ["AT+JWT"],
                },
            ]
        )
    )
    one, two = read_issuers(file, "gatehouse")
    assert one == Issuer(ISSUER, tmp_path / "keys.json", "gatehouse", frozenset({"EdDSA"}))
    assert (two.jwks, two.audience, two.types) == (ADDRESS, "gh", frozenset({"at+jwt"}))
    for wrong, says in (
        ([{**entry, "algorithm": "x"}], "unknown field"),
        ([{**entry, "algorithms": ["HS256"]}], "issuer 1: an issuer's algorithms are"),
        ([{"issuer": ISSUER}], "missing required field"),
        ({}, "Expected `array`"),
    ):
        file.write_text(json.dumps(wrong))
        with pytest.raises(Misconfigured, match=says):
            read_issuers(file, "gatehouse")
    file.write_text("[")
    with pytest.raises(Misconfigured, match="one way"):
        read_issuers(file, "gatehouse")
    with pytest.raises(Misconfigured, match="not readable"):
        read_issuers(tmp_path / "absent.json", "gatehouse")


def test_an_issuer_named_twice_is_refused() -> None:
    terms = Issuer(ISSUER, Path("k"), "g", frozenset({"EdDSA"}))
    with pytest.raises(Misconfigured, match="twice"):
        Persons([terms, terms], None)
