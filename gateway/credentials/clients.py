"""Service: clients of the token endpoint are issued, and get another secret. They are listed and revoked as the keys that they are.

A client is an API key's row whose proof is a secret: what it may do, until when, and whether it was revoked is that row. Order of
another secret, and what holds where it breaks off:
    intent entry        nothing is changed yet
    state row           nobody knows the new secret; those before it go on for the overlap, or are refused by this process from here on
    outcome entry       raises the fence: what the overlap ends is served by no process after it, in log order
    answer              the one time that the secret is shown
Without an outcome the reconciler ends the new secret, and those before it hold again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from audit import Receipt
from gateway.corridor.desk import Asker, Visit
from gateway.credentials.keys import Issued, Keys, Minted
from gateway.credentials.wish import Wish
from gateway.identity import ApiKey, ClientSecret, fault, insert_secret, read_key, secrets_of
from gateway.words.control import CONTROL_KEY, KEY_CREATE
from gateway.words.errors import Code, Refused, Unavailable
from gateway.words.ids import new_id

MAX_OVERLAP = timedelta(days=30)
_DIGEST_BYTES = 32


class Secrets(Protocol):
    """Makes secrets."""

    async def make(
        self, client: str, now: datetime, dice: Callable[[int], bytes]
    ) -> tuple[str, ClientSecret]:
        """Gives a new secret's text, and its row, not kept yet. Raises Refused(TOO_MANY)."""
        ...


@dataclass(frozen=True, slots=True)
class Renewed:
    """A client's new secret. `text` is nowhere else. ends: when the secrets before it end."""

    key: ApiKey
    secret: ClientSecret
    text: str = field(repr=False)
    receipt: Receipt

    @property
    def ends(self) -> datetime:
        """From then on only the new secret holds."""
        return self.secret.created + timedelta(seconds=self.secret.overlap_seconds)


@dataclass(frozen=True, slots=True)
class Clients:
    """The service."""

    keys: Keys
    secrets: Secrets

    async def issue(self, asker: Asker, read: Callable[[], Wish]) -> Issued:
        """Gives a new client; its id is the key's. As `Keys.issue_as`, and Refused(TOO_MANY) where no computation is free."""

        async def mint(wish: Wish) -> Minted:
            client = new_id("key")
            text, secret = await self.secrets.make(client, self.keys.desk.clock(), self.keys.dice)
            # No text stands for this row: what it would be compared with is drawn, and forgotten.
            return Minted(self.keys.row(client, self.keys.dice(_DIGEST_BYTES), wish), text, secret)

        return await self.keys.issue_as(asker, read, mint)

    async def renew(self, asker: Asker, client: str, read: Callable[[], timedelta]) -> Renewed:
        """Gives a client another secret. `read` gives how long those before it go on, MAX_OVERLAP at most.

        Raises what `read` raises, Denied, Refused (NOT_FOUND where that is no client, VALUE_REFUSED, CONFLICT where it does not hold,
        TOO_MANY), Unavailable (OUTCOME_UNRECORDED: the reconciler ends what came of it). Promises: once this has returned, no process
        serves what the overlap ended.
        """
        desk = self.keys.desk

        async def work(visit: Visit) -> Renewed:
            key = await desk.store.read(lambda c: read_key(c, client) if secrets_of(c, client) else None)
            if key is not None:  # an id that is none of ours may be anything, and is not repeated in an entry
                visit.record = key.id
            visit.decide(desk.clock())
            if key is None:
                raise Refused(Code.NOT_FOUND)
            overlap = read()
            if not timedelta(0) <= overlap <= MAX_OVERLAP:
                raise Refused(Code.VALUE_REFUSED, field="/overlap_seconds")
            if fault(key, desk.clock()) is not None:
                raise Refused(Code.CONFLICT)
            text, made = await self.secrets.make(client, desk.clock(), self.keys.dice)
            seconds = int(overlap.total_seconds())
            part = {
                "verb": "rotate",
                "reference": key.id,
                "subject": None,
                "secret": made.id,
                "overlap_seconds": seconds,
            }
            intent = await desk.intend(visit, part)
            secret = replace(made, overlap_seconds=seconds, intent=intent)
            await desk.write(visit, lambda c: insert_secret(c, secret))
            try:
                await self.keys.reload()
            except Unavailable as error:
                raise visit.unrecorded() from error
            receipt = await desk.conclude(visit, "done")
            await self.keys.catch_up()
            return Renewed(key, secret, text, receipt)

        return await desk.attend(asker, KEY_CREATE, CONTROL_KEY, work)
