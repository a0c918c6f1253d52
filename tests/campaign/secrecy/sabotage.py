"""A `gatehouse` of which parts can be made to fail, or to leak, while it runs. Started as a process by the campaigns.

CAMPAIGN_CONTROL names a file whose text is the room that raises now, with the caller's own values in its exception's text.
CAMPAIGN_LEAKS lists the leaks that this build has; each acts on requests that carry its name in the header `x-leak`.
CAMPAIGN_METRICS names a file to which the metrics are written at the end.
"""

from __future__ import annotations

import asyncio
import faulthandler
import functools
import inspect
import logging
import os
import resource
import sqlite3
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audit.store import sqlite
from gateway import cli
from gateway.catalogue import Catalogue
from gateway.corridor import entries
from gateway.corridor.facts import FactRoom
from gateway.corridor.lists import Lister
from gateway.fields import FieldLens
from gateway.identity import Identity
from gateway.observe import Metrics, render
from gateway.policy import PolicyDecider
from gateway.records.app import _Records
from gateway.upstream import Adapter
from gateway.words.access import Call
from tests.campaign.secrecy import leaks

# Room → what is called there. The exception is one that our error tree does not know, or one that a driver raises.
ROOMS: dict[str, list[tuple[Any, str]]] = {
    "identity": [(Identity, "identify")],
    "catalogue": [(Catalogue, "address")],
    "policy": [(PolicyDecider, "prepare")],
    "facts": [(FactRoom, "floors")],
    "lens": [(FieldLens, "views")],
    "sealing": [(FieldLens, "seal_create"), (FieldLens, "seal_update")],
    "upstream": [(Adapter, "fetch"), (Adapter, "before"), (Adapter, "page"), (Adapter, "change")],
    "lists": [(Lister, "gather")],
    "entries": [(entries, "served"), (entries, "intent"), (entries, "outcome"), (entries, "refused")],
    "records": [(_Records, "answer")],
    "log": [(sqlite, "_write")],
    "stray": [],
}


class Control:
    """Which room raises now, and the last call that was made, for the exception's text."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.said = ""

    @property
    def room(self) -> str:
        return self._file.read_text() if self._file.exists() else ""

    def hear(self, call: Call) -> None:
        body = call.body[:2_000].decode("utf-8", "replace")
        self.said = f"{call.method} {call.path}?{call.raw_query} {body} {call.headers}"

    def check(self, room: str) -> None:
        if self.room != room:
            return
        if room in ("log", "records"):
            raise sqlite3.OperationalError(f"disk I/O error: {self.said}")
        cause = ValueError(self.said)
        cause.add_note(self.said)
        raise RuntimeError(f"{room} fell over {self.said}") from cause


def watched(control: Control, room: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    """Gives the function with the room's failure before it."""

    @functools.wraps(inner)
    def plain(*args: Any, **more: Any) -> Any:
        control.check(room)
        return inner(*args, **more)

    @functools.wraps(inner)
    async def waiting(*args: Any, **more: Any) -> Any:
        control.check(room)
        return await inner(*args, **more)

    return waiting if inspect.iscoroutinefunction(inner) else plain


def arm(control: Control) -> None:
    """Makes every room able to fail."""
    for room, places in ROOMS.items():
        for owner, name in places:
            setattr(owner, name, watched(control, room, getattr(owner, name)))
    identify = Identity.identify

    async def heard(self: Identity, call: Call) -> Any:
        control.hear(call)
        if control.room == "stray":
            stray(control.said)
        return await identify(self, call)

    Identity.identify = heard  # type: ignore[method-assign]  # this is the sabotage


def stray(said: str) -> None:
    """Fails where nobody catches: in a callback, a task, a thread, a destructor, a library's log line, a warning."""

    def fail() -> None:
        raise RuntimeError(said)

    async def lost() -> None:
        raise RuntimeError(said)

    class Dying:
        def __del__(self) -> None:
            raise RuntimeError(said)

    asyncio.get_running_loop().call_soon(fail)
    asyncio.ensure_future(lost())  # noqa: RUF006 - nobody keeps it: that is the point
    threading.Thread(target=fail).start()
    Dying()
    for name in ("uvicorn.error", "sqlalchemy.engine", "casbin.enforcer", "anything", "gatehouse"):
        logging.getLogger(name).error(
            "could not do %s", said, exc_info=RuntimeError(said), extra={"said": said}
        )
    warnings.warn(said, stacklevel=1)


def metrics_to(file: Path) -> None:
    """Writes what the metrics hold when they are closed."""
    close = Metrics.close

    def kept(self: Metrics) -> None:
        file.write_bytes(render(self.collect()))
        close(self)

    Metrics.close = kept  # type: ignore[method-assign]  # this is the sabotage


def main() -> None:
    """Arms, plants, runs the command line."""
    faulthandler.enable()
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))  # an operator's shell may allow core files
    arm(Control(Path(os.environ["CAMPAIGN_CONTROL"])))
    metrics_to(Path(os.environ["CAMPAIGN_METRICS"]))
    for name in filter(None, os.environ.get("CAMPAIGN_LEAKS", "").split(",")):
        leaks.plant(name)
    cli.main()
