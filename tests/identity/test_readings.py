"""Credentials are read anew while they serve: other threads only read, and what was read later is never undone by what was read before."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.identity import Identity, all_keys, revoke_key
from gateway.identity.apikeys import ApiKeys
from gateway.identity.issuers import Issuer
from gateway.identity.jwks import FileKeys, VerifyingKey
from gateway.identity.persons import Persons
from gateway.words.errors import Unidentified
from tests.identity.identity_house import NOW, House, bearer, call
from tests.identity.test_persons import ISSUER, jwks, reason, token


async def test_what_serves_is_changed_on_the_loop_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, int] = {}

    def noted(owner: type[Any], name: str) -> None:
        real = getattr(owner, name)

        def noting(*args: Any) -> Any:
            seen[name] = threading.get_ident()
            return real(*args)

        monkeypatch.setattr(owner, name, noting)

    for owner, name in ((ApiKeys, "replace"), (FileKeys, "take"), (Persons, "forget"), (FileKeys, "read")):
        noted(owner, name)
    house.demo.terms().jwks.write_bytes(jwks("ed"))  # type: ignore[union-attr]  # the demo's lie in a file
    await house.refresh()
    here = threading.get_ident()
    assert {name: thread == here for name, thread in seen.items()} == {
        "replace": True,
        "take": True,
        "forget": True,
        "read": False,
    }


class Slow:
    """A store of which the first scan hands over what it read only when it is told to."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.go, self.read_it = asyncio.Event(), asyncio.Event()
        self.scans = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def scan(self, work: Callable[..., Any]) -> Any:
        self.scans += 1
        first = self.scans == 1
        found = await self._real.scan(work)
        if first:
            self.read_it.set()
            await self.go.wait()
        return found


async def test_an_older_reading_that_ends_later_brings_no_revoked_key_back(house: House) -> None:
    text, key_id = await house.key()
    slow = Slow(house.store)
    identity: Any = Identity(store=slow, keyed_hash=house.hashing, issuers=(), clock=house.clock)  # type: ignore[arg-type]
    older = asyncio.create_task(identity.load())
    await slow.read_it.wait()
    await house.store.write(lambda c: revoke_key(c, key_id, house.clock(), 7))
    newer = asyncio.create_task(identity.load())
    await asyncio.wait({newer}, timeout=0.2)  # without turns it has ended by now
    slow.go.set()
    await asyncio.gather(older, newer)
    with pytest.raises(Unidentified):
        await identity.identify(call(bearer(text)))
    (key,) = await house.store.scan(all_keys)
    assert key.revoked_at is not None


class Pausing:
    """A source of keys that is asked and answers later, as one at an address is."""

    def __init__(self, real: FileKeys) -> None:
        self._real = real
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def find(self, kid: str, now: Any) -> VerifyingKey | None:
        found = await self._real.find(kid, now)
        self.asked.set()
        await self.go.wait()
        return found


async def test_a_token_verified_by_a_key_that_is_gone_meanwhile_is_not_remembered(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks("ed"))
    persons = Persons([Issuer(ISSUER, file, "gatehouse", frozenset({"EdDSA", "ES256"}))], None)
    persons.take(persons.read())
    source: Any = persons._keys[ISSUER]
    persons._keys[ISSUER] = pausing = Pausing(source)
    text = token()
    under_way = asyncio.create_task(persons.prove(text, "app:desk", NOW))
    await pausing.asked.wait()
    file.write_bytes(jwks("ec"))
    persons.take(persons.read())
    pausing.go.set()
    await under_way
    assert await reason(persons, text) == "signer-unknown"


async def test_a_key_file_is_believed_as_it_is_now_and_each_mistake_in_it_is_told_once(
    tmp_path: Path,
) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks("ed"))
    told: list[tuple[int, str | None]] = []
    persons = Persons(
        [
            Issuer("https://other.example", "https://other.example/jwks", "gatehouse", frozenset({"EdDSA"})),
            Issuer(ISSUER, file, "gatehouse", frozenset({"EdDSA", "ES256"})),
        ],
        lambda _: asyncio.sleep(0, b""),
        lambda number, error: told.append((number, error and type(error).__name__)),
    )
    for _ in range(2):
        persons.take(persons.read())
    assert told == []  # what is there at a start is no change
    broken = b'{"keys": ['
    for content in (broken, broken, b"", None, None, jwks("ed"), broken):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        persons.take(persons.read())
        assert await persons.prove(token(), "app:desk", NOW)
    assert told == [
        (2, "Misconfigured"),
        (2, "Misconfigured"),
        (2, "FileNotFoundError"),
        (2, "Misconfigured"),
    ]
    file.write_bytes(jwks("ec"))
    persons.take(persons.read())
    assert told[4:] == [(2, None)]
    assert await reason(persons, token()) == "signer-unknown"


async def test_a_change_that_leaves_date_and_size_alone_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks("ed"))
    before = file.stat()
    persons = Persons([Issuer(ISSUER, file, "gatehouse", frozenset({"EdDSA"}))], None)
    persons.take(persons.read())
    await persons.prove(token(), "app:desk", NOW)
    other = file.read_bytes().replace(b'"kid": "ed"', b'"kid": "xx"')
    file.write_bytes(other)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    persons.take(persons.read())
    assert await reason(persons, token()) == "signer-unknown"
