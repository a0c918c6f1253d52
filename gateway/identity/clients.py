"""Step 2 at the token endpoint: a client's id and secret → the secret's row, argon2id at most once for each text.

That a text is (or is not) what a row keeps is a fact that never changes. It is found out once, whoever sends the text and under
whatever client's id, and remembered by a keyed digest of text and row; whose the row is, and whether it and its key hold, is looked
at each time. So a client that proved itself once is known again whatever strangers do, and neither a revocation, nor a flood, nor
somebody who once had a secret, makes anybody compute twice.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
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
"""Texts of ours that no row keeps: nobody has one but by a backup that was put back, or by the key of the tags."""


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
        self._right: dict[str, bytes] = {}  # a secret's id → the mark of its text
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[bool]] = {}

    def replace(self, secrets: Iterable[ClientSecret]) -> None:
        """Takes these secrets in place of all others, at once. What was nobody's secret may be somebody's now.

        What was found out stays, and so does what is being computed: it is said of a text and of what a row kept, and where the row
        keeps something else, or is there now, it is another question.
        """
        self._standing = standings(secrets)
        self._right = {
            secret_id: mark for secret_id, mark in self._right.items() if secret_id in self._standing
        }

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
        for that client. Promises: a right secret is never refused for what others tried. Whose the secret is costs nothing to find
        out, and a text whose row is gone costs what one with a row does.
        """
        shown = secrettext.read(text, self._tag)
        kept = await self._kept(shown) if shown is not None and shown.ours else None
        now = clock()  # after all waiting: the rows may have been read anew meanwhile
        tried = self._tried(client, shown, kept, now)
        if tried.secret is None:
            self._attempts.wrong(source, client, now)
        return tried

    def _tried(self, client: str, shown: SecretText | None, kept: str | None, now: datetime) -> Tried:
        """kept: what the text certainly is by, None where it is nobody's secret."""
        if shown is None:
            return Tried(None, Stranger.CLIENT_MALFORMED)
        if not shown.ours:
            return Tried(None, Stranger.CLIENT_SECRET_WRONG)
        standing = self._standing.get(shown.id)
        if standing is None or standing.secret.hash != kept or standing.secret.client != client:
            return Tried(None, Stranger.CLIENT_UNKNOWN)
        return Tried(standing.secret) if standing.holds(now) else Tried(None, Stranger.CLIENT_SECRET_ENDED)

    async def _kept(self, shown: SecretText) -> str | None:
        """Gives what the text's row keeps, where that is this text. Computes once, however many ask, at once or ever."""
        standing = self._standing.get(shown.id)
        kept = self._proofs.nobody if standing is None else standing.secret.hash
        mark = blake2b(kept.encode() + b"\0" + shown.text, key=self._salt).digest()
        if self._right.get(shown.id) == mark:
            return kept
        if mark in self._wrong:
            return None
        running = self._running.get(mark)
        if running is None:
            running = self._running[mark] = asyncio.ensure_future(self._proofs.equal(kept, shown.text))
            running.add_done_callback(partial(self._found_out, shown.id, mark))
        return kept if await asyncio.shield(running) else None

    def _found_out(self, secret_id: str, mark: bytes, done: asyncio.Task[bool]) -> None:
        """Remembers it, also where whoever asked has left."""
        del self._running[mark]
        if done.cancelled() or done.exception() is not None:
            return
        if done.result():
            self._right[secret_id] = mark
            return
        self._wrong[mark] = None
        if len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)
