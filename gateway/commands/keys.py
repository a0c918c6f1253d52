"""`gatehouse keys` and `gatehouse stores`: what has to be there before anything is served."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import click

from gateway.commands.saying import as_json, language, say, settings
from gateway.keys import AssertionKey, Keyring, create_key_file, from_file
from gateway.machine import make_home
from gateway.observe import configure
from gateway.stores import prepare_stores
from gateway.text import place, text
from gateway.words.errors import Misconfigured


@click.group()
def stores() -> None:
    """The three stores: log, state, records."""


@stores.command("prepare")
def stores_prepare() -> None:
    """On PostgreSQL, make the stores or bring them to this program's schema, as the login that owns them (docs/deploy.md)."""
    configure()
    made = asyncio.run(prepare_stores(settings()))
    say("cli.stores.made" if made else "cli.stores.prepared")


@click.group()
def keys() -> None:
    """The key-encryption keys."""


@keys.command("create")
def keys_create() -> None:
    """Make the key file (mode 0600). Keep a copy elsewhere: without it nothing that is sealed can be read again."""
    chosen = settings()
    if chosen.keys.exists():
        raise Misconfigured(f"{place(chosen.keys, Path.cwd())} is there already; it is never overwritten")
    make_home(chosen.home)
    create_key_file(chosen.keys)
    say("cli.keys.created", file=place(chosen.keys, Path.cwd()))


@keys.command("status")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def keys_status(json_: bool) -> None:
    """Say which key-encryption keys there are, without showing any."""
    status = Keyring(from_file(settings().keys)).status()
    if json_:
        as_json(dataclasses.asdict(status))
        return
    for kek in status.keks:
        does = text("cli.keys.wraps" if kek.wraps else "cli.keys.opens", language())
        say("cli.keys.kek", version=kek.version, made=kek.created, fingerprint=kek.fingerprint, does=does)


@keys.command("assertions")
def keys_assertions() -> None:
    """Print the public keys of the signed header that upstreams get, as a JSON key set. `/v1/assertion-keys` gives the same."""
    as_json(AssertionKey(Keyring(from_file(settings().keys))).jwks())
