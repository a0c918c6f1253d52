"""Service: settles open intents about bundles against the log. Fits `OwnChanges` of gateway.corridor.settle.

Whether a bundle came in force says the log: an activation names the intent that it was made for. Where there is none, nothing was done
and nothing will be: what was filed and nobody was told of, and what was confirmed and not done, has ended and is filed anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from audit import AuditEvent, Kind, Log, OpenIntent, RecordPart
from gateway.activating.entries import activations
from gateway.approvals import approval_of_intent, execute_approval, lapse_approval, read_approval
from gateway.corridor.desk import Desk
from gateway.corridor.settle import SYSTEM
from gateway.words.approval import Approval
from gateway.words.control import CONTROL_UPSTREAM, POLICY_ACTIVATE, POLICY_APPROVE


@dataclass(frozen=True, slots=True)
class ActivationSettlement:
    """Settles what `Activating` left open."""

    desk: Desk
    log: Log

    async def settle(self, intent: OpenIntent) -> bool:
        """Settles one intent; False when it is none of this service's. Raises what the log and the store raise.

        Promises: repeatable; another process doing the same at once only adds a second outcome that says the same.
        """
        said: Mapping[str, Any] = intent.fields
        where = said.get("resource") or {}
        if (
            said["action"] not in (POLICY_ACTIVATE, POLICY_APPROVE)
            or where.get("upstream") != CONTROL_UPSTREAM
        ):
            return False
        reference = orjson.loads(intent.entry.parts[0].body)["reference"]
        entry = await self._done_by(intent.seq)
        approval = await self._approval(intent.seq, reference)
        if approval is not None:
            name, now = approval.id, self.desk.clock()
            if entry is None:
                await self.desk.store.write(lambda c: lapse_approval(c, name, now, intent.seq))
            else:
                seq = entry
                await self.desk.store.write(lambda c: execute_approval(c, name, seq))
        await self.log.append(
            AuditEvent(
                kind=Kind.OUTCOME,
                request=said["request"],
                principal=SYSTEM,
                action=said["action"],
                purpose=said["purpose"],
                resource=said["resource"],
                records=(RecordPart({"reference": reference, "subject": None}),),
                of=intent.seq,
                upstream={"result": "not-done" if entry is None else "done", "by": "reconciler"},
            ),
            raises_fence=True,
        )
        return True

    async def _approval(self, intent: int, reference: str) -> Approval | None:
        found = await self.desk.store.read(lambda c: approval_of_intent(c, intent))
        return found or await self.desk.store.read(lambda c: read_approval(c, reference))

    async def _done_by(self, intent: int) -> int | None:
        """Gives the activation that was made for that intent, None where there is none."""
        async for entry, part in activations(self.log, intent, (await self.log.head()).seq):
            if part.get("intent") == intent:
                return entry.seq
        return None
