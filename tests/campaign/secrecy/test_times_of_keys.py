"""How long a refusal takes says nothing of the key: neither whether there is one of that id, nor how much of its secret was right.

In `make test` both kinds take the very same steps of the interpreter; in `make proof` the times of 100,000 pairs cannot be told apart.
"""

from __future__ import annotations

import hmac
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.identity import ApiKey, Identity, insert_key, keyed_hash, keytext
from gateway.identity.store import confirm_key
from gateway.identity.strangers import Stranger
from gateway.keys import Keyring
from gateway.keys.material import Kek, Material
from gateway.store import Location, Tree, migrate, open_store
from gateway.words.access import Call
from gateway.words.errors import Unidentified
from gateway.words.ids import new_id
from tests.campaign.counts import count, dice, proving
from tests.campaign.secrecy.timing import THRESHOLD, Pair, told_apart

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
KEYRING = Keyring(Material(b"r" * 32, (Kek(1, "", b"k" * 32),), "test"))
KEYS = count(16, 256)
PAIRS = 100_000
OURS = ("gateway/identity/", "gateway/keys/", Path(__file__).name)  # what is planted stands here

CALL = Call(
    id="req_1", method="GET", path="/crm/customers", segments=("crm", "customers"), raw_query="", query=(), headers=(), body=b"",
    peer="127.0.0.1", received=NOW,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Issued:
    """A key: its id and the bytes of its secret."""

    id: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class Door:
    """An identity room that knows some keys."""

    identity: Identity
    keys: tuple[Issued, ...]

    def refused(self, shown: Issued) -> Callable[[], object]:
        """Gives a call with what should be a key, ready to be made; making it is being refused."""
        text, _ = keytext.write(shown.id, shown.secret)
        call = replace(CALL, headers=(("authorization", f"Bearer {text}"),))

        def make() -> None:
            # No loop: whoever is refused is refused before anything is waited for.
            try:
                self.identity.identify(call).send(None)
            except Unidentified:
                return
            raise AssertionError("a key that does not hold was taken")

        return make


async def door(folder: Path, hashing: Any = None) -> Door:
    store = await open_store(Location.parse(f"sqlite:///{folder}/state.db"))
    try:
        await migrate(store, Tree.of("state"))
        hashing = hashing or keyed_hash(KEYRING)
        keys = tuple(Issued(new_id("key"), dice(f"key {n}").randbytes(32)) for n in range(KEYS))

        def issue(connection: Connection) -> None:
            for number, key in enumerate(keys):
                _, text = keytext.write(key.id, key.secret)
                row = ApiKey(
                    id=key.id, digest=hashing(text.id, text.secret), application="app:desk", roles=frozenset(),
                    purposes=frozenset({"service"}), created=NOW, not_after=NOW + timedelta(days=1), intent=number,
                )  # fmt: skip
                insert_key(connection, row)
                confirm_key(connection, row.id, NOW)

        await store.write(issue)
        identity = Identity(store=store, keyed_hash=hashing, issuers=(), clock=lambda: NOW)
        await identity.load()
    finally:
        await store.close()
    return Door(identity, keys)


def known_and_unknown(at: Door, rolls: random.Random) -> tuple[Issued, Issued]:
    """The same wrong secret with an id that there is, and with one that there is not."""
    secret = rolls.randbytes(32)
    digits = rolls.choices("0123456789abcdefghjkmnpqrstvwxyz", k=26)
    return Issued(rolls.choice(at.keys).id, secret), Issued("key_" + "".join(digits), secret)


def first_and_last(at: Door, rolls: random.Random) -> tuple[Issued, Issued]:
    """A key of which the first byte of the secret is wrong, and one of which the last one is."""
    key, bit = rolls.choice(at.keys), 1 << rolls.randrange(8)
    first = bytes([key.secret[0] ^ bit]) + key.secret[1:]
    last = key.secret[:-1] + bytes([key.secret[-1] ^ bit])
    return Issued(key.id, first), Issued(key.id, last)


KINDS = (known_and_unknown, first_and_last)
Kind = Callable[[Door, random.Random], tuple[Issued, Issued]]


def pair(kind: Kind, at: Door, rolls: random.Random) -> Pair:
    """Makes two calls, now the one first and now the other: where a thing lies in memory is not in what is compared."""
    one, other = kind(at, rolls)
    if rolls.random() < 0.5:
        later = at.refused(other)
        return at.refused(one), later
    return at.refused(one), at.refused(other)


def pairs(kind: Kind, at: Door, number: int) -> Iterator[Pair]:
    rolls = dice(kind.__name__)
    for start in range(0, number, 1000):
        # Made a thousand at a time: what the making of one pair leaves in the caches is not in the time of the next.
        yield from [pair(kind, at, rolls) for _ in range(min(1000, number - start))]


def steps(call: Callable[[], object]) -> list[tuple[str, int]]:
    """Gives every instruction of the interpreter that is run in the rooms of identity and keys, in order."""
    ran: list[tuple[str, int]] = []

    def entered(frame: FrameType, event: str, argument: object) -> Any:
        if not any(ours in frame.f_code.co_filename for ours in OURS):
            return None
        frame.f_trace_opcodes = True
        return stepped

    def stepped(frame: FrameType, event: str, argument: object) -> Any:
        if event == "opcode":
            ran.append((frame.f_code.co_qualname, frame.f_lasti))
        return stepped

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        call()
    finally:
        sys.settrace(before)
    return ran


@pytest.mark.campaign
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_a_refusal_takes_the_same_steps_and_the_same_time_whatever_is_wrong(
    tmp_path: Path, kind: Kind
) -> None:
    at = await door(tmp_path)
    rolls = dice("steps")
    for _ in range(count(20, 500)):
        one, other = pair(kind, at, rolls)
        assert (taken := steps(one)) == steps(other)
        assert len(taken) > 100  # it looked at something
    assert set(at.identity.strangers.take()) <= {Stranger.KEY_UNKNOWN, Stranger.SECRET_WRONG}
    if proving():
        t = told_apart(pairs(kind, at, PAIRS), dice("order"))
        print(f"proof: {kind.__name__}: {PAIRS} pairs, Welch t = {t:.2f}")
        assert abs(t) < THRESHOLD


def early_exit(one: bytes, other: bytes) -> bool:
    """A comparison that ends at the first difference."""
    return len(one) == len(other) and all(a == b for a, b in zip(one, other, strict=True))


@pytest.mark.campaign
async def test_a_comparison_that_ends_early_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: secrets kept as they are, and compared byte by byte."""
    at = await door(tmp_path, hashing=lambda key_id, secret: secret)
    monkeypatch.setattr(hmac, "compare_digest", early_exit)
    one, other = pair(first_and_last, at, dice("planted"))
    assert steps(one) != steps(other)
    if proving():
        t = told_apart(pairs(first_and_last, at, PAIRS), dice("order"))
        print(f"proof: with an early exit planted, Welch t = {t:.2f}")
        assert abs(t) > THRESHOLD


@pytest.mark.campaign
async def test_an_unknown_id_that_is_not_hashed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other control: the secret is hashed only where there is a key to compare it with."""
    at = await door(tmp_path)
    honest = at.identity._keys._hash
    known = {key.id for key in at.keys}
    monkeypatch.setattr(at.identity._keys, "_hash", lambda i, s: honest(i, s) if i in known else bytes(32))
    one, other = pair(known_and_unknown, at, dice("planted"))
    assert steps(one) != steps(other)
    if proving():
        t = told_apart(pairs(known_and_unknown, at, PAIRS), dice("order"))
        print(f"proof: with an unhashed unknown id planted, Welch t = {t:.2f}")
        assert abs(t) > THRESHOLD
