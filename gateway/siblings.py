"""Before the path: workers of one start share one policy folder. One of them puts an edit in force, the others find it in the log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

import orjson

from audit import Log, LogBusy, LogUnavailable, StoredEntry
from gateway.words.errors import Code, Unavailable

ACTIVATE: Final = "bundle:activate"
RUN: Final = "run"
"""The member of an activation's record part that says whose it is: the start's own id, which all of its workers have."""
_AT_ONCE: Final = 500
_MARK: Final = ACTIVATE.encode()


@dataclass(frozen=True, slots=True)
class Siblings:
    """The workers of one start, seen by one of them. alone: as the stores'."""

    log: Log
    alone: Callable[[str], AbstractAsyncContextManager[bool]]
    run: str

    async def put_in_force(self, after: int, upto: int) -> str | None:
        """Gives the digest of the bundle that one of us put in force last by an entry above `after`, up to `upto`; None where none did.

        Raises Unavailable. What other gateways on the same log put in force is theirs: they have folders of their own.
        """
        found = None
        try:
            while after < upto:
                entries = await self.log.entries(after, min(_AT_ONCE, upto - after))
                if not entries:
                    break
                for entry in entries:
                    found = self._ours(entry) or found
                after = entries[-1].seq
        except (LogUnavailable, LogBusy) as error:
            raise Unavailable(Code.LOG_UNAVAILABLE) from error
        return found

    def _ours(self, entry: StoredEntry) -> str | None:
        if _MARK not in entry.bytes or orjson.loads(entry.bytes)["action"] != ACTIVATE or not entry.parts:
            return None
        said = orjson.loads(entry.parts[0].body)
        return str(said["reference"]) if said.get(RUN) == self.run else None
