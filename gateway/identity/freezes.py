"""Rows of freezes, in and out of the state store. Plain functions of a SQLAlchemy connection, for both engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from gateway.identity.tables import FREEZES
from gateway.store import insert_unless_there


@dataclass(frozen=True, slots=True)
class Freeze:
    """One freeze that holds. who: `key_…` or `person:…`. intent: the log's number of the intent to freeze."""

    who: str
    since: datetime
    intent: int


def insert_freeze(connection: Connection, freeze: Freeze) -> None:
    """Keeps a freeze; one of the same intent stays as it is, lifted or not."""
    row = {"intent": freeze.intent, "who": freeze.who, "since": freeze.since}
    connection.execute(insert_unless_there(FREEZES), {**row, "lifted_at": None, "lift_intent": None})


def lift_freezes(connection: Connection, who: str, when: datetime, intent: int) -> bool:
    """Lifts every freeze of a credential or a person; False where there was none."""
    done = connection.execute(
        update(FREEZES)
        .where(FREEZES.c.who == who, FREEZES.c.lifted_at.is_(None))
        .values(lifted_at=when, lift_intent=intent)
    )
    return done.rowcount > 0


def freezes_that_hold(connection: Connection) -> Sequence[Freeze]:
    """Gives every freeze that is not lifted, oldest first."""
    asked = select(FREEZES).where(FREEZES.c.lifted_at.is_(None)).order_by(FREEZES.c.intent)
    return [Freeze(row.who, row.since, row.intent) for row in connection.execute(asked)]


def is_lifted_by(connection: Connection, intent: int) -> bool:
    """Tells whether this intent lifted a freeze."""
    asked = select(FREEZES.c.intent).where(FREEZES.c.lift_intent == intent).limit(1)
    return connection.execute(asked).first() is not None
