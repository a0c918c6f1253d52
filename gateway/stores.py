"""Before the path: the three stores, and the log beside them. One home, one owner on SQLite; three schemas on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import audit
from audit import AuditError, Head, Log, LogRefused, LogUnavailable, StoredEntry
from gateway import machine
from gateway.corridor.outage import tell_outage
from gateway.settings import Settings
from gateway.store import (
    Connection,
    Location,
    OwnerLock,
    Store,
    Tree,
    inspect_file,
    inspect_schema,
    look_at_file,
    look_at_schema,
    migrate,
    open_store,
    version_of,
)
from gateway.words.errors import Misconfigured, Unavailable

T = TypeVar("T")
BEGINNING = "beginning"
"""Lies in the home folder from the first moment of the first start until all three stores are there, so that a kill in between
is a beginning that goes on and not a loss."""
OWNER_LOCK = "owner.lock"
WORKERS_LOCK = "workers.lock"
"""Held while a parent of workers runs, or one process on PostgreSQL: by it `gatehouse doctor` knows whose port it finds taken.
Nothing else hangs on it."""
LOG_FILE, STATE_FILE, RECORDS_FILE = "audit.sqlite", "state.sqlite", "records.sqlite"


@dataclass(frozen=True, slots=True)
class Stores:
    """What a process keeps: the log, its own state, and the embedded upstream's records. fresh: made just now."""

    log: Log
    state: Store
    records: Store
    fresh: bool


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Opens, verifies and migrates all three; closes them in the opposite order.

    Raises Misconfigured with what to do: a store that is missing beside the others is a loss, not a beginning.
    """
    async with AsyncExitStack() as stack:
        machine.make_home(settings.home)
        if settings.database_url:
            state_at = Location.parse(settings.database_url, schema="state")
            records_at = Location.parse(settings.database_url, schema="records")
            log_store = audit.postgres(settings.database_url)
            fresh = None
        else:
            machine.disk(settings.home, settings.disk_floor_bytes)
            stack.enter_context(OwnerLock(settings.home / OWNER_LOCK))
            files = _files(settings)
            beginning = settings.home / BEGINNING
            fresh = beginning.exists() or _fresh(files)
            if fresh:
                _touch(beginning)
            log_store = audit.sqlite(files[0])
            state_at = Location.parse(f"sqlite:///{files[1]}")
            records_at = Location.parse(f"sqlite:///{files[2]}")
        with _named(state_at, Tree.of("state")):
            state = await open_store(state_at)
        stack.push_async_callback(state.close)
        new = (
            await state.read(lambda connection: version_of(connection, Tree.of("state"))) is None
            if fresh is None
            else fresh
        )
        with _named(state_at, Tree.of("state")):
            await migrate(state, Tree.of("state"))
        with _named(records_at, Tree.of("records")):
            records = await open_store(records_at)
            stack.push_async_callback(records.close)
            await migrate(records, Tree.of("records"))
        try:
            log = await Log.open(log_store, create=new, max_waiting=settings.max_waiting, outage=tell_outage)
        except (LogRefused, LogUnavailable) as error:
            raise Misconfigured(f"the log: {error}") from error
        stack.push_async_callback(log.close)
        if not settings.database_url:
            (settings.home / BEGINNING).unlink(missing_ok=True)
        yield Stores(log, state, records, new)


@contextmanager
def _named(location: Location, tree: Tree) -> Iterator[None]:
    """Says which file it is that cannot be used, and what to do, where looking at it tells."""
    try:
        yield
    except Unavailable:
        if location.path is not None:
            inspect_file(location.path, tree)
        raise


def _touch(beginning: Path) -> None:
    try:
        beginning.touch(mode=0o600)
    except OSError as error:
        raise Misconfigured(
            f"the home folder cannot be used ({error.strerror}): check its owner, its mode and its disk"
        ) from error


async def any_store(settings: Settings) -> bool:
    """Tells whether a store is there already, whole or not: what lies in it was sealed under a key of its own time."""
    if not settings.database_url:
        return any(path.exists() and path.stat().st_size > 0 for path in _files(settings))
    for tree in (Tree.of("state"), Tree.of("records")):
        store = await open_store(Location.parse(settings.database_url, schema=tree.name))
        try:
            if await store.read(partial(version_of, tree=tree)) is not None:
                return True
        finally:
            await store.close()
    return False


async def prepare_stores(settings: Settings) -> bool:
    """Makes or migrates the stores on PostgreSQL, as the login that owns them; True where they were made just now.

    Repeating it does nothing more. Raises Misconfigured for stores in files: they are made by a start itself.
    """
    if not settings.database_url:
        raise Misconfigured(
            "GATEHOUSE_DATABASE_URL is not set; stores in files are made by `gatehouse run` itself"
        )
    async with open_stores(settings) as stores:
        return stores.fresh


def inspect_stores(settings: Settings) -> Head | None:
    """What `open_stores` would refuse, looked at without making or migrating anything; gives the log's head, None without a log.

    Blocks, and must not be called on an event loop. Raises Misconfigured with what to do, Unavailable where PostgreSQL does not answer.
    """
    if settings.database_url:
        for name in ("state", "records"):
            asyncio.run(inspect_schema(Location.parse(settings.database_url, schema=name), Tree.of(name)))
        return _head_of(_log_store(settings))
    files = _files(settings)
    if (settings.home / BEGINNING).exists() or _fresh(files):
        return None
    inspect_file(files[1], Tree.of("state"))
    inspect_file(files[2], Tree.of("records"))
    return _head_of(_log_store(settings))


def look_at_state(settings: Settings, look: Callable[[Connection], T]) -> T | None:
    """Gives what `look` gives of the state store, which stays as it is; None where there is none at this program's schema.

    Blocks, and must not be called on an event loop. Raises Misconfigured and Unavailable where it cannot be read.
    """
    tree = Tree.of("state")
    if settings.database_url:
        location = Location.parse(settings.database_url, schema=tree.name)
        return asyncio.run(look_at_schema(location, tree, look))
    return look_at_file(settings.home / STATE_FILE, tree, look)


def first_entry(settings: Settings) -> StoredEntry | None:
    """Gives the log's first entry, None where there is none. To be called as `look_at_state`, and where `inspect_stores` gave a head.

    Raises Unavailable.
    """
    reader = _log_store(settings).reader()
    try:
        found = reader.entries(0, 1)
    except AuditError as error:
        raise Unavailable from error
    finally:
        reader.close()
    return found[0] if found else None


def _log_store(settings: Settings) -> audit.Store:
    if settings.database_url:
        return audit.postgres(settings.database_url)
    return audit.sqlite(settings.home / LOG_FILE)


def _head_of(store: audit.Store) -> Head | None:
    try:
        return store.inspect()
    except LogRefused as error:
        raise Misconfigured(f"the log: {error}") from error


def _files(settings: Settings) -> list[Path]:
    return [settings.home / name for name in (LOG_FILE, STATE_FILE, RECORDS_FILE)]


def _fresh(files: list[Path]) -> bool:
    there = [path for path in files if path.exists() and path.stat().st_size > 0]
    if not there:
        return True
    missing = [path.name for path in files if path not in there]
    if missing:
        raise Misconfigured(
            f"{', '.join(missing)} is missing beside {', '.join(p.name for p in there)}: restore it from the same backup. "
            "To begin anew, move the whole home folder away"
        )
    return False


def refuse_open_home(home: Path) -> None:
    """Raises Misconfigured where others may write into the home folder: they could put other stores, or none, in their places."""
    if home.is_dir() and home.stat().st_mode & 0o022:
        raise Misconfigured(
            f"others on this machine may write into the home folder {home}: `chmod go-w {home}`"
        )
