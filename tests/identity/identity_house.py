"""An identity room on a real store, with the table as its migration makes it and a clock that stands still."""

from __future__ import annotations

import hashlib
import hmac
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.identity import ApiKey, Identity, confirm_key, insert_key, write_key_text
from gateway.identity.demo import DemoIssuer
from gateway.store import Location, Store, Tree, migrate, open_store
from gateway.words.access import Call
from gateway.words.ids import new_id
from gateway.words.principal import RoleHeld

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@dataclass
class CountingHash:
    """The keyed hash, counting how often it is asked."""

    asked: list[str] = field(default_factory=list)

    def __call__(self, key_id: str, secret: bytes) -> bytes:
        self.asked.append(key_id)
        return hmac.digest(b"k" * 32, key_id.encode() + b"\0" + secret, hashlib.sha256)


@dataclass
class House:
    """The room, and what tests do around it."""

    identity: Identity
    store: Store
    clock: Clock
    hashing: CountingHash
    demo: DemoIssuer
    issued: int = 0

    async def key(
        self, *, confirmed: bool = True, minutes: int = 60, application: str = "app:desk"
    ) -> tuple[str, str]:
        """Issues a key behind the service's back; gives its text and id."""
        self.issued += 1
        text, read = write_key_text(new_id("key"), hashlib.sha256(b"%d" % self.issued).digest())
        key = ApiKey(
            id=read.id,
            digest=self.hashing(read.id, read.secret),
            application=application,
            roles=frozenset({RoleHeld("role:app-desk"), RoleHeld("role:agent", "branch:shanghai")}),
            purposes=frozenset({"service"}),
            created=self.clock(),
            not_after=self.clock() + timedelta(minutes=minutes),
            intent=self.issued,
        )
        await self.store.write(lambda c: insert_key(c, key))
        if confirmed:
            await self.store.write(lambda c: confirm_key(c, key.id, self.clock()))
        await self.refresh()
        return text, key.id

    async def refresh(self) -> None:
        await self.identity.load()


def call(*headers: tuple[str, str]) -> Call:
    """A request with these headers and nothing else of interest."""
    return Call(
        id="req_1",
        method="GET",
        path="/crm/customers",
        segments=("crm", "customers"),
        raw_query="",
        query=(),
        headers=headers,
        body=b"",
        peer="127.0.0.1",
        received=NOW,
    )


def bearer(text: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {text}")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def each_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    address = (
        f"sqlite:///{tmp_path}/state.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    )
    store = await open_store(Location.parse(address, schema="state"))
    await migrate(store, keys_tree(tmp_path))
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(Location.parse(f"sqlite:///{tmp_path}/state.db"))
    await migrate(store, keys_tree(tmp_path))
    try:
        yield store
    finally:
        await store.close()


def keys_tree(folder: Path) -> Tree:
    """The state tree with this room's migration alone, numbered as the first: other rooms' tables are not needed here."""
    shipped = Tree.of("state").folder
    folder = folder / "tree"
    (folder / "versions").mkdir(parents=True)
    shutil.copy(shipped / "env.py", folder)
    text = (shipped / "versions" / "0003_api_keys.py").read_text()
    assert 'revision = "0003"\ndown_revision = "0002"\n' in text
    text = text.replace(
        'revision = "0003"\ndown_revision = "0002"\n', 'revision = "0001"\ndown_revision = None\n'
    )
    (folder / "versions" / "0001_api_keys.py").write_text(text)
    return Tree("state", folder)


@pytest.fixture
async def house(store: Store, tmp_path: Path) -> House:
    clock, hashing = Clock(), CountingHash()
    demo = DemoIssuer.open(tmp_path)
    identity = Identity(store=store, keyed_hash=hashing, issuers=(demo.terms(),), clock=clock)
    house = House(identity, store, clock, hashing, demo)
    await house.refresh()
    return house
