"""Before the path: a file in which an operator lists things, as strict JSON. Only reads."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from gateway.plainfile import read_plain
from gateway.wire.json import parse
from gateway.words.errors import Misconfigured, Refused

Entry = TypeVar("Entry")
MAX_BYTES: Final = 1_048_576


def read_list(path: Path, entries: type[list[Entry]]) -> list[Entry]:
    """Gives the entries of a JSON array. Raises Misconfigured, naming an entry's place and no value of it."""
    try:
        return msgspec.convert(parse(read_plain(path, MAX_BYTES)), entries)
    except OSError as error:
        raise Misconfigured(f"{path.name}: not readable ({error.strerror})") from error
    except Refused as error:
        raise Misconfigured(f"{path.name}: not JSON that can be read in one way") from error
    except msgspec.ValidationError as error:
        raise Misconfigured(f"{path.name}: {error}") from error
