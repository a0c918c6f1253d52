"""The search finds each value in each form, packed or not, at any place; and finds nothing where nothing is."""

from __future__ import annotations

import base64
import gzip
import zlib

import pytest

from tests.campaign.counts import dice
from tests.campaign.secrecy.needles import Found, Search, forms
from tests.campaign.secrecy.people import invent

PEOPLE = invent(20, dice("needles"))
SEARCH = Search({f"{p.number}.{name}": value for p in PEOPLE for name, value in p.values().items()})
NOISE = dice("noise").randbytes(100_000)


def found(data: bytes) -> set[tuple[str, str]]:
    return {(f.label, f.form) for f in SEARCH.find("here", data)}


@pytest.mark.parametrize("name", PEOPLE[0].values())
def test_every_form_of_a_value_is_found_at_any_place(name: str) -> None:
    person = PEOPLE[7]
    for form, needle in forms(person.values()[name]):
        for before in range(5):
            data = NOISE[:before] + needle + NOISE[:before]
            assert any(label == f"7.{name}" for label, _ in found(data)), form


def test_base64_is_found_whatever_stands_around_it() -> None:
    for before in range(3):
        for after in range(3):
            text = b"x" * before + PEOPLE[3].phone.encode() + b"y" * after
            assert any(label == "3.phone" for label, _ in found(base64.b64encode(text)))
            assert any(label == "3.phone" for label, _ in found(base64.urlsafe_b64encode(text)))


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda data: zlib.compress(data, 9)])
def test_packed_streams_are_opened_also_when_they_are_cut(pack) -> None:
    packed = pack(b"a" * 50 + PEOPLE[2].name.encode() + bytes(range(256)) * 8)
    assert ("2.name", "utf-8") in found(NOISE[:1_000] + packed + NOISE[:1_000])
    assert ("2.name", "utf-8") in found(NOISE[:1_000] + packed[:-8])
    assert Found("here, packed", "2.name", "utf-8") in list(SEARCH.find("here", packed))


def test_nothing_is_found_where_nothing_is() -> None:
    assert found(NOISE) == set()
    assert found(b"".join(p.phone[:-1].encode() + b"x" for p in PEOPLE)) == set()


def test_a_value_too_short_to_be_told_from_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        Search({"a": "ab"})
