"""Rows of clients' secrets, in and out of the state store, and when each ends. Plain functions of a SQLAlchemy connection.

A client is an API key's row (application, roles, purposes, end, revocation) whose proof is a secret that is exchanged for access
tokens. Its secrets change and it stays: a new one ends those before it, at once or after a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.identity.tables import CLIENT_SECRETS


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """One secret as it is kept.

    id:              `sec_…`.   client: the key's id, `key_…`.
    hash:            argon2id over the whole text, with its salt and parameters.
    overlap_seconds: how long the client's secrets before this one go on beside it; 0: they ended with its making.
    intent:          the log's number of the intent to make it.
    ended_at:        from when on it is refused, for good: its making was never told to anybody.
    """

    id: str
    client: str
    hash: str = field(repr=False)
    created: datetime
    overlap_seconds: int = 0
    intent: int = 0
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A secret among its client's others. until: from then on a later one stands in its place; None: there is none."""

    secret: ClientSecret
    until: datetime | None = None
    over: bool = False

    def holds(self, now: datetime) -> bool:
        """Tells whether this secret proves its client at `now`. Whether the client itself holds is its key's row."""
        return not self.over and (self.until is None or now < self.until)


def standings(secrets: Iterable[ClientSecret]) -> Mapping[str, Standing]:
    """Gives how each secret stands, by its id.

    A later secret that was ended itself (its making came to nothing) ends no other. An overlap of nothing is no moment but an
    order: no clock of any process is asked about it.
    """
    found: dict[str, Standing] = {}
    after: dict[str, tuple[bool, datetime | None]] = {}
    for secret in sorted(secrets, key=lambda one: one.id, reverse=True):
        over, until = after.get(secret.client, (False, None))
        ended = secret.ended_at is not None
        found[secret.id] = Standing(secret, until, over or ended)
        if ended:
            continue
        ends = secret.created + timedelta(seconds=secret.overlap_seconds)
        until = ends if until is None else min(until, ends)
        after[secret.client] = (over or secret.overlap_seconds == 0, until)
    return found


def insert_secret(connection: Connection, secret: ClientSecret) -> None:
    """Keeps a new secret. Raises IntegrityError where the id, or its intent, is taken."""
    connection.execute(
        insert(CLIENT_SECRETS).values(
            id=secret.id,
            client=secret.client,
            hash=secret.hash,
            created=secret.created,
            overlap_seconds=secret.overlap_seconds,
            intent=secret.intent,
        )
    )


def end_secret_of(connection: Connection, made_by: int, when: datetime, intent: int) -> bool:
    """Ends the secret that an intent made, for good; False where there is none, or it had ended before."""
    done = connection.execute(
        update(CLIENT_SECRETS)
        .where(CLIENT_SECRETS.c.intent == made_by, CLIENT_SECRETS.c.ended_at.is_(None))
        .values(ended_at=when, end_intent=intent)
    )
    return done.rowcount == 1


def all_secrets(connection: Connection) -> Sequence[ClientSecret]:
    """Gives every secret, oldest first: ids sort by birth."""
    return [_secret(row) for row in connection.execute(select(CLIENT_SECRETS).order_by(CLIENT_SECRETS.c.id))]


def secrets_of(connection: Connection, client: str) -> Sequence[ClientSecret]:
    """Gives one client's secrets, oldest first; none where that is no client."""
    asked = select(CLIENT_SECRETS).where(CLIENT_SECRETS.c.client == client).order_by(CLIENT_SECRETS.c.id)
    return [_secret(row) for row in connection.execute(asked)]


def client_ids(connection: Connection) -> frozenset[str]:
    """Gives the ids of the keys that are clients."""
    return frozenset(connection.execute(select(CLIENT_SECRETS.c.client).distinct()).scalars())


def _secret(row: Row[Any]) -> ClientSecret:
    return ClientSecret(
        id=row.id,
        client=row.client,
        hash=row.hash,
        created=row.created,
        overlap_seconds=row.overlap_seconds,
        intent=row.intent,
        ended_at=row.ended_at,
    )
