"""Rows of approvals, in and out of the state store. Plain functions of a SQLAlchemy connection, for both engines.

A row is what the store says, not what happened: whoever acts on one holds it against the entries that it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.approvals.tables import APPROVALS
from gateway.store import Damaged
from gateway.words.approval import Approval, Statement

_COLUMN = APPROVALS.c


def insert_approval(connection: Connection, filed: Approval) -> None:
    """Keeps what was filed, unconfirmed. Raises IntegrityError where the id is taken."""
    said = filed.statement
    connection.execute(
        insert(APPROVALS).values(
            id=filed.id,
            kind=said.kind,
            before=said.before,
            after=said.after,
            digest=said.digest,
            filed_by=filed.filed_by,
            filed_at=filed.filed_at,
            until=filed.until,
            intent=filed.intent,
        )
    )


def confirm_approval(connection: Connection, name: str, by: str, when: datetime, intent: int) -> bool:
    """Confirms it; False where somebody did, it lapsed or ended, or `by` filed it. Of several that try at once one succeeds."""
    free = _COLUMN.confirmed_by.is_(None) & _COLUMN.lapsed_at.is_(None) & (_COLUMN.until > when)
    free &= _COLUMN.filed_by != by  # the constraint refuses it too, whoever writes
    done = connection.execute(
        update(APPROVALS)
        .where(_COLUMN.id == name, free)
        .values(confirmed_by=by, confirmed_at=when, confirm_intent=intent)
    )
    return done.rowcount == 1


def execute_approval(connection: Connection, name: str, entry: int) -> bool:
    """Notes the entry by which it was done; False where one is noted, or nobody confirmed it."""
    confirmed = _COLUMN.confirmed_by.is_not(None) & _COLUMN.lapsed_at.is_(None)
    done = connection.execute(
        update(APPROVALS)
        .where(_COLUMN.id == name, confirmed, _COLUMN.executed.is_(None))
        .values(executed=entry)
    )
    return done.rowcount == 1


def lapse_approval(connection: Connection, name: str, when: datetime, intent: int) -> bool:
    """Ends what was not done, for good; False where it was done, or had ended before.

    intent: of whoever ends it. What another intent confirmed is that one's to do or to end: it may be done already, and not noted yet.
    """
    open_ = _COLUMN.executed.is_(None) & _COLUMN.lapsed_at.is_(None)
    open_ &= _COLUMN.confirm_intent.is_(None) | (_COLUMN.confirm_intent == intent)
    done = connection.execute(update(APPROVALS).where(_COLUMN.id == name, open_).values(lapsed_at=when))
    return done.rowcount == 1


def read_approval(connection: Connection, name: str) -> Approval | None:
    """Gives one, None where there is none. Raises Damaged for a row whose statement is not the one that was filed."""
    return _of(connection.execute(select(APPROVALS).where(_COLUMN.id == name)).one_or_none())


def approval_of_intent(connection: Connection, intent: int) -> Approval | None:
    """Gives the one that this intent filed or confirmed, None where its row was never written."""
    asked = select(APPROVALS).where((_COLUMN.intent == intent) | (_COLUMN.confirm_intent == intent))
    return _of(connection.execute(asked).one_or_none())


def waiting_approvals(connection: Connection, now: datetime) -> Sequence[Approval]:
    """Gives those that may be confirmed, oldest first: ids sort by birth."""
    free = _COLUMN.confirmed_by.is_(None) & _COLUMN.lapsed_at.is_(None) & (_COLUMN.until > now)
    found = (_of(row) for row in connection.execute(select(APPROVALS).where(free).order_by(_COLUMN.id)))
    return [one for one in found if one is not None]


def _of(row: Row[Any] | None) -> Approval | None:
    if row is None:
        return None
    statement = Statement(row.kind, row.before, row.after)
    if statement.digest != row.digest:
        raise Damaged
    return Approval(
        id=row.id,
        statement=statement,
        filed_by=row.filed_by,
        filed_at=row.filed_at,
        until=row.until,
        intent=row.intent,
        confirmed_by=row.confirmed_by,
        confirmed_at=row.confirmed_at,
        confirm_intent=row.confirm_intent,
        executed=row.executed,
        lapsed_at=row.lapsed_at,
    )
