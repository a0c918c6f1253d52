"""Ids are UUIDv7 in Crockford's base 32, a kind in front."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from gateway.words.ids import new_id

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_an_id_reads_back_as_a_uuid_of_version_7_with_its_moment(milliseconds: int, random: bytes) -> None:
    made = new_id("req", now=lambda: (milliseconds + 0.5) / 1000, dice=lambda _: random)
    kind, _, digits = made.partition("_")
    number = 0
    for digit in digits:
        number = number * 32 + CROCKFORD.index(digit)
    read = uuid.UUID(int=number)
    assert (kind, len(digits), read.version, read.int >> 80) == ("req", 26, 7, milliseconds)


def test_ids_sort_by_birth() -> None:
    born = [new_id("key", now=lambda at=at: at) for at in (1.0, 1.5, 2.0, 1_700_000_000.0, 1_800_000_000.0)]
    assert born == sorted(born)
