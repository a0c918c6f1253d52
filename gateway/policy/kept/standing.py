"""Beside the path: how far a log was read for activations, so that a start finds the last one without reading all of it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, TextClause, select, text

from gateway.keys import Keyring, Label
from gateway.policy.kept.tables import OFFERS, STANDING
from gateway.store import Store, insert_unless_there


@dataclass(frozen=True, slots=True)
class Mark:
    """seq: of the last activation up to `upto`, 0 where there is none. hash: of the entry `upto`, so that it speaks of no other log."""

    seq: int = 0
    upto: int = 0
    hash: str = ""


class Standing:
    """The rows. What is said here only spares reading: the log is the truth."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    async def read(self, log: str) -> Mark:
        """Gives the mark of that log; the empty one where there is none, or it is not ours. Raises Unavailable."""

        def work(connection: Connection) -> tuple[Mark, bytes] | None:
            row = connection.execute(select(STANDING).where(STANDING.c.log == log)).one_or_none()
            return None if row is None else (Mark(row.seq, row.upto, row.hash), bytes(row.mac))

        found = await self._store.read(work)
        if found is None or not hmac.compare_digest(self._mac(log, found[0]), found[1]):
            return Mark()
        return found[0]

    async def write(self, log: str, mark: Mark) -> None:
        """Keeps a mark, where it is further than the one that is kept. Raises Unavailable."""
        row = {"log": log, "seq": mark.seq, "upto": mark.upto, "hash": mark.hash, "mac": self._mac(log, mark)}
        clause = text(
            "INSERT INTO standing (log, seq, upto, hash, mac) VALUES (:log, :seq, :upto, :hash, :mac) "
            "ON CONFLICT (log) DO UPDATE SET seq = excluded.seq, upto = excluded.upto, hash = excluded.hash, mac = excluded.mac "
            "WHERE standing.upto < excluded.upto"
        )
        await self._store.write(lambda connection: _run(connection, clause, row))

    async def offered(self, digest: str) -> bool:
        """Tells whether a policy folder with that digest was looked at before, by any process. Raises Unavailable."""
        asked = select(OFFERS.c.entry).where(OFFERS.c.digest == digest).limit(1)
        return await self._store.read(lambda c: c.execute(asked).first() is not None)

    async def offered_against(self, digest: str, before: str) -> bool:
        """As `offered`, while that bundle was in force."""
        asked = select(OFFERS.c.entry).where(OFFERS.c.digest == digest, OFFERS.c.before == before)
        return await self._store.read(lambda c: c.execute(asked).first() is not None)

    async def offer(self, digest: str, before: str, entry: int) -> None:
        """Notes that it was looked at, and the entry that says what became of it. Raises Unavailable."""
        row = {"digest": digest, "before": before, "entry": entry}
        await self._store.write(lambda connection: _run(connection, insert_unless_there(OFFERS), row))

    def _mac(self, log: str, mark: Mark) -> bytes:
        return self._keyring.mac(Label.STANDING, log, str(mark.seq), str(mark.upto), mark.hash)


def _run(connection: Connection, clause: TextClause, row: Mapping[str, object]) -> None:
    connection.execute(clause, row)
