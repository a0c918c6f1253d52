"""Beside the path: checks everything that a start needs and says what to do. Changes nothing."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from gateway import settings as table
from gateway.bundles import read
from gateway.edge import probe
from gateway.exposure import check_address, listener_tls
from gateway.identity import read_holders, read_issuers
from gateway.keys import from_file
from gateway.settings import Settings
from gateway.stores import LOG_FILE, RECORDS_FILE, STATE_FILE
from gateway.text import Language, text
from gateway.words.errors import Misconfigured

Say = Callable[..., str]
DISK_FLOOR_BYTES = 256 * 1024 * 1024
OLDEST_SQLITE = (3, 35, 0)  # RETURNING


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a start needs. todo: what to do about it, empty where it is there."""

    what: str
    good: bool
    todo: str = ""


def examine(environment: Mapping[str, str], language: Language = Language.ENGLISH) -> list[Check]:
    """Gives every check, in the order in which a start would meet them. Never raises for what it checks.

    What a load says about a file's line is passed on as it is, in English.
    """
    say = partial(text, language=language)
    checks = list(_machine(say))
    try:
        settings = table.read(environment)
    except Misconfigured as error:
        return [*checks, Check(say("doctor.settings"), False, "; ".join(error.problems))]
    checks.append(Check(say("doctor.settings"), True))
    for what, work in _checks(settings, say):
        try:
            work()
        except Misconfigured as error:
            checks.append(Check(what, False, "; ".join(error.problems)))
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


def _checks(settings: Settings, say: Say) -> Iterator[tuple[str, Callable[[], object]]]:
    yield say("doctor.home"), lambda: _home(settings, say)
    yield say("doctor.keys"), lambda: _keys(settings, say)
    yield say("doctor.policies"), lambda: read(settings.policies, settings.upstream_hosts)
    yield say("doctor.stores"), lambda: _stores(settings, say)
    if settings.issuers_file is not None:
        path = settings.issuers_file
        yield say("doctor.issuers"), lambda: read_issuers(path, settings.audience)
    yield say("doctor.address"), lambda: check_address(settings)
    if settings.tls_certificate_file or settings.tls_key_file or settings.client_certificates_file:
        yield say("doctor.certificate"), lambda: _certificate(settings, say)
    yield say("doctor.port", port=settings.port), lambda: _port(settings, say)


def _home(settings: Settings, say: Say) -> None:
    place = settings.home
    while not place.exists():
        place = place.parent
    if shutil.disk_usage(place).free < DISK_FLOOR_BYTES:
        raise Misconfigured(say("doctor.disk-full"))
    open_files = [path.name for path in settings.home.glob("*.sqlite*") if path.stat().st_mode & 0o077]
    if open_files:
        raise Misconfigured(say("doctor.readable", files=", ".join(sorted(open_files))))


def _keys(settings: Settings, say: Say) -> None:
    if not settings.keys.exists():
        raise Misconfigured(say("doctor.no-keys"))
    from_file(settings.keys)


def _stores(settings: Settings, say: Say) -> None:
    if settings.database_url:
        if not settings.database_url.startswith(("postgresql://", "postgres://")):
            raise Misconfigured(say("doctor.database-url"))
        return
    files = [settings.home / name for name in (LOG_FILE, STATE_FILE, RECORDS_FILE)]
    there = [path.name for path in files if path.exists()]
    if there and len(there) < len(files):
        missing = ", ".join(path.name for path in files if path.name not in there)
        raise Misconfigured(say("doctor.store-missing", missing=missing, there=", ".join(there)))


def _certificate(settings: Settings, say: Say) -> None:
    now = datetime.now(UTC)
    tls = listener_tls(settings, lambda: now)
    if settings.client_certificates_file is not None:
        read_holders(settings.client_certificates_file)
    if tls is not None and tls.ends - now <= timedelta(days=settings.tls_warn_days):
        raise Misconfigured(say("doctor.certificate-ends", days=(tls.ends - now).days))


def _port(settings: Settings, say: Say) -> None:
    try:
        probe(settings.host, settings.port)
    except Misconfigured as error:
        raise Misconfigured(say("doctor.port-taken", host=settings.host, port=settings.port)) from error
