"""Service: a credential, or a person, is frozen by the gateway because a decoy was touched, and given free by who has the right to.

Order, as of a revocation: intent entry → state row → this process reads anew → outcome entry, which raises the fence: no process serves
him after it, in log order. Giving free is the same the other way round, decided like any request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from audit import AuditEvent, Kind, OpenIntent, Receipt, RecordPart
from gateway.corridor.desk import Asker, Desk, Visit
from gateway.corridor.settle import SYSTEM
from gateway.identity import Freeze, freezes_that_hold, insert_freeze, is_lifted_by, lift_freezes
from gateway.words.control import CONTROL_FREEZE, CONTROL_UPSTREAM, FREEZE_LIFT, FREEZE_LIST, FREEZE_MAKE
from gateway.words.decision import Disclosure
from gateway.words.errors import Code, Refused, Unavailable
from gateway.words.json import JsonObject
from gateway.words.principal import Principal

_FREEZES = {"upstream": CONTROL_UPSTREAM, "type": CONTROL_FREEZE.name}


@dataclass(frozen=True, slots=True)
class Frozen:
    """Who is frozen, as the asker may see it."""

    items: tuple[JsonObject, ...]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Freezes:
    """The service. reload: reads this process's credentials anew, without the log."""

    desk: Desk
    reload: Callable[[], Awaitable[None]]

    async def freeze(self, who: str, request: str) -> None:
        """Freezes a key or a person, for the request that touched a decoy; nothing where he is frozen already.

        Raises what the log and the store raise; repeatable, and where it breaks off after its intent `settle` goes on with it.
        """
        if any(one.who == who for one in await self.desk.store.scan(freezes_that_hold)):
            return
        part = RecordPart({"verb": "freeze", "reference": who, "subject": None})
        event = AuditEvent(Kind.INTENT, request, SYSTEM, FREEZE_MAKE, resource=_FREEZES, records=(part,))
        intent = (await self.desk.log.append(event)).seq
        await self._carry_out(who, intent)
        await self._conclude(request, FREEZE_MAKE, None, who, intent, {"result": "done"})

    async def lift(self, asker: Asker, read: Callable[[], str]) -> Receipt:
        """Gives a credential, or a person, free again. `read` gives whom; it runs once the asker is known.

        Raises what `read` raises, Denied, Refused(NOT_FOUND) where he is not frozen, Unavailable (OUTCOME_UNRECORDED).
        """

        async def work(visit: Visit) -> Receipt:
            visit.decide(self.desk.clock())
            who = read()
            if not any(one.who == who for one in await self.desk.store.scan(freezes_that_hold)):
                raise Refused(Code.NOT_FOUND)
            visit.record = who
            part = {"verb": "lift", "reference": who, "subject": None}
            intent = await self.desk.intend(visit, part)
            now = self.desk.clock()
            await self.desk.write(visit, lambda c: lift_freezes(c, who, now, intent))
            receipt = await self.desk.conclude(visit, "done")
            await self._catch_up()
            return receipt

        return await self.desk.attend(asker, FREEZE_LIFT, CONTROL_FREEZE, work)

    async def list(self, asker: Asker) -> Frozen:
        """Gives who is frozen, oldest first, each with the members that the decision shows clear. Raises Denied, Unavailable."""

        async def work(visit: Visit) -> Frozen:
            decision = visit.decide(self.desk.clock())
            held = await self.desk.store.scan(freezes_that_hold)
            clear = [name for name in ("who", "since") if decision.read.of(f"/{name}") is Disclosure.CLEAR]
            items = tuple(
                {name: value for name, value in _shown(one).items() if name in clear} for one in held
            )
            fields = {"clear": [f"/{name}" for name in sorted(clear)]}
            parts = [{"reference": one.who, "subject": None, "fields": fields} for one in held]
            receipt = await self.desk.log.append(visit.event(Kind.SERVED, parts), fence=visit.ruled.fence)
            return Frozen(items, receipt)

        return await self.desk.attend(asker, FREEZE_LIST, CONTROL_FREEZE, work)

    async def settle(self, intent: OpenIntent) -> bool:
        """Settles an open intent; False when it is none of this service's. Fits `OwnChanges`. Raises what log and store raise.

        A freeze is carried out, whatever broke off: the more restrictive state holds. A lifting is what the rows say.
        """
        said: Mapping[str, Any] = intent.fields
        where = said.get("resource") or {}
        action = said["action"]
        if action not in (FREEZE_MAKE, FREEZE_LIFT) or where.get("upstream") != CONTROL_UPSTREAM:
            return False
        who = orjson.loads(intent.entry.parts[0].body)["reference"]
        done = True
        if action == FREEZE_MAKE:
            await self._carry_out(who, intent.seq)
        else:
            done = await self.desk.store.read(lambda c: is_lifted_by(c, intent.seq))
            await self.reload()
        result = {"result": "done" if done else "not-done", "by": "reconciler"}
        await self._conclude(said["request"], action, said["purpose"], who, intent.seq, result)
        return True

    async def _carry_out(self, who: str, intent: int) -> None:
        freeze = Freeze(who, self.desk.clock(), intent)
        await self.desk.store.write(lambda c: insert_freeze(c, freeze))
        await self.reload()

    async def _conclude(
        self, request: str, action: str, purpose: str | None, who: str, intent: int, result: Mapping[str, str]
    ) -> None:
        """Records what became of it, by the process itself, and raises the fence."""
        event = AuditEvent(
            kind=Kind.OUTCOME,
            request=request,
            principal=SYSTEM,
            action=action,
            purpose=purpose,
            resource=_FREEZES,
            records=(RecordPart({"reference": who, "subject": None}),),
            of=intent,
            upstream=result,
        )
        await self.desk.log.append(event, raises_fence=True)
        await self._catch_up()

    async def _catch_up(self) -> None:
        try:
            await self.desk.caches.refresh()
        except Unavailable:
            return  # as of a key: the fence has risen, and whoever is stale reads anew


def held_by(principal: Principal) -> str | None:
    """Gives who is frozen for what a principal did: the person, or the key where it acts for nobody. None for a system principal.

    One application serves a whole branch: frozen with the one person who asked through it, it would stop all others.
    """
    if principal.person is not None:
        return principal.person.id
    how, _, key = principal.proven[0].partition(":")
    return key if how in ("api-key", "certificate", "access-token") and key else None


def _shown(freeze: Freeze) -> JsonObject:
    since = freeze.since.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"who": freeze.who, "since": since}
