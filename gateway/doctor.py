"""Beside the path: checks everything that a start needs and says what to do. Changes nothing."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gateway import settings as table
from gateway.bundles import read
from gateway.identity import read_issuers
from gateway.keys import from_file
from gateway.settings import Settings
from gateway.stores import LOG_FILE, RECORDS_FILE, STATE_FILE
from gateway.words.errors import Misconfigured

DISK_FLOOR_BYTES = 256 * 1024 * 1024
OLDEST_SQLITE = (3, 35, 0)  # RETURNING


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a start needs. todo: what to do about it, empty where it is there."""

    what: str
    good: bool
    todo: str = ""


def examine(environment: Mapping[str, str]) -> list[Check]:
    """Gives every check, in the order in which a start would meet them. Never raises for what it checks."""
    checks = list(_machine())
    try:
        settings = table.read(environment)
    except Misconfigured as error:
        return [*checks, Check("settings", False, "; ".join(error.problems))]
    checks.append(Check("settings", True))
    for what, work in _checks(settings):
        try:
            work()
        except Misconfigured as error:
            checks.append(Check(what, False, "; ".join(error.problems)))
        except OSError as error:
            checks.append(Check(what, False, error.strerror or type(error).__name__))
        else:
            checks.append(Check(what, True))
    return checks


def _machine() -> Iterator[Check]:
    good = sys.platform != "win32"
    yield Check("system", good, "" if good else "Windows cannot keep the log's promises: use Linux")
    good = sys.version_info >= (3, 11)
    yield Check("Python 3.11 or later", good, "" if good else "install a newer Python")
    good = sqlite3.sqlite_version_info >= OLDEST_SQLITE
    yield Check("SQLite 3.35 or later", good, "" if good else "install a newer SQLite library")


def _checks(settings: Settings) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "home folder", lambda: _home(settings)
    yield "key file", lambda: _keys(settings)
    yield "policy folder", lambda: read(settings.policies, settings.upstream_hosts)
    yield "stores", lambda: _stores(settings)
    if settings.issuers_file is not None:
        path = settings.issuers_file
        yield "issuers of persons' tokens", lambda: read_issuers(path, settings.audience)
    yield f"port {settings.port}", lambda: _port(settings)


def _home(settings: Settings) -> None:
    place = settings.home
    while not place.exists():
        place = place.parent
    if shutil.disk_usage(place).free < DISK_FLOOR_BYTES:
        raise Misconfigured(
            "less than 256 MiB are free where the home folder is: make room, or set GATEHOUSE_HOME"
        )
    open_files = [path.name for path in settings.home.glob("*.sqlite*") if path.stat().st_mode & 0o077]
    if open_files:
        raise Misconfigured(
            f"others on this machine may read {', '.join(sorted(open_files))}: chmod 600 them"
        )


def _keys(settings: Settings) -> None:
    if not settings.keys.exists():
        raise Misconfigured(
            "there is none: `gatehouse keys create` makes it; after a loss restore the copy instead"
        )
    from_file(settings.keys)


def _stores(settings: Settings) -> None:
    if settings.database_url:
        if not settings.database_url.startswith(("postgresql://", "postgres://")):
            raise Misconfigured("GATEHOUSE_DATABASE_URL is not a postgresql:// address")
        return
    files = [settings.home / name for name in (LOG_FILE, STATE_FILE, RECORDS_FILE)]
    there = [path.name for path in files if path.exists()]
    if there and len(there) < len(files):
        missing = ", ".join(path.name for path in files if path.name not in there)
        raise Misconfigured(
            f"{missing} is missing beside {', '.join(there)}: restore it from the same backup"
        )


def _port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Misconfigured(
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): if that is Gatehouse itself, all is well; "
                "else stop what uses it or set GATEHOUSE_PORT"
            ) from error
