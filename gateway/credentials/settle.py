"""Service: settles open intents about keys against the state rows. Fits `OwnChanges` of gateway.corridor.settle.

An intent to issue that has no outcome: nobody was told the secret, so the key is ended. An intent to revoke: what the row says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson

from audit import AuditEvent, Kind, OpenIntent, RecordPart
from gateway.corridor.desk import Desk
from gateway.corridor.settle import SYSTEM
from gateway.identity import key_of_intent, read_key, revoke_key
from gateway.words.control import CONTROL_UPSTREAM, KEY_CREATE, KEY_REVOKE


@dataclass(frozen=True, slots=True)
class KeySettlement:
    """Settles what `Keys` left open. reload: as there."""

    desk: Desk
    reload: Callable[[], Awaitable[None]]

    async def settle(self, intent: OpenIntent) -> bool:
        """Settles one intent; False when it is none of this service's. Raises what the log and the store raise.

        Promises: repeatable; another process doing the same at once only adds a second outcome that says the same.
        """
        action, where = intent.fields["action"], intent.fields.get("resource") or {}
        if action not in (KEY_CREATE, KEY_REVOKE) or where.get("upstream") != CONTROL_UPSTREAM:
            return False
        key_id = orjson.loads(intent.entry.parts[0].body)["reference"]
        done = await (self._issued(intent) if action == KEY_CREATE else self._revoked(key_id))
        await self.reload()
        part = RecordPart({"reference": key_id, "subject": None})
        event = AuditEvent(
            kind=Kind.OUTCOME,
            request=intent.fields["request"],
            principal=SYSTEM,
            action=action,
            purpose=intent.fields["purpose"],
            resource=where,
            records=(part,),
            of=intent.seq,
            upstream={"result": "done" if done else "not-done", "by": "reconciler"},
        )
        await self.desk.log.append(event, raises_fence=True)
        await self.desk.caches.refresh()
        return True

    async def _issued(self, intent: OpenIntent) -> bool:
        """Ends the key that may have come of it; it was never anybody's."""
        key = await self.desk.store.read(lambda c: key_of_intent(c, intent.seq))
        if key is not None:
            now = self.desk.clock()
            await self.desk.store.write(lambda c: revoke_key(c, key.id, now, intent.seq))
        return False

    async def _revoked(self, key_id: str) -> bool:
        key = await self.desk.store.read(lambda c: read_key(c, key_id))
        return key is not None and key.revoked_at is not None
