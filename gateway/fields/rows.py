"""Step 8's rows of bindings, as they stand in the state store and as they should: a cell that nobody here wrote makes its row unsound."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, select

from gateway.fields.tables import BINDING
from gateway.store import Rows, moment_of, raw
from gateway.words.record import Alarm, AlarmKind

_ALL = select(*raw(BINDING))
_LOCKED = _ALL.with_for_update()
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOLD: Final = (
    1_000  # rows that an alarm was raised about; whoever can write to the table must not fill the memory
)


@dataclass(frozen=True, slots=True)
class BindingRow:
    """A binding's row, each cell of the type that its column is for. Nothing is said yet about who wrote it."""

    seal: str
    upstream: str
    resource: str
    ref: str | None
    place: bytes = field(repr=False)
    subject: str
    founds: bool
    state: str
    marker: str | None = field(repr=False)
    created: datetime
    mac: bytes = field(repr=False)

    def values(self) -> dict[str, Any]:
        """Gives the cells by their columns' names."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def read(connection: Connection, column: Column[Any], asked: Sequence[str], *, lock: bool = False) -> Rows:
    """Gives the rows whose `column` is one of those, as the driver reads them."""
    return list(connection.execute((_LOCKED if lock else _ALL).where(column.in_(asked))))


def typed(row: Row[tuple[Any, ...]]) -> BindingRow | None:
    """Gives the row with its moment and its flag read; None where a cell is not of its column's type."""
    created = moment_of(row.created)
    texts = (row.seal, row.upstream, row.resource, row.subject, row.state)
    if created is None or row.founds not in (0, 1) or any(type(text) is not str for text in texts):
        return None
    if any(text is not None and type(text) is not str for text in (row.ref, row.marker)):
        return None
    if type(row.place) is not bytes or type(row.mac) is not bytes:
        return None
    return BindingRow(**{**row._mapping, "founds": bool(row.founds), "created": created})


class Told:
    """Raises an alarm about a broken row that no answer speaks of, once a process and row."""

    def __init__(self, alarm: Callable[[Alarm], None]) -> None:
        self._alarm = alarm
        self._rows: set[str] = set()

    def broken(self, row: str, upstream: object = None, resource: object = None) -> None:
        """row: what it was asked for by. What an altered row says of its place is said on only where it is a name."""
        if row in self._rows or len(self._rows) >= _TOLD:
            return
        self._rows.add(row)
        self._alarm(Alarm(AlarmKind.BINDING_BROKEN, _name(upstream), _name(resource)))


def _name(said: object) -> str:
    return said if type(said) is str and _NAME.fullmatch(said) else "-"
