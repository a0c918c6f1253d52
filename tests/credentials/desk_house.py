"""The desk on a real log, a real state store and the real identity room; one small rule stands in for the policy."""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection

import audit
from gateway.corridor.desk import Asker, Desk
from gateway.corridor.inforce import InForce
from gateway.corridor.walk import Ruled
from gateway.credentials import Clients as ClientDesk
from gateway.credentials import Declared, Granted, Issued, Keys, KeySettlement, Tokens, Wanted, Wish
from gateway.identity import (
    AccessTokens,
    Clients,
    ClientShown,
    Identity,
    Proofs,
    Terms,
    insert_key,
    keyed_hash,
    secret_tag,
    write_key_text,
)
from gateway.identity.demo import DemoIssuer
from gateway.identity.store import ApiKey, confirm_key
from gateway.keys import Keyring, TokenKeys, create_key_file, from_file
from gateway.store import Location, Store, Tree, migrate, open_store
from gateway.words.access import Access, Call
from gateway.words.decision import (
    NOTHING_SHOWN,
    DecidedBy,
    Decision,
    Disclosure,
    Facts,
    FieldView,
    Reason,
    Rule,
)
from gateway.words.errors import Unavailable, Unidentified
from gateway.words.filter import UNKNOWN, Within
from gateway.words.ids import new_id
from gateway.words.principal import RoleHeld
from gateway.words.resource import ResourceSpec
from gateway.words.told import Cause, Told

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
GATEWAY = "https://gateway.example"
ADMIN = frozenset({RoleHeld("role:security-admin")})
AGENT = frozenset({RoleHeld("role:agent", "branch:shanghai")})


@dataclass
class AdminsOnly:
    """One rule: who holds role:security-admin may, and sees every field but those in `hidden`."""

    hidden: set[str] = field(default_factory=set)
    asked: list[Access] = field(default_factory=list)

    def prepare(self, access: Access, resource: ResourceSpec, fence: int) -> OneAnswer:
        self.asked.append(access)
        allowed = RoleHeld("role:security-admin") in access.principal.application.roles
        seen = FieldView(
            {f.pattern: Disclosure.CLEAR for f in resource.fields if f.pattern not in self.hidden}
        )
        return OneAnswer(
            Decision(
                allowed=allowed,
                reason=Reason.RULE_ALLOWED if allowed else Reason.NO_RULE,
                by=DecidedBy.BUNDLE,
                rule=Rule("policies/policy.csv", 7) if allowed else None,
                read=seen if allowed else NOTHING_SHOWN,
                write=frozenset(),
                facts=Facts(),
                bundle="sha256:" + "0" * 64,
                engine="test 1",
                fence=fence,
                roles=tuple(sorted(held.role for held in access.principal.application.roles)),
            )
        )

    def told(self, access: Access, resource: ResourceSpec) -> Told:
        return Told(Reason.NO_RULE, Cause.ROLES, access.action, access.purpose)


@dataclass
class OneAnswer:
    decision: Decision

    def early(self) -> Decision | None:
        return None if self.decision.allowed else self.decision

    def collection(self) -> Decision:
        return self.decision

    def decide(self, facts: Facts) -> Decision:
        return self.decision

    def searchable(self) -> frozenset[str]:
        return frozenset()

    def sees_all(self) -> bool:
        return False

    def within(self, *, named: bool) -> Within:
        return UNKNOWN


@dataclass
class Desks:
    """One process: log, store, identity, desk and the service."""

    log: audit.Log
    store: Store
    identity: Identity
    rules: AdminsOnly
    inforce: InForce
    keys: Keys
    settlement: KeySettlement
    clients: ClientDesk
    tokens: Tokens
    access: AccessTokens

    async def admin(self, roles: frozenset[RoleHeld] = ADMIN, purposes: frozenset[str] = frozenset()) -> str:
        """The text of a key that is there without any entry, as a first start would make it."""
        text, read = write_key_text(new_id("key"), hashlib.sha256(repr((roles, id(self))).encode()).digest())
        key = ApiKey(
            read.id,
            self.keys.keyed_hash(read.id, read.secret),
            "app:admin",
            roles,
            purposes,
            NOW,
            NOW + timedelta(days=30),
            intent=10_000 + len(repr(roles)),
        )

        def both(connection: Connection) -> None:
            insert_key(connection, key)
            confirm_key(connection, key.id, NOW)

        await self.store.write(both)
        await self.inforce.refresh()
        return text

    def asker(self, text: str, purpose: str | None = None) -> Asker:
        return Asker(new_id("req"), lambda: self.identity.identify(call(text)), purpose)

    async def issue(self, admin: str, **change: Any) -> Issued:
        return await self.keys.issue(self.asker(admin), lambda: wish(**change))

    async def client(self, admin: str, **change: Any) -> Issued:
        return await self.clients.issue(self.asker(admin), lambda: wish(**change))

    async def grant(
        self, client: str, secret: str, person: str | None = None, purposes: frozenset[str] | None = None
    ) -> Granted:
        """Asks for a token as the door does."""
        return await self.tokens.grant(call(""), Wanted(ClientShown(client, secret, person), purposes))

    async def entries(self) -> list[dict[str, Any]]:
        """Every entry, with its parts under `parts`."""
        found = await self.log.entries(0, 1000)
        return [json.loads(e.bytes) | {"parts": [json.loads(p.body) for p in e.parts]} for e in found]

    async def kinds(self) -> list[str]:
        return [entry["kind"] for entry in await self.entries()]

    async def holds(self, text: str) -> bool:
        """Whether this process takes the key now."""
        try:
            await self.identity.identify(call(text))
        except Unidentified:
            return False
        return True


DECLARED = Declared(
    frozenset({"role:agent", "role:app-desk"}),
    frozenset({"service", "audit"}),
    frozenset({"branch:shanghai"}),
)


def wish(**change: Any) -> Wish:
    wanted = {
        "application": "app:desk",
        "roles": AGENT,
        "purposes": frozenset({"service"}),
        "not_after": NOW + timedelta(days=1),
    }
    return Wish(**(wanted | change))


def call(text: str) -> Call:
    headers = (("authorization", f"Bearer {text}"),)
    return Call("req_1", "GET", "/v1/keys", ("v1", "keys"), "", (), headers, b"", "127.0.0.1", NOW)


@asynccontextmanager
async def open_desks(folder: Path, *, log: Any = None, store: Any = None) -> AsyncIterator[Desks]:
    """One process over the stores in `folder`; `log` and `store` may wrap the real ones."""
    await _furnish(folder)
    keyring = Keyring(from_file(folder / "keys.json"))
    hashing = keyed_hash(keyring)
    kept = await open_store(Location.parse(f"sqlite:///{folder}/state.db"))
    real = await audit.Log.open(audit.sqlite(folder / "audit.db"))
    written = cast(audit.Log, log(real) if log else real)
    state = cast(Store, store(kept) if store else kept)
    rules = AdminsOnly()
    demo = DemoIssuer.open(folder)
    secrets = Clients(secret_tag(keyring), Proofs(2))
    access = AccessTokens(TokenKeys(keyring), Terms(GATEWAY, "gatehouse"))
    identity = Identity(
        store=state,
        keyed_hash=hashing,
        issuers=(demo.terms(),),
        clock=lambda: NOW,
        clients=secrets,
        tokens=access,
    )

    nowhere: Any = None
    first = Ruled(fence=-1, addresser=nowhere, decider=rules, upstream=nowhere, lister=nowhere)

    async def nobodys(_after: int, _upto: int) -> None:
        """No bundle comes in force here."""

    inforce = InForce(written, identity.load, first, nobodys)
    await inforce.refresh()
    desk = Desk(written, inforce, state, lambda: NOW)
    keys = Keys(desk, hashing, identity.load, lambda: DECLARED)
    try:
        yield Desks(
            real,
            kept,
            identity,
            rules,
            inforce,
            keys,
            KeySettlement(desk, identity.load),
            ClientDesk(keys, secrets),
            Tokens(desk, identity),
            access,
        )
    finally:
        await real.close()
        await kept.close()


_TEMPLATE: list[Path] = []


async def _furnish(folder: Path) -> None:
    """Makes the folder with a key file and empty, migrated stores where it is not there; migrating is done once a session."""
    if not _TEMPLATE:
        home = Path(tempfile.mkdtemp(prefix="desk-"))
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        create_key_file(home / "keys.json")
        store = await open_store(Location.parse(f"sqlite:///{home}/state.db"))
        await migrate(store, Tree.of("state"))
        await store.close()
        log = await audit.Log.open(audit.sqlite(home / "audit.db"), create=True)
        await log.close()
        _TEMPLATE.append(home)
    _copy(_TEMPLATE[0], folder)


def _copy(template: Path, folder: Path) -> None:
    if not folder.exists():
        shutil.copytree(template, folder)


class Breaking:
    """A log or a store of which one call fails, the `at`-th of that name from when it is armed; the rest is the real one."""

    def __init__(self, real: Any, name: str, error: Exception | None = None) -> None:
        self._real, self._name = real, name
        self._error = error or Unavailable()
        self.left = 0
        self.after = self.stays = False

    def arm(
        self, at: int, *, after: bool = False, stays: bool = False, error: Exception | None = None
    ) -> None:
        """after: the call takes effect and then fails, as when the connection breaks on the answer. stays: and all after it fail."""
        self.left, self.after, self.stays, self._error = at, after, stays, error or self._error

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name != self._name:
            return found

        async def counted(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left > 0 or (self.left < 0 and not self.stays):
                return await found(*args, **kwargs)
            if self.after and self.left == 0:
                await found(*args, **kwargs)
            raise self._error

        return counted
