"""Before the path: reads gatehouse.toml. Knows no setting; gives what stands there, line by line, for the table to judge."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.words.errors import Misconfigured

_MAX_BYTES = 64 * 1024
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Of a setting, or of a section (which is refused, and where it stands is said).
_KEY = re.compile(r"""^[ \t]*(?:\[+[ \t]*)?(["']?)([A-Za-z0-9_-]+)\1[ \t]*[].=]""", re.M)
# A value is one line of text; escapes like \u0000 could put anything else into a path or a log line.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True, repr=False)
class Line:
    """One setting as it stands in a file. where: `gatehouse.toml:3`. text: what the environment variable would hold."""

    key: str
    text: str
    where: str

    @property
    def shown(self) -> str:
        """The key, where it is a plain word: whatever else stands there might be a value on the wrong side of `=`."""
        return self.key if _PLAIN.fullmatch(self.key) else "a key that is no plain word"


def read_file(path: Path, secrets: frozenset[str]) -> tuple[Line, ...]:
    """Gives the file's settings in order. secrets: the keys whose values others on this machine must not read.

    Raises Misconfigured, never repeating a value: not there, not TOML, a section, a value that is no line of text; a file that
    somebody else owns or may write, since he would decide where keys and policies are; a secret that others may read.
    """
    data, mode = _bytes(path)
    try:
        # The text of a decoding error holds what it could not decode, that of TOML's own only characters and places.
        text = data.decode("utf-8")
        document = tomllib.loads(text)
    except UnicodeDecodeError:
        raise Misconfigured(f"{path.name}: it is not UTF-8") from None
    except RecursionError:
        raise Misconfigured(f"{path.name}: it is not TOML that can be read") from None
    except ValueError as error:  # TOMLDecodeError, and what int() says of a number without end
        line = re.search(r"at line (\d+)", str(error))
        place = f"{path.name}:{line[1]}" if line else path.name
        raise Misconfigured(f"{place}: this is not TOML: one `name = value` a line") from None
    at: dict[str, int] = {}
    for found in _KEY.finditer(text):
        at.setdefault(found[2], text.count("\n", 0, found.start()) + 1)
    lines = [
        (key, value, f"{path.name}:{at[key]}" if key in at else path.name) for key, value in document.items()
    ]
    problems = [f"{where}: {reason}" for _, value, where in lines if (reason := _refused(value))]
    if mode & 0o004 and any(key in secrets and value for key, value, _ in lines):
        problems.append(f"{path.name}: others may read it and it holds a secret: `chmod 640` it")
    if problems:
        raise Misconfigured(*problems)
    return tuple(Line(key, _text(value), where) for key, value, where in lines)


def _bytes(path: Path) -> tuple[bytes, int]:
    try:
        # Not blocking: somebody's pipe of that name would hold the start up for ever.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a file"
        raise Misconfigured(f"the settings file {path.name} cannot be read ({reason})") from None
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise Misconfigured(f"the settings file {path.name} is not a plain file")
    with os.fdopen(handle, "rb") as file:
        if about.st_uid not in (os.geteuid(), 0):
            raise Misconfigured(f"the settings file {path.name} belongs to another user")
        if about.st_mode & 0o022:
            raise Misconfigured(f"the settings file {path.name}: others may write it; `chmod go-w` it")
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise Misconfigured(f"the settings file {path.name} is longer than 64 KiB")
    return data, about.st_mode


def _refused(value: Any) -> str:
    if isinstance(value, dict):
        return "settings stand without sections and dots: one `name = value` a line"
    if isinstance(value, list):
        if not all(isinstance(item, str) and "," not in item for item in value):
            return "a list holds texts without commas"
        return next(filter(None, map(_refused, value)), "")
    if isinstance(value, str):
        return "a value is one line of text" if _CONTROL.search(value) else ""
    return (
        ""
        if isinstance(value, bool | int | float)
        else "a value is a text, a number, true, false or a list of texts"
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) if isinstance(value, list) else str(value)
