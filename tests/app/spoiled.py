"""Homes that a start refuses, each spoilt in one way; what that start says, and what the doctor says before."""

from __future__ import annotations

import asyncio
import ctypes
import resource
import shutil
import socket
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

import audit
from audit import AuditEvent, Kind, Log
from gateway import demo, machine
from gateway.app import open_house
from gateway.doctor import examine
from gateway.keys import create_key_file
from gateway.serving import serve_forever
from gateway.settings import ROOT, read
from gateway.words.errors import GatehouseError, Misconfigured, Unavailable

Environment = dict[str, str]
# What a scenario does to a good home; it gives further variables, and leaves on the stack what has to be put back.
Spoil = Callable[[Path, ExitStack], Environment]
SPOILED: dict[str, tuple[str, str, Spoil]] = {}
"""name → (the check that names it, the file whose refusal it is, what it does)."""
WAIT_SECONDS = 60


def scenario(check: str, file: str) -> Callable[[Spoil], Spoil]:
    def note(spoil: Spoil) -> Spoil:
        SPOILED[spoil.__name__] = (check, file, spoil)
        return spoil

    return note


def sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


# Settings and machine


@scenario("settings", "gateway/settings.py")
def a_setting_that_nobody_knows(home: Path, stack: ExitStack) -> Environment:
    return {"GATEHOUSE_POTR": "1"}


@scenario("settings", "gateway/settings_file.py")
def a_settings_file_that_others_may_write(home: Path, stack: ExitStack) -> Environment:
    path = home.parent / "gatehouse.toml"
    path.touch()
    path.chmod(0o666)
    return {"GATEHOUSE_CONFIG": str(path)}


@scenario("memory kept out of crash dumps", "gateway/observe/memory.py")
def a_kernel_that_lets_crashes_write_memory(home: Path, stack: ExitStack) -> Environment:
    class Refusing:
        def __init__(self, name: object) -> None: ...

        def prctl(self, *given: int) -> int:
            return -1

    patch = stack.enter_context(pytest.MonkeyPatch.context())
    patch.setattr(ctypes, "CDLL", Refusing)
    return {}


@scenario("clock", "gateway/machine.py")
def a_clock_that_was_lost(home: Path, stack: ExitStack) -> Environment:
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    patch.setattr(machine, "EARLIEST", datetime.now(UTC) + timedelta(days=1))
    return {}


@scenario("stores", "gateway/machine.py")
def a_clock_behind_the_last_entry(home: Path, stack: ExitStack) -> Environment:
    later = datetime.now(UTC) + timedelta(seconds=120)
    append(home / "audit.sqlite", int(later.timestamp() * 1_000_000))
    return {}


def append(path: Path, at: int) -> None:
    """Adds one entry to a log as of another time, on a loop of its own."""

    async def added() -> None:
        log = await Log.open(audit.sqlite(path), clock=lambda: at)
        system = {"application": "system:test", "person": None, "roles": [], "proven": ["process"]}
        await log.append(AuditEvent(Kind.NOTE, "req_later", system, "log:later"))
        await log.close()

    asyncio.run(added())


@scenario("open files and connections", "gateway/machine.py")
def a_limit_of_a_hundred_files(home: Path, stack: ExitStack) -> Environment:
    asked = resource.getrlimit

    def few(which: int) -> tuple[int, int]:
        return (100, 100) if which == resource.RLIMIT_NOFILE else asked(which)

    stack.enter_context(patch.object(resource, "getrlimit", few))
    return {}


@scenario("home folder", "gateway/machine.py")
def a_disk_that_is_nearly_full(home: Path, stack: ExitStack) -> Environment:
    return {"GATEHOUSE_DISK_FLOOR_BYTES": str(10**15)}


@scenario("home folder", "gateway/machine.py")
def a_home_below_a_file(home: Path, stack: ExitStack) -> Environment:
    (home.parent / "file").touch()
    return {
        "GATEHOUSE_HOME": str(home.parent / "file" / "home"),
        "GATEHOUSE_KEY_FILE": str(home / "keys.json"),
    }


# Keys, policy, upstreams, issuers


def before_any_start(home: Path) -> None:
    """Takes the stores away: where a bundle is in force a broken folder refuses no start, and there is nothing to fall back on here."""
    for name in ("audit", "state", "records"):
        for path in home.glob(f"{name}.sqlite*"):
            path.unlink()


@scenario("key file", "gateway/serving.py")
def no_key_file(home: Path, stack: ExitStack) -> Environment:
    (home / "keys.json").unlink()
    return {}


@scenario("key file", "gateway/keys/material.py")
def a_key_file_that_others_may_read(home: Path, stack: ExitStack) -> Environment:
    (home / "keys.json").chmod(0o644)
    return {}


@scenario("key file", "gateway/keys/material.py")
def a_key_file_that_is_none(home: Path, stack: ExitStack) -> Environment:
    (home / "keys.json").write_text("{}")
    return {}


@scenario("key file is the one that the stores were written with", "gateway/keyfit.py")
def a_key_file_of_another_house(home: Path, stack: ExitStack) -> Environment:
    (home / "keys.json").unlink()
    create_key_file(home / "keys.json")
    return {}


@scenario("policy folder", "gateway/catalogue/loader.py")
def no_policy_folder(home: Path, stack: ExitStack) -> Environment:
    before_any_start(home)
    return {"GATEHOUSE_POLICIES": str(home.parent / "nowhere")}


@scenario("policy folder", "gateway/policy/load.py")
def a_policy_with_a_line_that_means_nothing(home: Path, stack: ExitStack) -> Environment:
    before_any_start(home)
    folder = Path(shutil.copytree(ROOT / "policies", home.parent / "policies"))
    with (folder / "policy.csv").open("a") as rules:
        rules.write("p, nobody\n")
    return {"GATEHOUSE_POLICIES": str(folder)}


@scenario("policy folder", "gateway/fields/shape.py")
def a_field_within_a_field(home: Path, stack: ExitStack) -> Environment:
    before_any_start(home)
    folder = Path(shutil.copytree(ROOT / "policies", home.parent / "policies"))
    path = folder / "catalogue" / "crm.yaml"
    text = path.read_text()
    assert "  /name:" in text
    path.write_text(text.replace("  /name:", "  /name/first: {kind: text}\n      /name:", 1))
    return {"GATEHOUSE_POLICIES": str(folder)}


ROUNDUP = {
    "GATEHOUSE_POLICIES": str(ROOT / "examples" / "roundup" / "policies"),
    "GATEHOUSE_UPSTREAM_HOSTS": "127.0.0.1:8917",
}


@scenario("upstreams and their credentials", "gateway/upstream/credential.py")
def a_credential_that_is_not_there(home: Path, stack: ExitStack) -> Environment:
    before_any_start(home)
    return ROUNDUP


@scenario("policy folder", "gateway/catalogue/loader.py")
def an_upstream_that_is_not_allowed(home: Path, stack: ExitStack) -> Environment:
    before_any_start(home)
    return {**ROUNDUP, "GATEHOUSE_UPSTREAM_HOSTS": "", "ROUNDUP_LOGIN": "gateway:secret"}


def issuers(home: Path, text: str) -> Environment:
    (home.parent / "issuers.json").write_text(text)
    return {"GATEHOUSE_ISSUERS_FILE": str(home.parent / "issuers.json")}


@scenario("issuers of persons' tokens", "gateway/identity/issuers.py")
def an_issuers_file_that_is_none(home: Path, stack: ExitStack) -> Environment:
    return issuers(home, "[{}]")


ISSUER = '{"issuer": "https://id.example", "jwks": "keys.jwks", "clients": {"desk": "app:desk"}}'


@scenario("issuers of persons' tokens", "gateway/identity/jwks.py")
def an_issuer_without_its_keys(home: Path, stack: ExitStack) -> Environment:
    (home.parent / "keys.jwks").write_text('{"keys": []}')
    return issuers(home, f"[{ISSUER}]")


@scenario("issuers of persons' tokens", "gateway/identity/persons.py")
def an_issuer_that_is_named_twice(home: Path, stack: ExitStack) -> Environment:
    return issuers(home, f"[{ISSUER}, {ISSUER}]")


@scenario("issuers of persons' tokens", "gateway/identity/persons.py")
def an_issuer_with_our_own_name(home: Path, stack: ExitStack) -> Environment:
    entry = '{"issuer": "https://id.example", "jwks": "https://id.example/jwks", "algorithms": ["EdDSA"]}'
    return issuers(home, f"[{entry}]") | {"GATEHOUSE_PUBLIC_URL": "https://id.example"}


# Stores in files


@scenario("stores", "gateway/stores.py")
def a_store_that_is_missing_beside_the_others(home: Path, stack: ExitStack) -> Environment:
    (home / "records.sqlite").unlink()
    return {}


@scenario("stores", "gateway/stores.py")
def a_store_that_was_emptied(home: Path, stack: ExitStack) -> Environment:
    (home / "state.sqlite").write_bytes(b"")
    return {}


@scenario("stores", "gateway/store/schema.py")
def a_state_store_of_a_newer_program(home: Path, stack: ExitStack) -> Environment:
    sql(home / "state.sqlite", "UPDATE state_version SET version_num = '9999'")
    return {}


@scenario("stores", "gateway/store/schema.py")
def an_embedded_store_of_a_newer_program(home: Path, stack: ExitStack) -> Environment:
    sql(home / "records.sqlite", "UPDATE records_version SET version_num = '9999'")
    return {}


@scenario("stores", "gateway/store/sqlite.py")
def a_state_store_in_another_encoding(home: Path, stack: ExitStack) -> Environment:
    path = home / "state.sqlite"
    path.unlink()
    sql(path, "PRAGMA encoding = 'UTF-16'", "CREATE TABLE state_version (version_num TEXT)")
    path.chmod(0o600)
    return {}


@scenario("stores", "gateway/store/inspect.py")
def a_state_store_that_is_no_database(home: Path, stack: ExitStack) -> Environment:
    (home / "state.sqlite").write_bytes(b"no database" * 1_000)
    return {}


@scenario("stores", "gateway/store/inspect.py")
def a_state_store_whose_second_page_is_damaged(home: Path, stack: ExitStack) -> Environment:
    damage(home / "state.sqlite")
    return {}


@scenario("stores", "gateway/store/inspect.py")
def an_embedded_store_that_is_no_database(home: Path, stack: ExitStack) -> Environment:
    (home / "records.sqlite").write_bytes(b"no database" * 1_000)
    return {}


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xa5" * 4096
    path.write_bytes(data)


@scenario("stores", "audit/store/sqlite.py")
def a_log_of_a_newer_program(home: Path, stack: ExitStack) -> Environment:
    sql(home / "audit.sqlite", "PRAGMA user_version = 99")
    return {}


@scenario("stores", "audit/store/sqlite.py")
def a_log_that_is_somebody_elses_database(home: Path, stack: ExitStack) -> Environment:
    sql(home / "audit.sqlite", "PRAGMA application_id = 1")
    return {}


@scenario("stores", "audit/store/sqlite.py")
def a_log_whose_guard_is_gone(home: Path, stack: ExitStack) -> Environment:
    sql(home / "audit.sqlite", "DROP TRIGGER entries_delete")
    return {}


@scenario("stores", "audit/store/sqlite.py")
def a_log_whose_end_is_gone(home: Path, stack: ExitStack) -> Environment:
    path = home / "audit.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        (guard,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'entries_delete'"
        ).fetchone()
    last = "DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)"
    sql(path, "DROP TRIGGER entries_delete", last, guard)
    return {}


@scenario("stores", "audit/store/sqlite.py")
def a_log_that_is_no_database(home: Path, stack: ExitStack) -> Environment:
    (home / "audit.sqlite").write_bytes(b"no database" * 1_000)
    return {}


# Listening


@scenario("port 9", "gateway/edge/server.py")
def a_port_that_is_taken(home: Path, stack: ExitStack) -> Environment:
    # Port 9 is reserved ("discard"); whoever may bind it here keeps it for the test.
    taken = stack.enter_context(closing(socket.socket()))
    taken.bind(("127.0.0.1", 9))
    taken.listen()
    return {"GATEHOUSE_PORT": "9"}


@scenario("port and admin port are two", "gateway/edge/server.py")
def one_address_for_both_ports(home: Path, stack: ExitStack) -> Environment:
    return {"GATEHOUSE_PORT": (port := a_free_port()), "GATEHOUSE_ADMIN_PORT": port}


@scenario("port and admin port are two", "gateway/edge/server.py")
def one_address_in_two_spellings(home: Path, stack: ExitStack) -> Environment:
    return one_address_for_both_ports(home, stack) | {"GATEHOUSE_ADMIN_HOST": "localhost"}


def a_free_port() -> str:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


@scenario("port 0", "gateway/edge/server.py")
def an_address_that_is_not_this_machines(home: Path, stack: ExitStack) -> Environment:
    return {"GATEHOUSE_HOST": "192.0.2.1", "GATEHOUSE_TLS_TERMINATED": "on"}


@scenario("address and TLS", "gateway/exposure.py")
def an_address_off_this_machine_in_clear(home: Path, stack: ExitStack) -> Environment:
    return {"GATEHOUSE_HOST": "0.0.0.0"}


@scenario("no demo credentials where others reach the port", "gateway/exposure.py")
def keys_of_the_demonstration_behind_a_proxy(home: Path, stack: ExitStack) -> Environment:
    async def issued() -> None:
        async with open_house(read({"GATEHOUSE_HOME": str(home)})) as house:
            await demo.credentials(house)

    asyncio.run(issued())
    return {"GATEHOUSE_TLS_TERMINATED": "on"}


@scenario("certificate", "gateway/keys/certificates.py")
def a_certificate_that_is_not_there(home: Path, stack: ExitStack) -> Environment:
    return {
        "GATEHOUSE_TLS_CERTIFICATE_FILE": str(home / "tls.pem"),
        "GATEHOUSE_TLS_KEY_FILE": str(home / "tls.key"),
    }


@scenario("socket for commands", "gateway/local.py")
def a_home_whose_path_is_too_long_for_a_socket(home: Path, stack: ExitStack) -> Environment:
    long = home.parent / ("long" * 30)
    shutil.copytree(home, long)
    return {"GATEHOUSE_HOME": str(long)}


# Both who say it


def started(environment: Mapping[str, str]) -> tuple[str, ...]:
    """What a start says where it is refused. A start that serves, or ends in anything but a refusal of ours, fails the test."""

    async def start() -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            await serve_forever(read(environment))

    try:
        asyncio.run(start())
    except Misconfigured as refusal:
        return refusal.problems
    except Unavailable as refusal:
        return (refusal.code.value,)
    except GatehouseError as other:
        raise AssertionError(f"no refusal of a start: {other!r}") from other
    raise AssertionError("it served")


def missing(environment: Mapping[str, str]) -> dict[str, str]:
    return {check.what: check.todo for check in examine(environment) if not check.good}
