"""Which intents are open: a projection of the log with a cursor, kept in memory and saved now and then. Derived, never proof."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import orjson

from audit.event import SETTLING, Json, Kind, OpenIntent
from audit.store.base import Reader

_CHUNK = 5_000
_NEAR = 64  # most outcomes stand a few entries after their intent
_SAVE_EVERY = 50_000
_REMEMBERED = 10_000


class Intents:
    """Reads each entry once. Used from the log's reader thread, but `due` and `kept`, which the writer calls."""

    NAME: ClassVar[str] = "intents"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._state: tuple[int, frozenset[int]] | None = (
            None  # replaced whole, so that another thread sees one moment
        )
        self._kept = 0
        self._settling: dict[
            int, int
        ] = {}  # intent → the entry that settled it: the log never changes its mind

    def open(self) -> list[OpenIntent]:
        """Every open intent by seq, as of now. Raises: StoreDown."""
        seqs = self._advance()
        return [found for seq in sorted(seqs) if (found := self._intent(seq)) is not None]

    def settling(self, intent: int) -> int | None:
        """The seq of the first entry that settled an intent; None while it is open, and for what is no intent. Raises: StoreDown."""
        if (known := self._settling.get(intent)) is not None:
            return known
        if intent in self._advance():
            return None
        cursor, chunk = intent, _NEAR
        named = b'"of":%d,' % intent  # as the canonical form spells it
        while rows := self._reader.bodies(cursor, chunk):
            for seq, body in rows:
                if named in body and _settles(orjson.loads(body), intent):
                    self._remember(intent, seq)
                    return seq
            cursor, chunk = rows[-1][0], min(chunk * 4, _CHUNK)
        return None

    def due(self, closing: bool) -> tuple[int, bytes] | None:
        """Cursor and state that are worth saving now: after 50,000 entries, or any progress where closing."""
        if self._state is None:
            return None
        seq, seqs = self._state
        if seq - self._kept < (1 if closing else _SAVE_EVERY):
            return None
        return seq, orjson.dumps(sorted(seqs))

    def kept(self, seq: int) -> None:
        """The cursor was saved at `seq`."""
        self._kept = seq

    def _advance(self) -> frozenset[int]:
        cursor, before = self._state or self._restored()
        seqs = set(before)
        while rows := self._reader.bodies(cursor, _CHUNK):
            for seq, body in rows:
                entry = orjson.loads(body)
                if entry["kind"] == Kind.INTENT:
                    seqs.add(seq)
                elif _settles(entry, entry["of"]):
                    seqs.discard(entry["of"])
            cursor = rows[-1][0]
        self._state = (cursor, frozenset(seqs))
        return self._state[1]

    def _remember(self, intent: int, seq: int) -> None:
        if len(self._settling) >= _REMEMBERED:
            self._settling.pop(next(iter(self._settling)))
        self._settling[intent] = seq

    def _restored(self) -> tuple[int, frozenset[int]]:
        saved = self._reader.cursor(self.NAME)
        if saved is None:
            return 0, frozenset()
        self._kept = saved[0]
        return saved[0], frozenset(orjson.loads(saved[1]))

    def _intent(self, seq: int) -> OpenIntent | None:
        rows = self._reader.entries(seq - 1, 1)
        if not rows or rows[0].seq != seq:
            return None
        fields = orjson.loads(rows[0].bytes)
        return OpenIntent(seq, fields["time"], fields, rows[0])


def _settles(entry: Mapping[str, Json], intent: int | None) -> bool:
    return intent is not None and entry["of"] == intent and entry["kind"] in SETTLING
