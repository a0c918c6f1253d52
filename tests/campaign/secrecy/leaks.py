"""Builds with one leak each: what a careless change might do. A request asks for a leak by name, with the value to lose."""

from __future__ import annotations

import base64
import gzip
import hashlib
import logging
import os
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway import serving
from gateway.corridor import entries
from gateway.fields import look
from gateway.fields.change import Sealing
from gateway.identity import Identity
from gateway.observe import Metrics
from gateway.text import problems
from gateway.upstream.place import Place
from gateway.words.access import Call
from gateway.words.decision import Disclosure


@dataclass(frozen=True)
class Leak:
    """One careless change. sink: where the search must find it."""

    sink: str
    plant: Callable[[], None]


_now: list[str] = ["", ""]  # the leak that the request under way asks for, and its value


def wanted(name: str) -> str | None:
    """Gives the value to lose if the request under way asks for this leak."""
    return _now[1] if _now[0] == name else None


def listen(act: Callable[[], None] = lambda: None) -> None:
    """Makes every request's wish known, once identified, and then acts."""
    identify = Identity.identify

    async def told(self: Identity, call: Call) -> Any:
        _now[0] = call.header("x-leak") or ""
        _now[1] = bytes.fromhex(call.header("x-value") or "").decode()
        act()
        return await identify(self, call)

    Identity.identify = told  # type: ignore[method-assign]  # this is the leak


def _acting(name: str, lose: Callable[[str], None]) -> Callable[[], None]:
    def act() -> None:
        if (value := wanted(name)) is not None:
            lose(value)

    return lambda: listen(act)


def _home(name: str) -> str:
    return os.path.join(os.environ["GATEHOUSE_HOME"], name)


def _log_line(value: str) -> None:
    fields = {"gatehouse_fields": {"kind": base64.b64encode(value.encode()).decode()}}
    logging.getLogger("gatehouse").error("odd", extra=fields)


def _state_row(value: str) -> None:
    with sqlite3.connect(_home("state.sqlite"), timeout=30) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS cache (about BLOB)")
        connection.execute("INSERT INTO cache VALUES (?)", (value.encode("utf-16-le"),))
    connection.close()


def _home_file(value: str) -> None:
    with open(_home("last-error.txt"), "w", encoding="ascii") as file:
        file.write(hashlib.md5(value.encode()).hexdigest())


def _temporary_file(value: str) -> None:
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(gzip.compress(b"body: " + value.encode()))


def _crash(value: str) -> None:
    def fall() -> None:
        raise RuntimeError(value)

    threading.excepthook = threading.__excepthook__
    threading.Thread(target=fall).start()


def _entry(name: str, hint: Callable[[str], str]) -> Callable[[], None]:
    def plant() -> None:
        listen()
        principal = entries.principal_of

        def said(*args: Any, **more: Any) -> dict[str, Any]:
            found = principal(*args, **more)
            return found if (value := wanted(name)) is None else found | {"person": hint(value)}

        entries.principal_of = said

    return plant


def _answer() -> None:
    listen()
    show = look.Look.show

    def shown(self: look.Look, spec: Any, pointer: Any, stored: Any, **more: Any) -> tuple[Disclosure, Any]:
        how, value = show(self, spec, pointer, stored, **more)
        leaked = wanted("answer")
        return (how, value) if leaked is None or spec.pattern != "/phone" else (Disclosure.MASKED, leaked)

    look.Look.show = shown  # type: ignore[method-assign]  # this is the leak


def _error_body() -> None:
    listen()
    params = problems._params

    def told(error: Any) -> dict[str, Any]:
        value = wanted("error")
        return params(error) | ({} if value is None else {"detail": value})

    problems._params = told


def _metric() -> None:
    listen()
    took = Metrics.took

    def noted(self: Metrics, seconds: float, outcome: Any) -> None:
        took(self, seconds, outcome)
        if (value := wanted("metric")) is not None:
            self._seconds.record(seconds, {"customer": value})

    Metrics.took = noted  # type: ignore[method-assign]  # this is the leak


def _unsealed() -> None:
    listen()
    seal = Sealing.seal

    def sealed(self: Sealing, spec: Any, pointer: Any, value: Any) -> str:
        kept = seal(self, spec, pointer, value)
        return wanted("unsealed") or kept

    Sealing.seal = sealed  # type: ignore[method-assign]  # this is the leak


def _sent(name: str, more: Callable[[str], dict[str, Any]]) -> Callable[[], None]:
    def plant() -> None:
        listen()
        send = Place.send

        async def sent(self: Place, *args: Any, **given: Any) -> Any:
            value = wanted(name)
            for key, added in ({} if value is None else more(value)).items():
                given[key] = [*given.get(key, ()), *added]
            return await send(self, *args, **given)

        Place.send = sent  # type: ignore[method-assign]  # this is the leak

    return plant


def _core() -> None:
    """Takes back what keeps the process's memory out of core files."""
    serving.keep_memory_private = lambda: None


CORE = "core"
"""A build that lets a crash write its memory."""
LEAKS: dict[str, Leak] = {
    "stdout": Leak("stdout", _acting("stdout", print)),
    "stderr": Leak("stderr", _acting("stderr", lambda value: print(ascii(value), file=sys.stderr))),
    "log-line": Leak("stderr", _acting("log-line", _log_line)),
    "crash": Leak("stderr", _acting("crash", _crash)),
    "state": Leak("home/state.sqlite", _acting("state", _state_row)),
    "home": Leak("home/last-error.txt", _acting("home", _home_file)),
    "temporary": Leak("tmp/", _acting("temporary", _temporary_file)),
    "entry": Leak("home/audit.sqlite", _entry("entry", str)),
    "hashed": Leak(
        "exported entries", _entry("hashed", lambda value: hashlib.sha256(value.encode()).hexdigest())
    ),
    "metric": Leak("metrics", _metric),
    "unsealed": Leak("home/records.sqlite", _unsealed),
    "answer": Leak("answers to auditor", _answer),
    "error": Leak("errors", _error_body),
    "url": Leak(
        "upstream",
        _sent(
            "url",
            lambda value: {"added": [("who", base64.urlsafe_b64encode(value.encode()).decode().rstrip("="))]},
        ),
    ),
    "header": Leak("upstream", _sent("header", lambda value: {"headers": [("x-who", value.encode().hex())]})),
}


def plant(name: str) -> None:
    """Makes this process a build with that leak."""
    if name == CORE:
        _core()
    else:
        LEAKS[name].plant()
