"""Credentials as text: API keys, persons' tokens, issuers' key sets and the file that lists issuers. Who sends them is nobody yet."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.identity import ApiKey, keytext
from gateway.identity.apikeys import ApiKeys
from gateway.identity.issuers import Issuer, read_issuers
from gateway.identity.jwks import read_keys
from gateway.identity.persons import Persons, Proven
from gateway.identity.strangers import Unproven
from gateway.words.errors import Code, Misconfigured
from gateway.words.principal import RoleHeld
from tests.fuzz.laws import NEEDLE, done, fuzz, held, mutated, odd_json, odd_members

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
NOISE = st.text(max_size=3)

# ── API keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ISSUED = [keytext.write(f"key_{DIGITS[:26]}", bytes(range(n, n + 32)))[0] for n in (0, 7)]
KEY_PIECES = ["gh_", "_", "-", " ", "\n", "\0", "i", "l", "A", "=", "é", "İ", "龙", "٣", NEEDLE, "gh_" * 3]


def checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    return "".join(DIGITS[(number >> shift) & 31] for shift in range(30, -1, -5))


@fuzz(70, 60_000)
@given(text=mutated(ISSUED, KEY_PIECES, NOISE | st.text(DIGITS, max_size=3), 2), summed=st.booleans())
def test_a_keys_text_is_one_that_could_be_handed_out_or_none(text: str, summed: bool) -> None:
    text = text[:-7] + checksum(text[:-7]) if summed else text
    found = _told_apart(lambda: keytext.read(text))
    if found is None:
        return
    assert (len(text), text[-7:]) == (80, checksum(text[:-7]))
    assert text == f"gh_{found.id.removeprefix('key_')}_{found.secret.decode()}{text[-7:]}"
    assert NEEDLE not in repr(found)


class _None(Exception):
    """Stands for a reader that answers None where others raise."""


def _told_apart(read: Any) -> Any:
    def once() -> Any:
        if (value := read()) is None:
            raise _None
        return value

    found = held(once, _None)
    return None if isinstance(found, _None) else found


def test_a_keys_text_has_one_spelling_of_its_secret() -> None:
    text, _ = keytext.write(f"key_{DIGITS[:26]}", bytes(32))
    body = text[:-8] + "B"  # 43 characters hold 258 bits; of the last one two are idle and always zero
    assert keytext.read(body + checksum(body)) is None


KNOWN = keytext.read(ISSUED[0])
assert KNOWN is not None
KEYS = ApiKeys(lambda key_id, secret: zlib.crc32(key_id.encode() + secret).to_bytes(4, "big") * 8)
KEYS.replace(
    [
        ApiKey(
            KNOWN.id, KEYS._hash(KNOWN.id, KNOWN.secret), "app:desk", frozenset({RoleHeld("role:agent")}), frozenset({"service"}),
            NOW, NOW + timedelta(days=1), 1, NOW,
        )
    ]
)  # fmt: skip


@fuzz(55, 40_000)
@given(
    values=st.lists(
        mutated(
            [f"Bearer {text}" for text in ISSUED],
            ["bearer ", "BEARER  ", "Basic ", ",", *KEY_PIECES],
            NOISE,
            2,
        ),
        max_size=2,
    )
    | st.sampled_from(
        [[f"{scheme} {ISSUED[0]}"] for scheme in ("Bearer", "bearer", "BEARER", "Basic", "Bearer ")]
    )
)
def test_a_header_proves_a_key_or_gives_a_reason_and_never_raises(values: list[str]) -> None:
    found = _told_apart(lambda: None if (checked := KEYS.check(values, NOW)).key is None else checked)
    if found is None:
        assert KEYS.check(values, NOW).reason is not None
    else:
        assert (found.reason, len(values), values[0][7:]) == (None, 1, ISSUED[0])


# ── persons' tokens ──────────────────────────────────────────────────────────────────────────────────────────────────

ISSUER = "https://id.example"
SECONDS = int(NOW.timestamp())
SIGNERS: dict[str, Any] = {
    "EdDSA": OKPKey.generate_key("Ed25519"),
    "ES256": ECKey.generate_key("P-256"),
    "RS256": RSAKey.generate_key(2048),
}
HEADER: dict[str, Any] = {"alg": "EdDSA", "kid": "EdDSA", "typ": "JWT"}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": f"li.{NEEDLE}",
    "aud": "gatehouse",
    "azp": "desk",
    "iat": SECONDS,
    "exp": SECONDS + 600,
}
MORE = ["nbf", "act", "client_id", "jti", "crit", "jku", "b64", "x5t"]
SPECIAL: list[Any] = [
    {"act": {"sub": "desk"}}, {"act": {"sub": {"a": 1}}}, {"act": {"sub": ["desk"]}}, {"act": []}, {"act": {"act": {"sub": "desk"}}},
    {"aud": ["x", "gatehouse"]}, {"aud": [["gatehouse"]]}, {"client_id": "desk"}, {"azp": {}}, {"iat": 1e308}, {"exp": -1}, {"nbf": True},
    {"iat": SECONDS + 0.5}, {"exp": 9007199254740991}, {"sub": "a" * 129}, {"sub": "a\n"}, {"sub": ["a"]},
]  # fmt: skip


def segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: Any, claims: Any, by: str) -> str:
    text = f"{segment(header)}.{segment(claims)}"
    algorithm: Any = JWSRegistry.algorithms[{"EdDSA": "Ed25519"}.get(by, by)]
    return f"{text}.{segment(algorithm.sign(text.encode(), SIGNERS[by]))}"


def key_set(*names: str) -> dict[str, Any]:
    return {"keys": [{**SIGNERS[name].as_dict(private=False), "kid": name} for name in names or SIGNERS]}


@pytest.fixture(scope="session")
def persons(shelf: Path) -> Persons:
    (shelf / "jwks.json").write_text(json.dumps(key_set()))
    made = Persons([Issuer(ISSUER, shelf / "jwks.json", "gatehouse", frozenset(SIGNERS))], None)
    made.take(made.read())
    return made


@st.composite
def tokens(draw: st.DrawFn) -> str:
    by = draw(st.sampled_from(sorted(SIGNERS)))
    header = draw(odd_members(HEADER | {"alg": by, "kid": by}, MORE, 1))
    claims = CLAIMS | draw(st.sampled_from([{}, {}, *SPECIAL]))
    return signed(header, draw(odd_members(claims, MORE, 1)), by)


SIGNED = [signed(HEADER | {"alg": by, "kid": by}, CLAIMS, by) for by in SIGNERS]
TOKEN_PIECES = [
    ".",
    "..",
    "=",
    "+",
    "/",
    " ",
    "e30",
    "bnVsbA",
    "AAAA",
    "eyJhbGciOiJub25lIn0",
    "\n",
    NEEDLE,
    "A" * 9000,
]


def known(token: str) -> bool:
    """True for what test_an_actor_without_a_plain_name_proves_nobody says."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        return isinstance(claims["act"]["sub"], list | dict)
    except (ValueError, TypeError, KeyError, IndexError):
        return False


@fuzz(55, 30_000)
@given(token=tokens() | mutated(SIGNED, TOKEN_PIECES, st.text("abcABC019-_.=", max_size=3), 2))
def test_a_token_proves_its_person_or_nobody(persons: Persons, token: str) -> None:
    if known(token):
        return
    persons.forget()
    found = held(lambda: done(persons.prove(token, "app:desk", NOW)), Unproven)
    if isinstance(found, Unproven):
        assert (found.code, dict(found.params), found.__cause__) == (Code.PERSON_UNPROVEN, {}, None)
        return
    assert isinstance(found, Proven)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert found.party.id == f"person:{ISSUER}#{claims['sub']}"
    assert found.until > NOW.timestamp()


@pytest.mark.parametrize("name", [["desk"], {"a": 1}])
def test_an_actor_without_a_plain_name_proves_nobody(persons: Persons, name: Any) -> None:
    token = signed(HEADER, CLAIMS | {"act": {"sub": name}}, "EdDSA")
    with pytest.raises(Unproven):
        done(persons.prove(token, "app:desk", NOW))


# ── issuers' key sets ────────────────────────────────────────────────────────────────────────────────────────────────

PUBLIC = {name: {**SIGNERS[name].as_dict(private=False), "kid": name} for name in SIGNERS}
SMALL = {"kty": "RSA", "kid": "small", "n": segment(b"\xc1" + bytes(126) + b"\x01"), "e": "AQAB"}
ODD_KEYS: list[Any] = [
    SMALL, {"kty": "OKP", "crv": "Ed25519", "kid": "a"}, {"kty": "EC", "crv": "P-256", "kid": "a", "x": "AA", "y": "AA"},
    {"kty": "EC", "crv": "P-256", "kid": "a", "x": "AA"}, {"kty": "RSA", "kid": "a", "n": "AQ", "e": "AQ"},
    {"kty": "RSA", "kid": "a", "n": "", "e": ""}, {"kty": "RSA", "kid": "a", "n": "_" * 2000, "e": "AQAB"},
    {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "!" * 43}, {"kty": "oct", "k": "AA"}, 7, None,
]  # fmt: skip
VALUES = [
    *(value for key in PUBLIC.values() for value in key.values()),
    "",
    "AA",
    "A" * 43,
    "_" * 43,
    "=",
    "é",
    7,
    None,
    [],
    {},
    True,
    "sig",
    "enc",
    ["verify"],
]


@st.composite
def key_sets(draw: st.DrawFn) -> bytes:
    entries: list[Any] = []
    for name in draw(st.lists(st.sampled_from(sorted(PUBLIC)), max_size=2)):
        key: dict[str, Any] = draw(odd_members(PUBLIC[name], ["use", "alg", "key_ops", "d", "k", "x5c"], 1))
        if draw(st.booleans()):
            key[draw(st.sampled_from([*PUBLIC[name], "use", "alg", "key_ops"]))] = draw(
                st.sampled_from(VALUES)
            )
        entries.append(key)
    entries += draw(st.lists(st.sampled_from(ODD_KEYS), max_size=1))
    document: Mapping[str, Any] = (
        draw(odd_members({"keys": entries}, ["more"], 1)) if draw(st.booleans()) else {"keys": entries}
    )
    text = json.dumps(document).encode()
    if draw(st.booleans()):
        return text
    return draw(
        mutated(
            [text], [b"{", b"]", b'"', b",", b"\\u0000", b"\xff", NEEDLE.encode()], st.binary(max_size=2), 2
        )
    )


@pytest.mark.filterwarnings("ignore:Key size should be")  # joserfc's own, about keys that are then refused
@fuzz(55, 30_000)
@given(data=key_sets())
def test_a_key_set_gives_public_keys_or_is_refused(data: bytes) -> None:
    found = held(lambda: read_keys(data), Misconfigured)
    if not isinstance(found, Misconfigured):
        assert not isinstance(found, Exception)
        assert found
        assert all(key.kid == kid and key.algorithms and not key.key.is_private for kid, key in found.items())


# ── the issuers file ─────────────────────────────────────────────────────────────────────────────────────────────────

TERMS: dict[str, Any] = {
    "issuer": ISSUER, "jwks": "listed.json", "algorithms": ["EdDSA"], "audience": "gatehouse", "clients": {"0oa": "app:desk"},
    "types": ["JWT"],
}  # fmt: skip
TERM_VALUES: list[Any] = [
    "http://id.example", "https://id.example/?q", "https://id.example:99999", "ftp://x", "https://x/jwks", "a\0b", "../listed.json", "/",
    "", ["none"], ["HS256"], [], {"x": "desk"}, {"x": "app:desk"}, {}, None, 7, [7], [["EdDSA"]], "İ", ["İ"],
]  # fmt: skip


@st.composite
def issuer_files(draw: st.DrawFn) -> bytes:
    entries: list[Any] = []
    for _ in range(draw(st.integers(0, 2))):
        entry = draw(odd_members(TERMS, [], 1)) if draw(st.booleans()) else dict(TERMS)
        if draw(st.booleans()):
            entry[draw(st.sampled_from([*TERMS, "more"]))] = draw(st.sampled_from(TERM_VALUES))
        entries.append(entry)
    text = json.dumps(draw(st.sampled_from([entries, entries, entries, {"a": entries}]) | odd_json)).encode()
    return draw(mutated([text], [b"{", b"]", b'"', b"\\u0000", b"\xff"], st.binary(max_size=2), 1))


@fuzz(40, 20_000)
@given(data=issuer_files())
def test_an_issuers_file_is_read_and_loaded_or_refused(shelf: Path, data: bytes) -> None:
    (shelf / "listed.json").write_text(json.dumps(key_set("EdDSA")))
    (shelf / "issuers.json").write_bytes(data)
    if b"\\u0000" in data:  # test_a_key_file_whose_name_no_system_takes_is_refused
        return
    as_name = re.search(
        rb'[^"]*%b[^"]*"\s*:' % NEEDLE.encode(), data
    )  # an unknown member is told by its name
    held(lambda: _load(shelf / "issuers.json"), Misconfigured, secret=not as_name)


async def _nothing(_: str) -> bytes:
    return b""


def _load(path: Path) -> Persons:
    made = Persons(read_issuers(path, "gatehouse"), _nothing)
    made.take(made.read())
    return made


def test_a_key_file_whose_name_no_system_takes_is_refused(shelf: Path) -> None:
    (shelf / "issuers.json").write_text(json.dumps([TERMS | {"jwks": "a\0b"}]))
    with pytest.raises(Misconfigured):
        _load(shelf / "issuers.json")
