"""The keys of access tokens: one a day, the same wherever the key file is, published a day before and a day after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.keys import Keyring, TokenKeys
from gateway.keys.material import Kek, Material

DAY = datetime(2026, 11, 21, tzinfo=UTC)


def ring(root: bytes = b"r" * 32) -> Keyring:
    return Keyring(Material(root, (Kek(1, "2026-11-21T00:00:00Z", b"k" * 32),), "a test"))


def test_a_key_signs_for_its_day_and_no_longer() -> None:
    keys = TokenKeys(ring())
    within = [DAY, DAY + timedelta(hours=12), DAY + timedelta(days=1, microseconds=-1)]
    assert len({keys.at(moment).kid for moment in within}) == 1
    kids = [keys.at(DAY + timedelta(days=n)).kid for n in range(-400, 400, 37)]
    assert len(set(kids)) == len(kids)


def test_replicas_and_later_programs_have_the_same_keys() -> None:
    assert (
        TokenKeys(ring()).at(DAY).kid
        == TokenKeys(ring()).at(DAY).kid
        == "C2FI1z_XAJoOifhKaPQwQyA0JaGIlNUq851HvjqtLZg"
    )
    assert TokenKeys(ring(b"s" * 32)).at(DAY).kid != "C2FI1z_XAJoOifhKaPQwQyA0JaGIlNUq851HvjqtLZg"


def test_the_key_set_has_today_first_then_yesterday_and_tomorrow() -> None:
    keys = TokenKeys(ring())
    kids = [entry["kid"] for entry in keys.jwks(DAY)["keys"]]
    assert kids == [keys.at(DAY + timedelta(days=n)).kid for n in (0, -1, 1)]
    assert all("d" not in entry for entry in keys.jwks(DAY)["keys"])


def test_what_is_kept_of_keys_is_bounded() -> None:
    keys = TokenKeys(ring())
    for n in range(100):
        keys.at(DAY + timedelta(days=n))
    assert len(keys._keys) <= 6
