"""Envelopes and sealed cursors: what an upstream stores and what a caller hands back opens in its own place, or not at all."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from gateway.corridor.lists import Lister, Place
from gateway.fields.envelope import FieldKey, Malformed, about_field, about_record, decoded, parse, write
from gateway.keys import Keyring, SealedTexts, from_file
from gateway.keys.material import Kek, Material
from gateway.words.errors import Code, GatehouseError, Misconfigured, Refused
from gateway.words.work import Addressed, List, Narrowing, Run
from tests.catalogue.builders import call, principal
from tests.catalogue.test_catalogue_properties import CATALOGUE
from tests.fuzz.laws import NEEDLE, done, fuzz, held, mutated, odd_json, odd_members

GOLDEN = json.loads((Path(__file__).parents[1] / "fields" / "golden" / "envelope.json").read_text())
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NOISE = st.text(max_size=3)

# ── envelopes ────────────────────────────────────────────────────────────────────────────────────────────────────────

KEY = FieldKey(bytes(range(32)), bytes(range(16, 32)), 1, "profile")
RECORD = about_record("crm", "customer", "seal_1")
VALUES: list[Any] = [NEEDLE, "", "张伟", 13812345678, 1.5, True, [NEEDLE, None], {"a": {"b": []}}, "x" * 300]
SEALED = [KEY.seal(RECORD, "/name", value, bytes([n]) * 12) for n, value in enumerate(VALUES)]
TEXTS = [case["envelope"] for case in GOLDEN["cases"]] + SEALED
TEXT_PIECES = [
    "gh1:",
    "gh2:",
    "GH1:",
    "=",
    "==",
    "+",
    "/",
    "-",
    "_",
    "A",
    "AAAA",
    " ",
    "\n",
    "\0",
    "é",
    "龙",
    "\ud800",
    NEEDLE,
    "A" * 70_000,
]


@fuzz(70, 40_000)
@given(text=mutated(TEXTS, TEXT_PIECES, NOISE | st.text(BASE64, max_size=5)))
def test_an_envelopes_text_has_one_spelling_or_is_malformed(text: str) -> None:
    taken = held(lambda: parse(text), Malformed)
    if not isinstance(taken, Malformed):
        assert not isinstance(taken, Exception)
        assert write(taken) == text


@fuzz(55, 40_000)
@given(
    data=mutated([decoded(text) for text in TEXTS], [b"\0", b"\xff", b"\x04", b"\x07", b"profile", bytes(16)], st.binary(max_size=4)),
)  # fmt: skip
def test_envelope_bytes_are_taken_apart_and_put_together_the_same(data: bytes) -> None:
    text = "gh1:" + base64.urlsafe_b64encode(data).decode().rstrip("=")
    taken = held(lambda: parse(text), Malformed)
    if not isinstance(taken, Malformed):
        assert not isinstance(taken, Exception)
        assert write(taken) == text


@fuzz(70, 60_000)
@given(
    which=st.integers(0, len(SEALED) - 1),
    rest=mutated([b""], [b"\0", b"\xff"], st.binary(max_size=2), 2),
    flip=st.none() | st.tuples(st.integers(0, 400), st.integers(1, 255)),
    cut=st.none() | st.integers(0, 60),
    pointer=st.sampled_from(["/name", "/name", "/phone", "/name/", "", "/name\ud800"]),
    record=st.sampled_from([RECORD, RECORD, about_record("crm", "customer", "seal_2"), about_record("crm", "thread", "seal_1"), b""]),
)  # fmt: skip
def test_an_envelope_opens_unaltered_in_its_place_or_not_at_all(
    which: int, rest: bytes, flip: tuple[int, int] | None, cut: int | None, pointer: str, record: bytes
) -> None:
    whole = decoded(SEALED[which])
    tail = bytearray(whole[len(KEY.header) :])
    if flip is not None:
        tail[flip[0] % len(tail)] ^= flip[1]
    data = KEY.header + bytes(tail)[:cut] + rest
    opened = held(lambda: KEY.open(record, pointer, data), Malformed, InvalidTag)
    if isinstance(opened, Malformed | InvalidTag):
        return
    assert (data, pointer, record) == (whole, "/name", RECORD)
    assert json.dumps(opened) == json.dumps(VALUES[which])


PLAINS = [
    b"\x80", b"true\x80", b"null\x80", b"1\x80", b"NaN\x80", NEEDLE.encode() + b"\x80\0\0", b'{"a":1}\x80', b"[[]]\x80",
    b'"' + NEEDLE.encode() + b'"\x80', b"\xff\xfe1\0\x80", b"[" * 100_000 + b"\x80", b"9" * 5000 + b"\x80", b'{"a":1,"a":2}\x80',
]  # fmt: skip


@fuzz(40, 20_000)
@given(
    plain=mutated(PLAINS, [b"\x80", b"\0", b"[", b"]", b'"', b"\xff", b"-", b"1e999"], st.binary(max_size=3)),
    kind=st.sampled_from([4, 4, 4, 1, 2, 3, 4, 5, 6, 0, 7, 255]),
)
def test_what_opens_is_a_value_of_its_type_or_malformed(plain: bytes, kind: int) -> None:
    # As if the key's holder had sealed something that no version of ours ever sealed.
    about = KEY._about + RECORD + about_field("/name", kind)
    data = KEY.header + bytes([kind]) + bytes(12) + AESGCM(bytes(range(32))).encrypt(bytes(12), plain, about)
    opened = held(lambda: KEY.open(RECORD, "/name", data), Malformed)
    if not isinstance(opened, Malformed):
        assert {1: bool, 2: int, 3: float, 4: str, 5: list, 6: dict}[kind] is type(opened)


# ── cursors ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Reached(GatehouseError):
    """The cursor was taken, and the upstream was about to be asked from there."""

    def __init__(self, position: str | None) -> None:
        super().__init__()
        self.position = position


@dataclass
class _Upstream:
    def narrowing(self, what: Addressed, work: List, known: Any) -> Narrowing:
        return Narrowing((("unit", "north"),))

    async def page(self, what: Addressed, work: List, run: Run) -> Any:
        raise _Reached(run.position)


def asked(target: str = "/shop/buyers?unit=north", *purposes: str) -> tuple[Addressed, List]:
    what = CATALOGUE.address(call("GET", target), principal(*(purposes or ("service",))))
    assert isinstance(what.work, List)
    return what, what.work


SEALS = SealedTexts(
    Keyring(Material(bytes(range(32)), (Kek(1, "2026-01-01T00:00:00Z", b"\x01" * 32),), "test"))
)
LISTER = Lister(cast(Any, _Upstream()), cast(Any, None), cast(Any, None), SEALS)
PLACES = (
    *(Place("p1", 0), Place("p1", 7), Place(None, 3), Place(NEEDLE * 60, 1)),
    Place("p1", 2, (("unit", "north"),)),
)
MINE = [text for place in PLACES if (text := LISTER.cursor(*asked(), place)) is not None]
OTHERS = [
    text
    for question in (asked("/shop/buyers?unit=south"), asked("/shop/buyers"), asked("/shop/buyers?unit=north", "audit"))
    if (text := LISTER.cursor(*question, Place("p1", 0))) is not None
]  # fmt: skip
FORGED = [base64.urlsafe_b64encode(os.urandom(12) + bytes(n)).decode().rstrip("=") for n in (0, 1, 16, 272)]


@fuzz(70, 40_000)
@given(text=mutated([*MINE * 4, *OTHERS, *FORGED, ""], TEXT_PIECES, NOISE | st.text(BASE64, max_size=4), 2))
def test_a_cursor_goes_on_with_its_own_question_or_is_invalid(text: str) -> None:
    what, work = asked()
    work = replace(work, query=replace(work.query, cursor=text))
    question = cast(Any, None)
    found = held(lambda: _tried(what, work, question), Refused)
    if isinstance(found, Refused):
        assert (found.code, dict(found.params), found.__cause__) == (Code.CURSOR_INVALID, {}, None)
    else:
        assert text in MINE


def _tried(what: Addressed, work: List, question: Any) -> str | None:
    try:
        done(LISTER.gather(what, work, question))
    except _Reached as reached:
        return reached.position
    raise AssertionError("it listed without an upstream")


# ── the key file ─────────────────────────────────────────────────────────────────────────────────────────────────────

SECRET = base64.b64encode((NEEDLE * 4).encode()).decode()
KEK: dict[str, Any] = {"version": 1, "created": "2026-01-01T00:00:00Z", "secret": SECRET}
FILE: dict[str, Any] = {"format": 1, "root": base64.b64encode(bytes(range(32))).decode(), "keks": [KEK]}


@st.composite
def key_files(draw: st.DrawFn) -> bytes:
    keks = draw(st.lists(odd_members(KEK, most=1), max_size=2))
    document: Mapping[str, Any] = draw(
        odd_members(FILE | ({"keks": keks} if draw(st.booleans()) else {}), ["more"], 1)
    )
    text = json.dumps(draw(st.sampled_from([document, document, document, [document]]) | odd_json))
    return draw(
        mutated(
            [text.encode()], [b"{", b"]", b'"', b"\xff", b"NaN", b"\0", b"[" * 3000], st.binary(max_size=2), 2
        )
    )


@fuzz(35, 15_000)
@given(data=key_files())
def test_a_key_file_is_ours_or_refused_and_never_shown(shelf: Path, data: bytes) -> None:
    path = shelf / "keys.json"
    path.write_bytes(data)
    path.chmod(0o600)
    found = held(lambda: from_file(path), Misconfigured)
    if isinstance(found, Misconfigured):
        assert SECRET not in str(found)
        assert found.__cause__ is None
    else:
        assert isinstance(found, Material)
        assert Keyring(found).status().keks
