"""JSON log lines, one a line, made of an allow-list: no line holds a message that somebody put a value into.

Our own lines name an event and fields from `_FIELDS`. Lines of libraries keep their logger, level, place in the code and an
exception's type, never their message: those quote requests, SQL parameters and policy tuples.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Final, TextIO

import orjson

from gateway.observe.tracing import here

_OURS: Final = "gatehouse"
_EVENT: Final = re.compile(r"[a-z][a-z0-9-]{0,60}")
# Every field that a line may hold, with the only form that its text may have. A record id, a name, a path have none.
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,80}")
_PLACE: Final = re.compile(r"[A-Za-z0-9_./<>-]{1,200}:[0-9]{1,7}")
_PATTERN: Final = re.compile(r"(?:/(?:@?[A-Za-z_$][A-Za-z0-9_$.:-]{0,59}|\*)){1,20}")
_DIGEST: Final = re.compile(r"[0-9]{1,19}:[0-9a-f]{64}|sha256:[0-9a-f]{64}")
_FIELDS: Final[Mapping[str, re.Pattern[str]]] = {
    "request": re.compile(r"req_[0-9a-z]{26}"),
    "code": _WORD,
    "kind": _WORD,
    "upstream": _WORD,
    "resource": _WORD,
    "component": _WORD,
    "error": _WORD,
    "cause": _WORD,
    "pattern": _PATTERN,
    "at": _PLACE,
    "entry": _DIGEST,
    "bundle": _DIGEST,
    "listener": re.compile(r"[0-9A-Fa-f.:\[\]]{2,60}|unix"),
    "count": _WORD,
    "left_out": _WORD,
    # A command of ours that says more, never with anything of a caller's in it.
    "next": re.compile(r"gatehouse(?: [a-z]+){1,3}"),
    "status": _WORD,
    "seconds": _WORD,
    "seq": _WORD,
    "fence": _WORD,
    "worker": _WORD,
}
_UNFIT: Final = "unfit"
_SILENT: Final = ("casbin", "casbin.enforcer", "casbin.policy", "casbin.role", "uvicorn.access")
_QUIET: Final = (
    "alembic",
    "sqlalchemy",
    "asyncio",
    "aiosqlite",
    "uvicorn",
    "litestar",
    "opentelemetry",
    "py.warnings",
)
_ATTRIBUTE: Final = "gatehouse_fields"

_log = logging.getLogger(_OURS)


def event(name: str, level: int = logging.INFO, /, **fields: str | int | float | None) -> None:
    """Writes one line: `name` is the event (lower-case words joined by `-`), fields are those that `_FIELDS` names.

    None leaves a field out. A text that does not have its field's form is written as `unfit`. Never raises for a value;
    raises ValueError for a name or a field that is not known, which is a defect of the calling line.
    """
    if not _EVENT.fullmatch(name) or not _FIELDS.keys() >= fields.keys():
        raise ValueError("a log line's event or field is not on the list")
    if _log.isEnabledFor(level):
        _log.log(level, name, extra={_ATTRIBUTE: {k: _fit(k, v) for k, v in fields.items() if v is not None}})


def _fit(name: str, value: str | int | float) -> str | int | float:
    if isinstance(value, int | float):
        return value
    # A StrEnum is its value; str() of any other subclass would run its own code.
    plain = str.__str__(value)
    return plain if _FIELDS[name].fullmatch(plain) else _UNFIT


def place_of(error: BaseException) -> tuple[str, str]:
    """Gives an exception's type name and where it was raised, `package/module.py:line`: all of it that a log may know."""
    where = "unknown:0"
    for frame, line in walk_tb(error.__traceback__):
        where = f"{_short(frame.f_code.co_filename)}:{line}"
    return type(error).__name__, where


def _short(filename: str) -> str:
    """Gives the last two parts of a path: enough to find the line, nothing about the machine."""
    return "/".join(Path(filename).parts[-2:])


class JsonFormatter(logging.Formatter):
    """One record → one line of JSON. Knows our own fields and nothing of anybody's message or arguments.

    worker: this process's number, where it is one of several.
    """

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """Gives the line, without its line end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
        }
        if self._worker is not None:
            line["worker"] = self._worker
        if (traced := here.get()) is not None:
            line |= {"trace": traced.id, "request": traced.request}
        fields = getattr(record, _ATTRIBUTE, None)
        if record.name == _OURS and isinstance(fields, dict):
            line |= {"event": record.msg, **fields}
        else:
            line |= {
                "event": "library",
                "logger": record.name,
                "at": f"{_short(record.pathname)}:{record.lineno}",
            }
            if record.exc_info and record.exc_info[1] is not None:
                line["error"], line["raised_at"] = place_of(record.exc_info[1])
        return orjson.dumps(line, default=lambda _: _UNFIT).decode()


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Does nothing: the standard library would print the record, its arguments and a traceback to stderr."""


def _never(_: logging.LogRecord) -> bool:
    return False


def configure(
    level: int = logging.INFO, stream: TextIO | None = None, *, worker: int | None = None
) -> Callable[[], None]:
    """Makes every log line of this process, and every uncaught exception, pass through the formatter above. worker: as there.

    Called once by app.py and cli.py, before anything else is built. pycasbin logs each request tuple and sets its own handlers
    up when asked to; a filter on its loggers survives that, a level does not. Gives a function that puts everything back.
    """
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(worker))
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook)
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _SILENT:
        logging.getLogger(name).addFilter(_never)
    for name in _QUIET:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda given: _uncaught(given.exc_type, given.exc_value, given.exc_traceback)
    sys.unraisablehook = lambda given: _uncaught(given.exc_type, given.exc_value, given.exc_traceback)

    def restore() -> None:
        root.handlers[:], level_before = before[0], before[1]
        root.setLevel(level_before)
        sys.excepthook, threading.excepthook, sys.unraisablehook = before[2:]
        logging.captureWarnings(False)
        for silent in _SILENT:
            logging.getLogger(silent).removeFilter(_never)
        for quiet in _QUIET:
            logging.getLogger(quiet).setLevel(logging.NOTSET)

    return restore


def _uncaught(
    kind: type[BaseException], error: BaseException | None, _traceback: TracebackType | None
) -> None:
    """Takes the place of the interpreter's traceback, which shows messages and source lines."""
    if error is None or isinstance(error, KeyboardInterrupt):
        event("uncaught", logging.CRITICAL, error=kind.__name__)
        return
    name, at = place_of(error)
    event("uncaught", logging.CRITICAL, error=name, at=at)
