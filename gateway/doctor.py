"""Beside the path: checks everything that a start needs and says what to do. Changes nothing that stays."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from audit.store.sqlite import OLDEST_SQLITE
from gateway import keyfit, machine
from gateway import settings as table
from gateway.asking import PORTS, SOCKET, ask
from gateway.edge import bind, probe
from gateway.exposure import check_address, check_credentials, exposed, listener_tls, own_address
from gateway.fetching import fetch
from gateway.fields import oldest_subjects
from gateway.identity import all_keys, look_at_issuers, read_holders, read_issuers
from gateway.keys import AssertionKey, Keyring, from_file
from gateway.loading import Loaded, look_at_upstreams, read
from gateway.observe import can_collect, keep_memory_private
from gateway.settings import Settings
from gateway.store import OwnerLock, try_folder
from gateway.stores import (
    OWNER_LOCK,
    WORKERS_LOCK,
    first_entry,
    inspect_stores,
    look_at_state,
    refuse_open_home,
)
from gateway.text import Language, text
from gateway.upstream import Asserting
from gateway.words.errors import GatehouseError, Misconfigured, Unavailable

Say = Callable[..., str]
Work = Callable[[], object]
_ASK_SECONDS = 3.0
MOST_OF_A_SOCKET = 107
"""Bytes of a socket's path: sun_path without its closing zero (unix(7))."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a start needs. todo: what to do about it, empty where it is there."""

    what: str
    good: bool
    todo: str = ""


def examine(environment: Mapping[str, str], language: Language = Language.ENGLISH) -> list[Check]:
    """Gives every check, in the order in which a start would meet them. Never raises for what it checks.

    What a load says about a file's line, and what a start itself would say, is passed on as it is, in English. With stores on
    PostgreSQL not to be called on an event loop.
    """
    say = partial(text, language=language)
    checks = list(_machine(say))
    try:
        settings = table.read(environment)
    except Misconfigured as error:
        return [*checks, Check(say("doctor.settings"), False, "; ".join(error.problems))]
    checks.append(Check(say("doctor.settings"), True))
    for what, work in _checks(settings, environment, say):
        try:
            work()
        except Misconfigured as error:
            checks.append(Check(what, False, "; ".join(error.problems)))
        except Unavailable:
            checks.append(Check(what, False, say("doctor.no-database")))
        except OSError as error:
            checks.append(Check(what, False, error.strerror or type(error).__name__))
        else:
            checks.append(Check(what, True))
    return checks


def _machine(say: Say) -> Iterator[Check]:
    good = sys.platform != "win32"
    yield Check(say("doctor.system"), good, "" if good else say("doctor.windows"))
    good = sys.version_info >= (3, 11)
    yield Check(say("doctor.python"), good, "" if good else say("doctor.old-python"))
    good = sqlite3.sqlite_version_info >= OLDEST_SQLITE
    yield Check(say("doctor.sqlite"), good, "" if good else say("doctor.old-sqlite"))


def _checks(settings: Settings, environment: Mapping[str, str], say: Say) -> Iterator[tuple[str, Work]]:
    # It reads keys, so it keeps them to itself as a start does.
    yield say("doctor.memory"), keep_memory_private
    yield say("doctor.clock"), lambda: machine.clock(datetime.now(UTC))
    yield say("doctor.descriptors"), machine.descriptors
    yield say("doctor.home"), lambda: _home(settings, say)
    yield say("doctor.keys"), lambda: _keys(settings, say)
    yield say("doctor.alone"), lambda: refuse_open_home(settings.home)
    yield say("doctor.policies"), lambda: _policies(settings)
    yield say("doctor.upstreams"), lambda: _upstreams(settings, environment)
    yield say("doctor.stores"), lambda: _stores(settings)
    yield say("doctor.fits"), lambda: _fits(settings)
    if settings.issuers_file is not None:
        path = settings.issuers_file
        ours = own_address(settings)
        yield (
            say("doctor.issuers"),
            lambda: look_at_issuers(read_issuers(path, settings.audience), fetch, ours),
        )
    if settings.workers > 1:
        yield say("doctor.workers"), lambda: _workers(settings, say)
    yield say("doctor.address"), lambda: check_address(settings)
    if exposed(settings):
        yield say("doctor.demo"), lambda: _credentials(settings)
    if settings.tls_certificate_file or settings.tls_key_file or settings.client_certificates_file:
        yield say("doctor.certificate"), lambda: _certificate(settings, say)
    if settings.socket and not settings.database_url:
        yield say("doctor.socket"), lambda: _socket(settings, say)
    if settings.otlp_endpoint:
        yield say("doctor.telemetry"), can_collect
    yield (
        say("doctor.port", port=settings.port),
        lambda: _port(settings.home, settings.host, settings.port, "GATEHOUSE_PORT", say),
    )
    if settings.admin_port is not None:
        port = settings.admin_port
        yield (
            say("doctor.port", port=port),
            lambda: _port(settings.home, settings.admin_host, port, "GATEHOUSE_ADMIN_PORT", say),
        )
        if port == settings.port != 0:
            yield say("doctor.ports"), lambda: _both_ports(settings, say)


def _home(settings: Settings, say: Say) -> None:
    home = settings.home
    machine.look_at_home(home)
    if settings.database_url:
        return
    machine.disk(home, settings.disk_floor_bytes)
    if open_files := [path.name for path in home.glob("*.sqlite*") if path.stat().st_mode & 0o077]:
        raise Misconfigured(say("doctor.readable", files=", ".join(sorted(open_files))))
    if home.is_dir():
        try_folder(home)


def _keys(settings: Settings, say: Say) -> None:
    if not settings.keys.exists():
        raise Misconfigured(say("doctor.no-keys"))
    Keyring(from_file(settings.keys))


def _credentials(settings: Settings) -> None:
    try:
        kept = look_at_state(settings, all_keys)
    except (Misconfigured, Unavailable):
        return  # the stores' own check says what is wrong with them
    check_credentials(settings, kept or (), datetime.now(UTC))


def _certificate(settings: Settings, say: Say) -> None:
    now = datetime.now(UTC)
    tls = listener_tls(settings, lambda: now)
    if settings.client_certificates_file is not None:
        read_holders(settings.client_certificates_file)
    if tls is not None and tls.ends - now <= timedelta(days=settings.tls_warn_days):
        raise Misconfigured(say("doctor.certificate-ends", days=(tls.ends - now).days))


def _policies(settings: Settings) -> Loaded:
    return read(settings.policies, settings.upstream_hosts, settings.max_opaque_bytes)


def _upstreams(settings: Settings, environment: Mapping[str, str]) -> None:
    try:
        found = _policies(settings).catalogue
        key = AssertionKey(Keyring(from_file(settings.keys)))
    except Misconfigured:
        return  # the policy folder's own check says what is wrong with it, and the key file's
    asserting = Asserting(key, settings.assertion_issuer, lambda: datetime.now(UTC))
    look_at_upstreams(found, settings.upstream_hosts, environment, asserting)


def _stores(settings: Settings) -> None:
    head = inspect_stores(settings)
    machine.clock_after(datetime.now(UTC), head.time if head else "", settings.clock_back_seconds)


def _fits(settings: Settings) -> None:
    try:
        keyring = Keyring(from_file(settings.keys))
        if inspect_stores(settings) is None:
            return
        found = first_entry(settings), look_at_state(settings, oldest_subjects)
    except (Misconfigured, Unavailable):
        return  # the key file's own check says what is wrong with it, and the stores'
    keyfit.judge(settings.keys, keyring, *found)


def _workers(settings: Settings, say: Say) -> None:
    if not settings.database_url:
        raise Misconfigured(say("cli.workers.need-postgres"))


def _socket(settings: Settings, say: Say) -> None:
    if len(str(Path(settings.home / SOCKET)).encode()) > MOST_OF_A_SOCKET:
        raise Misconfigured(say("doctor.long-path"))


def _our_own(home: Path, port: int) -> bool:
    """Tells whether the gateway of this home has that port. One that cannot be asked is believed: it has no socket."""
    if all(OwnerLock.holder(home / name) is None for name in (OWNER_LOCK, WORKERS_LOCK)):
        return False

    async def asked() -> bool:
        async with asyncio.timeout(_ASK_SECONDS):
            return port in await ask(home, PORTS)

    try:
        # Its own thread, so that it has an event loop of its own wherever it is called from.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(asked())).result()
    except (GatehouseError, OSError, ValueError):
        return True


def _both_ports(settings: Settings, say: Say) -> None:
    """Raises Misconfigured where each of the two is free as long as the other is not taken."""
    try:
        first = bind(settings.host, settings.port, "GATEHOUSE_PORT")
    except Misconfigured:
        return  # that port's own check says so
    with first:
        first.listen()
        try:
            probe(settings.admin_host, settings.admin_port or 0, "GATEHOUSE_ADMIN_PORT")
        except Misconfigured as error:
            raise Misconfigured(say("doctor.one-port")) from error


def _port(home: Path, host: str, port: int, setting: str, say: Say) -> None:
    try:
        probe(host, port)
    except Misconfigured as error:
        if _our_own(home, port):
            return  # the gateway of this home, which is where it belongs
        raise Misconfigured(say("doctor.port-taken", host=host, port=port, setting=setting)) from error
