"""Service: settles open intents about keys against the state rows. Fits `OwnChanges` of gateway.corridor.settle.

An intent to issue that has no outcome: nobody was told the secret, so the key is ended; of a client that stays only the new secret is,
and those before it hold again. An intent to revoke: what the row says; one
of the process itself is carried out. A key whose issuing has its outcome and that never became valid is ended too, and the outcome
that said `done` is corrected by another one that names the same intent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from audit import AuditEvent, Kind, OpenIntent, RecordPart
from gateway.corridor.desk import Desk
from gateway.corridor.settle import SYSTEM
from gateway.identity import (
    ApiKey,
    end_secret_of,
    end_unconfirmed,
    key_of_intent,
    read_key,
    revoke_key,
    revoked_by,
    unconfirmed_keys,
)
from gateway.words.control import CONTROL_KEY, CONTROL_UPSTREAM, KEY_CREATE, KEY_REVOKE
from gateway.words.ids import new_id

_KEYS = {"upstream": CONTROL_UPSTREAM, "type": CONTROL_KEY.name}


@dataclass(frozen=True, slots=True)
class _Change:
    """An intent about one key, as its outcome speaks of it."""

    seq: int
    request: str
    action: str
    purpose: str | None
    key_id: str


@dataclass(frozen=True, slots=True)
class KeySettlement:
    """Settles what `Keys` left open. reload: as there."""

    desk: Desk
    reload: Callable[[], Awaitable[None]]

    async def settle(self, intent: OpenIntent) -> bool:
        """Settles one intent; False when it is none of this service's. Raises what the log and the store raise.

        Promises: repeatable; another process doing the same at once only adds a second outcome that says the same.
        """
        said: Mapping[str, Any] = intent.fields
        where = said.get("resource") or {}
        if said["action"] not in (KEY_CREATE, KEY_REVOKE) or where.get("upstream") != CONTROL_UPSTREAM:
            return False
        key_id = orjson.loads(intent.entry.parts[0].body)["reference"]
        change = _Change(intent.seq, said["request"], said["action"], said["purpose"], key_id)
        if change.action == KEY_CREATE:
            done = await self._issued(change)
        elif said["principal"]["application"] == SYSTEM["application"]:
            done = await self._ended(change)
        else:
            done = await self._revoked(change)
        await self._conclude(change, done)
        return True

    async def end_unconfirmed(self, grace: timedelta) -> None:
        """Ends every key, older than `grace`, whose issuing was recorded as done and that was never confirmed: nobody was given it.

        The process was killed just before, or the store was away. Raises what the log and the store raise; repeatable.
        """
        latest = self.desk.clock() - grace
        found = await self.desk.store.scan(lambda c: unconfirmed_keys(c, latest))
        if not found:
            return
        under_way = {intent.seq for intent in await self.desk.log.open_intents()}
        for key in found:
            if key.intent not in under_way:  # one that is open is settled by its own intent
                change = await self._intend(key, new_id("req"))
                await self._conclude(change, await self._ended(change))

    async def take_back(self, key: ApiKey, request: str) -> None:
        """Ends a key of which nobody can tell whether it was confirmed; its secret was shown to nobody. Raises as above.

        Where it breaks off after its intent, `settle` goes on with it.
        """
        change = await self._intend(key, request)
        now = self.desk.clock()
        done = await self.desk.store.write(lambda c: revoke_key(c, key.id, now, change.seq))
        await self._conclude(change, done)

    async def _intend(self, key: ApiKey, request: str) -> _Change:
        part = RecordPart({"verb": "revoke", "reference": key.id, "subject": None})
        event = AuditEvent(Kind.INTENT, request, SYSTEM, KEY_REVOKE, resource=_KEYS, records=(part,))
        return _Change((await self.desk.log.append(event)).seq, request, KEY_REVOKE, None, key.id)

    async def _conclude(self, change: _Change, done: bool) -> None:
        """Records what became of it. A key that it ended before it ever was valid: its issuing was not done after all."""
        await self.reload()
        if change.action == KEY_REVOKE:
            ended = await self.desk.store.read(lambda c: revoked_by(c, change.seq))
            if ended is not None and ended.confirmed_at is None:
                issuing = _Change(ended.intent, change.request, KEY_CREATE, change.purpose, ended.id)
                await self._record(issuing, False)
        await self._record(change, done)
        await self.desk.caches.refresh()

    async def _record(self, change: _Change, done: bool) -> None:
        event = AuditEvent(
            kind=Kind.OUTCOME,
            request=change.request,
            principal=SYSTEM,
            action=change.action,
            purpose=change.purpose,
            resource=_KEYS,
            records=(RecordPart({"reference": change.key_id, "subject": None}),),
            of=change.seq,
            upstream={"result": "done" if done else "not-done", "by": "reconciler"},
        )
        await self.desk.log.append(event, raises_fence=True)

    async def _issued(self, change: _Change) -> bool:
        """Ends the key, or the client's secret, that may have come of it; it was never anybody's."""
        key = await self.desk.store.read(lambda c: key_of_intent(c, change.seq))
        now = self.desk.clock()
        if key is not None:
            await self.desk.store.write(lambda c: revoke_key(c, key.id, now, change.seq))
        await self.desk.store.write(lambda c: end_secret_of(c, change.seq, now, change.seq))
        return False

    async def _ended(self, change: _Change) -> bool:
        """Carries out what the process itself meant to do: the key ends, unless it was confirmed after all."""
        now = self.desk.clock()
        await self.desk.store.write(lambda c: end_unconfirmed(c, change.key_id, now, change.seq))
        return await self._revoked(change)

    async def _revoked(self, change: _Change) -> bool:
        key = await self.desk.store.read(lambda c: read_key(c, change.key_id))
        return key is not None and key.revoked_at is not None
