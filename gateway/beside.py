"""Beside the path: a command reads the log where many processes share it. It opens the stores as one more of them, decides and records
its look as any other, and serves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import audit
from audit import Log, LogRefused, LogUnavailable
from gateway import catalogue, keyfit
from gateway.activating import standing_at
from gateway.corridor.desk import Asker, Desk
from gateway.corridor.facts import FactRoom
from gateway.corridor.lists import Lister
from gateway.corridor.recorder import Recorder
from gateway.corridor.walk import Ruled
from gateway.fields import FieldLens
from gateway.keys import KeyedEvidence, Keyring, SealedTexts, from_file
from gateway.loading import reread
from gateway.local import OPERATOR, shown
from gateway.observe import Metrics
from gateway.policy import KeptBundles, PolicyDecider, Standing
from gateway.settings import Settings
from gateway.store import Location, Store, Tree, open_store, version_of
from gateway.trail import Reading
from gateway.upstream import Adapter, AllowedHosts, Places
from gateway.words.errors import Misconfigured
from gateway.words.ids import new_id
from gateway.words.principal import Principal

_AT_DATABASE = replace(OPERATOR, proven=("database-login",))
"""Who reads: whoever has the key file and the database's login is the service's own user, as is whoever may open the socket."""


async def _reader() -> Principal:
    return _AT_DATABASE


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Caches:
    """What a look is decided by: the bundle that the log stands at. Fits walk.Caches."""

    settings: Settings
    log: Log
    state: Store
    keyring: Keyring
    ruled: Ruled | None = None

    @property
    def now(self) -> Ruled:
        if self.ruled is None:
            raise AssertionError("read before anything is asked")
        return self.ruled

    async def refresh(self) -> None:
        """Reads it anew. Raises Misconfigured with what to do where it is not to be had here, Unavailable."""
        head = await self.log.head()
        last = await standing_at(self.log, Standing(self.state, self.keyring), head)
        if last is None:
            raise Misconfigured(
                "no bundle was ever in force here: start the gateway once with `gatehouse run`"
            )
        files = await KeptBundles(self.state).find(last.digest)
        chosen = self.settings
        loaded = None
        if files is not None:
            loaded = await asyncio.to_thread(
                reread, last.digest, files, chosen.upstream_hosts, chosen.max_opaque_bytes
            )
        if loaded is None:
            raise Misconfigured(
                f"the bundle in force, {last.digest}, cannot be read here: give this command the settings of the running gateway, "
                "GATEHOUSE_UPSTREAM_HOSTS above all"
            )
        facts = FactRoom(catalogue.of_record, catalogue.of_draft)
        upstream = Adapter(Places(environment={}, allowed=AllowedHosts(())))  # none: nothing is asked of any
        lister = Lister(upstream, facts, FieldLens(self.state, self.keyring), SealedTexts(self.keyring))
        self.ruled = Ruled(head.fence, loaded.catalogue, PolicyDecider(loaded.bundle), upstream, lister)


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Reading]:
    """Gives what reads the log of stores on PostgreSQL while other processes serve.

    Raises Misconfigured with what to do: another key file, no stores, or those of another program's version, which this would not
    migrate under a running one.
    """
    keyring = Keyring(from_file(settings.keys))
    async with AsyncExitStack() as stack:
        tree = Tree.of("state")
        state = await open_store(Location.parse(settings.database_url, schema=tree.name), pool_size=1)
        stack.push_async_callback(state.close)
        if await state.read(lambda connection: version_of(connection, tree)) != tree.revisions()[-1]:
            raise Misconfigured(
                "the stores in this database are not there, or not at this program's schema: make or migrate them with "
                "`gatehouse stores prepare`, or read them with the version that serves"
            )
        try:
            log = await Log.open(audit.postgres(settings.database_url))
        except (LogRefused, LogUnavailable) as error:
            raise Misconfigured(f"the log: {error}") from error
        stack.push_async_callback(log.close)
        await keyfit.refuse_another(settings.keys, keyring, log, state)
        caches = _Caches(settings, log, state, keyring)
        await caches.refresh()
        metrics = Metrics()
        stack.callback(metrics.close)
        yield Reading(Desk(Recorder(log, metrics), caches, state, _now), log, KeyedEvidence(keyring))


async def entries(
    settings: Settings, *, after: int | None, limit: int, callers_id: str | None = None
) -> Sequence[dict[str, Any]]:
    """Gives entries as the socket's `audit.tail` does; the look is an entry. Raises as `reading` and `Reading.entries` do."""
    async with reading(settings) as log:
        asker = Asker(new_id("req"), _reader, "audit")
        seen = await log.entries(asker, after=after, limit=limit, callers_id=callers_id)
    return [shown(e.seq, e.hash, e.bytes, [part.body for part in e.parts]) for e in seen.entries]
