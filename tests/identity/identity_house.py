"""An identity room on a real store, with the table as its migration makes it and a clock that stands still."""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.identity import (
    AccessTokens,
    ApiKey,
    Clients,
    ClientShown,
    Identity,
    Proofs,
    Terms,
    confirm_key,
    insert_key,
    insert_secret,
    write_key_text,
)
from gateway.identity.demo import DemoIssuer
from gateway.keys import Keyring, TokenKeys
from gateway.keys.material import Kek, Material
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


RING = Keyring(Material(b"r" * 32, (Kek(1, "2026-11-21T00:00:00Z", b"k" * 32),), "a test"))
GATEWAY = "https://gateway.example"


def tag(secret_id: str, secret: bytes) -> bytes:
    """The tag of clients' secrets in tests."""
    return hmac.digest(b"t" * 32, secret_id.encode() + b"\0" + secret, hashlib.sha256)


class CountingProofs(Proofs):
    """argon2id as it is, counting how often it is computed."""

    def __init__(self, at_once: int = 2) -> None:
        super().__init__(at_once)
        self.computed = 0

    async def equal(self, kept: str, secret: bytes) -> bool:
        self.computed += 1
        return await super().equal(kept, secret)


@dataclass
class House:
    """The room, and what tests do around it."""

    identity: Identity
    store: Store
    clock: Clock
    hashing: CountingHash
    demo: DemoIssuer
    clients: Clients
    tokens: AccessTokens
    proofs: CountingProofs
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

    async def client(self, **change: Any) -> tuple[str, str]:
        """Issues a client behind the service's back; gives its id and its secret."""
        _, key_id = await self.key(**change)
        return key_id, await self.secret(key_id)

    async def secret(self, client: str, overlap_seconds: int = 0) -> str:
        """Gives a client another secret."""
        self.issued += 1
        text, made = await self.clients.make(client, self.clock(), os.urandom)
        kept = replace(made, overlap_seconds=overlap_seconds, intent=self.issued)
        await self.store.write(lambda c: insert_secret(c, kept))
        await self.refresh()
        return text

    async def token(self, client: str, secret: str, person: str | None = None, *purposes: str) -> str:
        """Gives an access token, as the token endpoint would."""
        proof = await self.identity.client(ClientShown(client, secret, person), call())
        return self.identity.mint(proof, frozenset(purposes) or None).text

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
    for was, name, number, down in (
        ("0003", "api_keys", "0001", "None"),
        ("0006", "client_secrets", "0002", '"0001"'),
        ("0009", "freezes", "0003", '"0002"'),
    ):
        text = (shipped / "versions" / f"{was}_{name}.py").read_text()
        said = f'revision = "{was}"\ndown_revision = "{int(was) - 1:04}"\n'
        assert said in text
        text = text.replace(said, f'revision = "{number}"\ndown_revision = {down}\n')
        (folder / "versions" / f"{number}_{name}.py").write_text(text)
    return Tree("state", folder)


@pytest.fixture
async def house(store: Store, tmp_path: Path) -> House:
    clock, hashing = Clock(), CountingHash()
    demo = DemoIssuer.open(tmp_path)
    proofs = CountingProofs()
    clients = Clients(tag, proofs)
    tokens = AccessTokens(TokenKeys(RING), Terms(GATEWAY, "gatehouse"))
    identity = Identity(
        store=store,
        keyed_hash=hashing,
        issuers=(demo.terms(),),
        clock=clock,
        clients=clients,
        tokens=tokens,
    )
    house = House(identity, store, clock, hashing, demo, clients, tokens, proofs)
    await house.refresh()
    return house
