"""Step 2 at the token endpoint: a client's id and secret → the secret's row, argon2id at most once for each text.

That a text is (or is not) the secret of a row is a fact that never changes, so it is remembered, by a keyed digest of id and text;
whether row and key hold is looked at each time. So a client that proved itself once is known again whatever strangers do, and
neither a revocation nor a flood makes anybody compute twice.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from gateway.identity import secrettext
from gateway.identity.attempts import Attempts
from gateway.identity.proofs import Proofs
from gateway.identity.secretrows import ClientSecret, Standing, standings
from gateway.identity.secrettext import SECRET_BYTES, SecretText, Tag
from gateway.identity.strangers import Stranger
from gateway.keys.keyring import Keyring
from gateway.keys.labels import Label
from gateway.words.ids import new_id

_REMEMBERED = 4_096


def secret_tag(keyring: Keyring) -> Tag:
    """Gives the tag by which our own secrets are known: HMAC-SHA-256 under a key of its own, over id and secret."""
    return lambda secret_id, secret: keyring.mac(Label.CLIENT_SECRET_TAG, secret_id, secret)


@dataclass(frozen=True, slots=True)
class Tried:
    """What id and secret came to: the secret's row, or why there is none."""

    secret: ClientSecret | None
    reason: Stranger | None = None


class Clients:
    """Every client's secrets. Used on the event loop; argon2id runs in threads."""

    def __init__(self, tag: Tag, proofs: Proofs) -> None:
        self._tag = tag
        self._proofs = proofs
        self._attempts = Attempts()
        self._salt = os.urandom(32)
        self._standing: Mapping[str, Standing] = {}
        self._proven: dict[bytes, str] = {}  # mark of id and text → the secret's id
        self._wrong: set[bytes] = set()
        self._running: dict[bytes, asyncio.Task[bool]] = {}

    def replace(self, secrets: Iterable[ClientSecret]) -> None:
        """Takes these secrets in place of all others, at once. What was nobody's secret may be somebody's now."""
        self._standing = standings(secrets)
        # Not emptied but others: what was begun by the rows before these says nothing about these.
        self._wrong, self._running = set(), {}

    def holds(self, secret_id: str, now: datetime) -> bool:
        """Tells whether that secret holds, by the rows as they were read last."""
        standing = self._standing.get(secret_id)
        return standing is not None and standing.holds(now)

    async def make(
        self, client: str, now: datetime, dice: Callable[[int], bytes]
    ) -> tuple[str, ClientSecret]:
        """Gives a new secret's text, to be shown once, and its row, not kept yet. Raises Refused(TOO_MANY)."""
        made = secrettext.write(new_id("sec"), dice(SECRET_BYTES), self._tag)
        kept = await self._proofs.hash(made.text)
        return made.text.decode(), ClientSecret(made.id, client, kept, now)

    async def check(self, client: str, text: str, source: str, clock: Callable[[], datetime]) -> Tried:
        """Gives what a client's id and the text of its secret prove. source: the address that they came from.

        Raises Refused(TOO_MANY): too many computations at once (then nothing is known yet), or too many wrong secrets from there or
        for that client. Promises: a right secret is never refused for what others tried.
        """
        found, reason = await self._known(client, text)
        now = clock()  # after all waiting: the rows may have been read anew meanwhile
        if found is not None:
            standing = self._standing.get(found)
            if standing is not None and standing.holds(now):
                return Tried(standing.secret)
            reason = Stranger.CLIENT_SECRET_ENDED
        self._attempts.wrong(source, client, now)
        return Tried(None, reason)

    async def _known(self, client: str, text: str) -> tuple[str | None, Stranger]:
        """Gives the id of the secret that a text certainly is, that client's; else why not."""
        said = f"{len(client)}:{client}{text}".encode("utf-8", "surrogatepass")
        mark = blake2b(said, key=self._salt).digest()
        if (known := self._proven.get(mark)) is not None:
            return known, Stranger.CLIENT_SECRET_ENDED
        shown = secrettext.read(text, self._tag)
        if shown is None:
            return None, Stranger.CLIENT_MALFORMED
        if not shown.ours or mark in self._wrong:
            return None, Stranger.CLIENT_SECRET_WRONG
        wrong = self._wrong
        if await self._proved(mark, client, shown):
            if len(self._proven) >= _REMEMBERED:
                self._proven = {}
            self._proven[mark] = shown.id
            return shown.id, Stranger.CLIENT_SECRET_ENDED
        if len(wrong) >= _REMEMBERED:
            wrong.clear()
        wrong.add(mark)
        return None, Stranger.CLIENT_UNKNOWN

    async def _proved(self, mark: bytes, client: str, shown: SecretText) -> bool:
        """Computes once, however many ask at once; a text without a row costs what one with a row does."""
        under_way = self._running
        running = under_way.get(mark)
        if running is None:
            standing = self._standing.get(shown.id)
            there = standing is not None and standing.secret.client == client
            kept = standing.secret.hash if standing is not None and there else self._proofs.nobody
            running = under_way[mark] = asyncio.ensure_future(self._proofs.equal(kept, shown.text))
            running.add_done_callback(lambda _: under_way.pop(mark, None))
        return await asyncio.shield(running)
