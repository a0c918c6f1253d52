"""Rows of API keys, in and out of the state store. Plain functions of a SQLAlchemy connection, for both engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Row, insert, select, update

from gateway.identity.tables import API_KEYS
from gateway.wire.json import dump, parse
from gateway.words.principal import RoleHeld


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key as it is kept.

    id:           `key_…`, public.      digest: keyed hash of the secret, 32 bytes.
    application:  `app:…`; roles and purposes that a caller with this key holds, and no others by the key.
    not_after:    from that moment it is refused.
    intent:       the log's number of the intent to issue it.
    confirmed_at: when the log had the outcome of issuing it; before that it is refused.
    revoked_at:   from when on it is refused, for good.
    """

    id: str
    digest: bytes = field(repr=False)
    application: str
    roles: frozenset[RoleHeld]
    purposes: frozenset[str]
    created: datetime
    not_after: datetime
    intent: int
    confirmed_at: datetime | None = None
    revoked_at: datetime | None = None


def insert_key(connection: Connection, key: ApiKey) -> None:
    """Keeps a new key, unconfirmed. Raises IntegrityError where the id is taken."""
    connection.execute(
        insert(API_KEYS).values(
            id=key.id,
            digest=key.digest,
            application=key.application,
            roles=dump([[held.role, held.unit] for held in sorted(key.roles)]).decode(),
            purposes=dump([*sorted(key.purposes)]).decode(),
            created=key.created,
            not_after=key.not_after,
            intent=key.intent,
        )
    )


def confirm_key(connection: Connection, key_id: str, when: datetime) -> bool:
    """Makes an issued key valid; False where it was revoked (or settled) meanwhile: then it never is."""
    free = API_KEYS.c.confirmed_at.is_(None) & API_KEYS.c.revoked_at.is_(None)
    done = connection.execute(update(API_KEYS).where(API_KEYS.c.id == key_id, free).values(confirmed_at=when))
    return done.rowcount == 1


def revoke_key(connection: Connection, key_id: str, when: datetime, intent: int) -> bool:
    """Ends a key for good; False where it had ended before (the first moment stays)."""
    done = connection.execute(
        update(API_KEYS)
        .where(API_KEYS.c.id == key_id, API_KEYS.c.revoked_at.is_(None))
        .values(revoked_at=when, revoke_intent=intent)
    )
    return done.rowcount == 1


def end_unconfirmed(connection: Connection, key_id: str, when: datetime, intent: int) -> bool:
    """Ends a key that was never valid; False where it is meanwhile, or had ended. Of this and `confirm_key` one succeeds."""
    free = API_KEYS.c.confirmed_at.is_(None) & API_KEYS.c.revoked_at.is_(None)
    ended = {"revoked_at": when, "revoke_intent": intent}
    done = connection.execute(update(API_KEYS).where(API_KEYS.c.id == key_id, free).values(ended))
    return done.rowcount == 1


def unconfirmed_keys(connection: Connection, latest: datetime) -> Sequence[ApiKey]:
    """Gives the keys, made at `latest` or before, that are neither valid nor ended."""
    free = API_KEYS.c.confirmed_at.is_(None) & API_KEYS.c.revoked_at.is_(None)
    asked = select(API_KEYS).where(free, API_KEYS.c.created <= latest).order_by(API_KEYS.c.id)
    return [_key(row) for row in connection.execute(asked)]


def read_key(connection: Connection, key_id: str) -> ApiKey | None:
    """Gives one key, None where there is none."""
    row = connection.execute(select(API_KEYS).where(API_KEYS.c.id == key_id)).one_or_none()
    return None if row is None else _key(row)


def key_of_intent(connection: Connection, intent: int) -> ApiKey | None:
    """Gives the key that this intent issued, None where its rows were never written."""
    row = connection.execute(select(API_KEYS).where(API_KEYS.c.intent == intent)).one_or_none()
    return None if row is None else _key(row)


def revoked_by(connection: Connection, intent: int) -> ApiKey | None:
    """Gives the key that this intent revoked, None where its rows were never written."""
    row = connection.execute(select(API_KEYS).where(API_KEYS.c.revoke_intent == intent)).one_or_none()
    return None if row is None else _key(row)


def all_keys(connection: Connection) -> Sequence[ApiKey]:
    """Gives every key, oldest first: ids sort by birth."""
    return [_key(row) for row in connection.execute(select(API_KEYS).order_by(API_KEYS.c.id))]


def _key(row: Row[Any]) -> ApiKey:
    roles = cast(list[list[str]], parse(row.roles.encode()))
    purposes = cast(list[str], parse(row.purposes.encode()))
    return ApiKey(
        id=row.id,
        digest=bytes(row.digest),
        application=row.application,
        roles=frozenset(RoleHeld(role, unit) for role, unit in roles),
        purposes=frozenset(purposes),
        created=row.created,
        not_after=row.not_after,
        intent=row.intent,
        confirmed_at=row.confirmed_at,
        revoked_at=row.revoked_at,
    )
