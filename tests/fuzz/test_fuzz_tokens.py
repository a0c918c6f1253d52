"""What a stranger sends to the token endpoint, and what he shows in the place of an access token of ours."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from hypothesis import given
from hypothesis import strategies as st

from gateway.control.form import read_client, read_form
from gateway.identity import AccessTokens, Terms, secrettext
from gateway.identity.access import Said, shown
from gateway.identity.strangers import Stranger, Unproven
from gateway.keys import Keyring, TokenKeys
from gateway.keys.material import Kek, Material
from gateway.wire.json import dump
from gateway.words.access import Call
from gateway.words.errors import GrantRefused, Refused
from tests.fuzz.laws import NEEDLE, fuzz, held, mutated, odd_members

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
KNOWN = frozenset({"grant_type", "client_id", "client_secret", "scope", "subject_token"})

# ── forms ────────────────────────────────────────────────────────────────────────────────────────────────────────────

FORMS = [
    b"grant_type=client_credentials",
    b"grant_type=client_credentials&scope=service+audit&client_id=key_1&client_secret=ghs_1",
    b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=a.b.c",
    b"scope=%E9%BE%99&client_id=" + NEEDLE.encode(),
    b"scope=",
]
FORM_PIECES = [
    b"&", b"&&", b"=", b"==", b";", b"%", b"%4", b"%41", b"%zz", b"%00", b"%0a", b"%ff", b"%c0%af", b"+", b"\xff", b"\n",
    b"scope=", b"&scope", b"scope%3D", b"client_secret", b"\x00", NEEDLE.encode(), b"a" * 17_000,
]  # fmt: skip
MEDIA = st.sampled_from(
    ["application/x-www-form-urlencoded"] * 8
    + [
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/json",
        "",
        "multipart/form-data; boundary=x",
    ]
)


def call(body: bytes, media: str, authorization: list[str]) -> Call:
    headers = [("content-type", media), *(("authorization", value) for value in authorization)]
    return Call(
        "req_1", "POST", "/oauth/token", ("oauth", "token"), "", (), tuple(headers), body, "127.0.0.1", NOW
    )


@fuzz(60, 40_000)
@given(body=mutated(FORMS, FORM_PIECES, st.binary(max_size=3), 2), media=MEDIA)
def test_a_form_is_read_as_anybody_would_read_it_or_refused(body: bytes, media: str) -> None:
    found = held(lambda: read_form(call(body, media, []), KNOWN), Refused)
    if isinstance(found, Refused):
        assert found.__cause__ is None
        assert set(found.params) <= {"parameter"}
        assert str(found.params.get("parameter", "scope")) in KNOWN
        return
    # What the standard library makes of it, which takes much more, is the same.
    assert found == dict(parse_qsl(body.decode("ascii"), errors="strict"))
    assert all(found.values())


BASIC = [
    "Basic " + base64.b64encode(pair).decode()
    for pair in (b"key_1:ghs_1", b"a%20b:c", b"key_1:", b":", NEEDLE.encode() + b":x", b"\xff:x")
]


@fuzz(60, 40_000)
@given(
    values=st.lists(
        mutated(BASIC, ["Basic ", "basic ", "Bearer ", "=", "!", "\n", "é", NEEDLE], st.text(max_size=3), 2),
        max_size=2,
    ),
    form=st.sampled_from([{}, {"client_id": "key_1"}, {"client_id": "key_1", "client_secret": "s"}]),
)
def test_a_client_shows_itself_in_one_way_or_not_at_all(values: list[str], form: dict[str, str]) -> None:
    found = held(lambda: read_client(call(b"", "", values), form), GrantRefused)
    if isinstance(found, GrantRefused):
        assert found.__cause__ is None
        return
    assert isinstance(found, tuple)
    client, secret = found
    if not client:
        assert not secret
    elif values:
        (value,) = values
        first, _, second = base64.b64decode(value[6:]).decode().partition(":")
        assert (unquote_plus(first), unquote_plus(second)) == (client, secret)
        assert len(client) <= 64
        assert "client_secret" not in form
    else:
        assert (client, secret) == ("key_1", "s")


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def tag(secret_id: str, secret: bytes) -> bytes:
    return hmac.digest(b"t" * 32, secret_id.encode() + b"\0" + secret, "sha256")


HANDED_OUT = [secrettext.write(f"sec_{'0' * 25}{n}", bytes([n]) * 32, tag).text.decode() for n in (1, 2)]
SECRET_PIECES = [
    "ghs_",
    "gh_",
    "_",
    "-",
    " ",
    "\n",
    "\0",
    "i",
    "l",
    "A",
    "=",
    "é",
    "龙",
    "٣",
    NEEDLE,
    "ghs_" * 60,
]


@fuzz(60, 40_000)
@given(text=mutated(HANDED_OUT, SECRET_PIECES, st.text(max_size=3), 2))
def test_a_secrets_text_is_ours_only_where_it_was_handed_out(text: str) -> None:
    found = held(lambda: _ours(text), _NotOurs)
    if not isinstance(found, _NotOurs):
        assert text in HANDED_OUT


class _NotOurs(Exception):
    """Stands for a text that is not ours where others raise."""


def _ours(text: str) -> secrettext.SecretText:
    found = secrettext.read(text, tag)
    if found is None or not found.ours:
        raise _NotOurs
    assert NEEDLE not in repr(found)
    return found


# ── access tokens ────────────────────────────────────────────────────────────────────────────────────────────────────

KEYS = TokenKeys(Keyring(Material(b"r" * 32, (Kek(1, "", b"k" * 32),), "a test")))
TOKENS = AccessTokens(KEYS, Terms("https://gateway.example", "gatehouse"))
SECONDS = int(NOW.timestamp())
HEADER: dict[str, Any] = {"alg": "EdDSA", "kid": KEYS.at(NOW).kid, "typ": "at+jwt"}
CLAIMS: dict[str, Any] = {
    "iss": "https://gateway.example",
    "aud": "gatehouse",
    "sub": "app:desk",
    "client_id": "key_1",
    "jti": "tok_1",
    "iat": SECONDS,
    "exp": SECONDS + 600,
    "secret": "sec_1",
}
PERSON = {
    "sub": f"person:https://id.example#{NEEDLE}",
    "act": {"sub": "app:desk"},
    "person": {"how": "token:EdDSA", "issuer": "https://id.example", "kid": "k"},
}
MORE = ["scope", "act", "person", "nbf", "roles", "crit", "jku"]


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(dump(value)).rstrip(b"=").decode()


def signed(header: Any, claims: Any) -> str:
    text = f"{segment(header)}.{segment(claims)}"
    return f"{text}.{base64.urlsafe_b64encode(KEYS.at(NOW).sign(text.encode())).rstrip(b'=').decode()}"


@st.composite
def tokens(draw: st.DrawFn) -> str:
    claims = CLAIMS | draw(
        st.sampled_from([{}, {}, PERSON, {"scope": "service"}, {"iat": -(10**15)}, {"exp": 2**60}])
    )
    made = draw(odd_members(HEADER, MORE, 1)), draw(odd_members(claims, MORE, 1))
    try:
        return signed(*made)
    except TypeError:  # what JSON cannot carry
        return signed(HEADER, CLAIMS)


GOOD = [signed(HEADER, CLAIMS), signed(HEADER, CLAIMS | PERSON)]
PIECES = [".", "..", "=", "+", " ", "e30", "bnVsbA", "eyJhbGciOiJub25lIn0", "\n", NEEDLE, "é", "A" * 9_000]


@fuzz(60, 30_000)
@given(token=tokens() | mutated(GOOD, PIECES, st.text("abcABC019-_.=", max_size=3), 2))
def test_a_token_is_ours_or_refused_for_one_of_two_reasons(token: str) -> None:
    found = held(lambda: TOKENS.verify(token, NOW), Unproven)
    if isinstance(found, Unproven):
        assert found.reason in (Stranger.ACCESS_REFUSED, Stranger.ACCESS_ENDED)
        assert found.__cause__ is None
        return
    assert isinstance(found, Said)
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    assert (header["alg"], claims["iss"], claims["aud"]) == ("EdDSA", CLAIMS["iss"], "gatehouse")
    assert SECONDS < found.ends <= SECONDS + timedelta(minutes=15).total_seconds() + 30
    assert found.application == (claims["sub"] if found.person is None else claims["act"]["sub"])
    assert shown([f"Bearer {token}"]) == token
