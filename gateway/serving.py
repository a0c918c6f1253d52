"""Between the command line and the house: a start, seen by a person. Prints what he needs and nothing that he must not see."""

from __future__ import annotations

import gc
import os
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

from gateway import demo
from gateway.app import House, open_house, serve, utc_now
from gateway.edge import Server, bind, probe
from gateway.ending import ends_after
from gateway.exposure import check_address, check_credentials, exposed, listener_tls
from gateway.identity import all_keys
from gateway.identity.demo import DemoIssuer
from gateway.observe import can_collect, keep_memory_private
from gateway.settings import PREFIX, Settings
from gateway.store import OwnerLock
from gateway.stores import WORKERS_LOCK, any_store, refuse_open_home
from gateway.text import place
from gateway.words.errors import Misconfigured
from gateway.worker import Worker

Say = Callable[..., None]


async def serve_forever(settings: Settings, worker: Worker | None = None) -> None:
    """Serves with what is configured; makes nothing that an operator should have made. worker: as `app.serve` takes it.

    Raises Misconfigured, and nothing has listened: what open_house raises, and off this machine where it would serve in clear or
    take a credential of the demonstration.
    """
    _begin()
    refuse_open_home(settings.home)
    if not settings.keys.exists():
        raise _no_keys(settings)
    check_address(settings)
    tls = listener_tls(settings, utc_now)
    _probe(settings, worker is None)
    with _seen(settings, worker), _bound(settings, worker) as (settings, bound):
        async with open_house(settings) as house:
            check_credentials(settings, await house.stores.state.scan(all_keys), utc_now())
            await serve(house, started=lambda _: None, tls=tls, worker=worker, bound=bound, asked=ends_after)


async def serve_worker(settings: Settings, worker: Worker) -> None:
    """Serves as one of several, until its parent says so or is gone. Raises what serve_forever does."""
    async with worker.attending():
        await serve_forever(settings, worker)


async def serve_demo(settings: Settings, say: Say, customers: int = demo.MOST) -> None:
    """Sets up, loads the sample, serves, prints credentials and lines to paste. Raises Misconfigured off the loopback address."""
    _begin()
    if exposed(settings):
        raise Misconfigured(
            "the demo's credentials are for this machine only: set GATEHOUSE_HOST to 127.0.0.1 and leave "
            "GATEHOUSE_TLS_TERMINATED off, or use `gatehouse run`"
        )
    if not settings.keys.exists() and await any_store(settings):
        raise _no_keys(settings)
    tls = listener_tls(settings, utc_now)
    _probe(settings)
    issuer = demo.prepare(settings)
    with _seen(settings), _bound(settings) as (settings, bound):
        async with open_house(settings, issuers=(issuer.terms(),), demonstration=True) as house:
            keys = await demo.credentials(house)
            if await demo.load_sample(house, _Progress(say), customers=customers):
                say("demo.loaded", customers=customers, threads=customers * 3 // 2, messages=customers * 10)
            example = await demo.example(house)

            def started(server: Server) -> None:
                _welcome(server, house, keys, issuer, example, say)

            await serve(house, started=started, tls=tls, bound=bound, asked=ends_after)


def _probe(settings: Settings, ports: bool = True) -> None:
    """Looks at what would refuse a start after its long work. ports: not where a parent has them. Raises Misconfigured."""
    if settings.otlp_endpoint:
        can_collect()
    if not ports:
        return
    probe(settings.host, settings.port)
    if settings.admin_port is not None:
        probe(settings.admin_host, settings.admin_port, "GATEHOUSE_ADMIN_PORT")


@contextmanager
def _seen(settings: Settings, worker: Worker | None = None) -> Iterator[None]:
    """Lets `gatehouse doctor` know whose port it finds taken where the stores are in a database: no other lock lies in this home. A second
    process on one home goes without."""
    with ExitStack() as stack:
        if settings.database_url and worker is None:
            with suppress(Misconfigured):
                stack.enter_context(OwnerLock(settings.home / WORKERS_LOCK))
        yield


@contextmanager
def _bound(
    settings: Settings, worker: Worker | None = None
) -> Iterator[tuple[Settings, socket.socket | None]]:
    """Gives the settings with the port that will be served, and its socket where that is taken already: a worker's by its parent; here
    where any free port will do, since our tokens and what we say of ourselves name the port from the first moment."""
    if worker is not None:
        yield replace(settings, port=worker.bound.getsockname()[1]), worker.bound
    elif settings.port:
        yield settings, None
    else:
        # It takes no connection before the server listens.
        with bind(settings.host, 0, "GATEHOUSE_PORT") as bound:
            yield replace(settings, port=bound.getsockname()[1]), bound


def _begin() -> None:
    keep_memory_private()
    gc.freeze()  # what the imports made stays for good: walking through it once would take 70 ms of the start


def _no_keys(settings: Settings) -> Misconfigured:
    """Gives the refusal of a start without keys: new ones would open nothing of what is there."""
    return Misconfigured(
        f"there is no key file {settings.keys}: restore it, or for a new installation make one with `gatehouse keys create`"
    )


def pasted(*words: str) -> str:
    """Gives a command of ours as one line that works when pasted here: this program, the settings that it was given, no secret."""
    called = Path(sys.argv[0]).absolute()
    found = shutil.which(called.name)
    if found is not None and Path(found).absolute() == called:
        program = called.name
    else:
        shown = place(called, Path.cwd())
        program = shown if "/" in shown else f"./{shown}"
    secret = {PREFIX + row.name.upper() for row in fields(Settings) if not row.repr}
    given = [
        f"{name}={shlex.quote(value)}"
        for name, value in sorted(os.environ.items())
        if name.startswith(PREFIX) and name not in secret
    ]
    return " ".join([*given, shlex.quote(program), *words])


class _Progress:
    """Prints how far the sample is, on one line of a terminal or now and then elsewhere."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._last > 1:
            self._last = now
            self._say("demo.loading", done=done, total=total)
            sys.stdout.flush()


def _welcome(
    server: Server, house: House, keys: Mapping[str, str], issuer: DemoIssuer, example: demo.Example, say: Say
) -> None:
    host, port = server.addresses[0]
    scheme = "http" if house.settings.tls_certificate_file is None else "https"
    base = f"{scheme}://{host}:{port}"
    say("demo.serving", base=base)
    for name, key in keys.items():
        say("demo.key", name=name, credential=key)
    say("demo.try")
    until = utc_now() + timedelta(minutes=demo.PERSON_MINUTES)
    for line in demo.lines(base, keys, issuer, example):
        say("demo.line", line=line)
    say("demo.until", until=f"{until:%H:%M:%S} UTC", command=pasted("demo-token"))
    # The database's address may hold a password: it is never printed.
    on_postgresql = bool(house.settings.database_url)
    verify = "demo.verify-postgresql" if on_postgresql else "demo.verify"
    say(verify, command=pasted("audit", "verify"))
    more = "demo.more-postgresql" if on_postgresql else "demo.more"
    say(more, home=place(house.settings.home, Path.cwd()))
    sys.stdout.flush()
