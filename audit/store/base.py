"""What the log asks of a store: one small interface, one contract suite (tests/audit), two implementations.

Everything here blocks; the log calls a writer only from its writer thread and a reader only from its reader thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audit.chain import Entry
from audit.claims import Asked, Counts, Member, Window
from audit.errors import AuditError, LogRefused
from audit.event import Head, StoredEntry

SCHEMA_VERSION = 2
"""The newest schema that this program knows; a store with a newer one is refused."""

_PACKAGE = Path(__file__).resolve().parents[1]


class NotWritten(AuditError):
    """The transaction did not commit: nothing of the batch is there."""


class CommitUnknown(AuditError):
    """COMMIT was sent and nobody knows its end. Ask `is_written` before anything else."""


class StoreDown(AuditError):
    """The store cannot be asked now."""


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """Entries in order, the head after the last of them, and what they counted. Never without an entry."""

    entries: Sequence[Entry]
    head: Head
    counts: Counts | None = None


class Counting(Protocol):
    """What a batch must know of the counts before it is linked: asked between the head and the link, in their transaction."""

    def ask(self, head: Head) -> Asked:
        """Gives what to look up, now that the head is known."""

    def know(self, used: Mapping[Window, int], members: Iterable[Member]) -> None:
        """Takes what was found."""


class Writer(Protocol):
    """The only way to extend a log. Holds its own connection, makes a new one after any failure."""

    def open(self, log: str | None) -> Head:
        """Checks the store and gives its head.

        log: the id for a log that is not there yet and shall be made; None: a missing log is refused.
        Promises: the settings that make a commit durable, the guards against change and the agreement of the head with
        the last entry are verified, not assumed.
        Raises: LogRefused with what to do.
        """

    def extend(self, link: Callable[[Head], Batch | None], counting: Counting | None = None) -> None:
        """One transaction: locks and reads the head, writes what `link` makes of it, commits. None: writes nothing.

        counting: is asked and told, before `link`, what the counts are; without it none is looked at.

        Promises: returns after the commit is durable. Never trusts a head from memory. `link` may be called again, with
        another head, when its first batch was not written.
        Raises: NotWritten, CommitUnknown; what `link` raises, with nothing written.
        """

    def is_written(self, last: Entry) -> bool:
        """Whether the batch that ended with `last` is there, durably.

        Promises: waits until an earlier transaction of ours, perhaps still running in the database, has ended.
        Raises: StoreDown.
        """

    def save_cursor(self, name: str, seq: int, state: bytes) -> None:
        """Keeps how far the projection `name` has read. An older `seq` than the kept one is ignored. Raises: NotWritten."""

    def sweep(self, limit: int) -> bool:
        """Empties windows that ended before the log's own time, at most `limit` rows of each table; True: there may be more.

        Raises: NotWritten.
        """

    def close(self) -> None:
        """Lets the store go. Repeatable."""


class Reader(Protocol):
    """Reads what is committed, beside the writer. Raises StoreDown; makes a new connection after it."""

    def head(self) -> Head:
        """The head as it stands in the store."""

    def entries(self, after: int, limit: int) -> list[StoredEntry]:
        """At most `limit` entries with a seq above `after`, in order."""

    def bodies(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """As `entries`, only seq and canonical bytes."""

    def cursor(self, name: str) -> tuple[int, bytes] | None:
        """What `save_cursor` kept last."""

    def close(self) -> None:
        """Lets the connection go. Repeatable."""


class Store(Protocol):
    """A place for one log."""

    def writer(self) -> Writer:
        """A writer, not yet opened."""

    def reader(self) -> Reader:
        """A reader; it connects at its first question."""

    def inspect(self) -> Head | None:
        """What a writer's `open` would refuse, looked at without changing anything; None where there is no log yet. Blocks.

        Raises: LogRefused with what to do.
        """


def migrations(engine: str, above: int) -> list[tuple[int, str]]:
    """The numbered SQL files of migrations/audit/<engine> above a version: [(version, text)], in order.

    Raises: LogRefused where they are not installed or do not end at SCHEMA_VERSION.
    """
    # A wheel carries them inside the package; in a checkout they stand beside it, with the other trees.
    carried = _PACKAGE / "migrations"
    folder = (carried if carried.is_dir() else _PACKAGE.parent / "migrations" / "audit") / engine
    found = sorted((int(path.name.split("_")[0]), path) for path in folder.glob("[0-9]*_*.sql"))
    if [version for version, _ in found] != list(range(1, SCHEMA_VERSION + 1)):
        raise LogRefused(
            f"the log's migrations for {engine} are not installed: install the whole of Gatehouse"
        )
    return [(version, path.read_text(encoding="utf-8")) for version, path in found if version > above]
