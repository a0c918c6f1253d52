"""Steps 9 and 10 of whatever shows a record: its entry, what it takes of the budgets that hold, and what is told where one is used up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from audit import AuditEvent, EventRefused, LogBusy, LogUnavailable, OverBudget, Receipt, Stale
from gateway.corridor import entries
from gateway.corridor.allowances import Once, Taken, of_views, raised_once, taken
from gateway.corridor.replies import reply
from gateway.corridor.steps import Steps
from gateway.corridor.walk import Walk
from gateway.rooms import Answer, Prepared, Reply
from gateway.words.decision import Decision
from gateway.words.record import ClosedRecord, View
from gateway.words.resource import Verb, Versioning
from gateway.words.work import Addressed


@dataclass(frozen=True, slots=True)
class Showing(Steps):
    """What is done at the end of the path. None of it shows anything before its entry is durable."""

    async def _serve(self, walk: Walk, what: Addressed, event: AuditEvent, takes: Taken) -> Receipt:
        """Step 9 of what is about to be shown: its entry, and what it takes of the budgets that hold, in one.

        Raises Refused(OVER_BUDGET), recorded, where it would exceed one: nothing was counted, and nothing may be shown.
        """
        try:
            return await self.log.append(event, fence=walk.ruled.fence, claims=takes.claims)
        except OverBudget as met:
            error = takes.refusal(met.over, what.access.time)

            async def refuse(once: Once) -> Receipt:
                error.alarms = tuple(once.values())
                return await self._refuse(walk, error, walk.ruled.fence, tuple(once))

            receipt, _ = await raised_once(takes.once(met.over, what, self.evidence), refuse)
            error.entry = receipt.ref
            raise error from None

    async def _unshown(
        self, what: Addressed, event: AuditEvent, takes: Taken, why: Exception, fence: int | None = None
    ) -> Receipt:
        """Records what is told without the record, and raises the alarm where a budget was the reason."""
        if not isinstance(why, OverBudget):
            return await self.log.append(event, fence=fence)

        async def append(once: Once) -> Receipt:
            return await self.log.append(event, fence=fence, claims=tuple(once))

        receipt, alarms = await raised_once(takes.once(why.over, what, self.evidence), append)
        self._alarm(*alarms)
        return receipt

    def _takes(
        self, what: Addressed, asked: Prepared, views: Iterable[View], *, searched: bool = False
    ) -> Taken:
        """Gives what showing these takes of the budgets that hold."""
        shown = tuple(views)
        return taken(
            what,
            asked.budgets,
            lambda: of_views(what, shown, self.evidence),
            self.evidence,
            searched=searched,
        )

    async def _unchanged(
        self, walk: Walk, what: Addressed, asked: Prepared, before: ClosedRecord, decision: Decision
    ) -> Reply:
        """Answers a write that would change nothing: nothing is sent, what he may see is shown. Who may not read it is told no version.

        Who is over a budget is told what he would be told of a change that was made: else he could guess, and see which guess was right.
        """
        unseen = entries.unchanged(what, decision, self.evidence)
        if not self._may_read(walk, what, decision):
            return reply(204, None, await self.log.append(unseen, fence=walk.ruled.fence), decision)
        views = await self.lens.views(what.resource, [(before, decision)], walk.principal)
        self._alarm(*(alarm for view in views for alarm in view.alarms))
        event = entries.served(what, decision, views, self.evidence)
        takes = self._takes(what, asked, views)
        try:
            receipt = await self.log.append(event, fence=walk.ruled.fence, claims=takes.claims)
        except OverBudget as met:
            receipt = await self._unshown(what, unseen, takes, met, walk.ruled.fence)
            return reply(204, None, receipt, decision)
        versions = walk.ruled.upstream.version_headers(what, before)
        document = walk.ruled.upstream.compose(what, views, Answer(200, before), following=None, total=None)
        return reply(200, document, receipt, decision, versions)

    async def _conclude(
        self, walk: Walk, what: Addressed, asked: Prepared, decision: Decision, answer: Answer
    ) -> Reply:
        """Shows what came of a change, as far as he may see the record as it is now, and records the outcome.

        What the upstream accepted and may do yet (202) is recorded as just that; a create's seal is kept until its record is seen.
        """
        view: View | None = None
        seen = decision
        if answer.record is not None:
            now = asked.decide(await self._facts(what, answer.record))
            if now.allowed and self._may_read(walk, what, now):
                (view,) = await self.lens.views(what.resource, [(answer.record, now)], walk.principal)
                seen = now
                self._alarm(*view.alarms)
        accepted = answer.status == 202
        said: dict[str, str | int | bool] = {
            "result": "accepted" if accepted else "done",
            "status": answer.status,
        }
        if what.resource.versioning is Versioning.NONE and what.route.verb in (Verb.UPDATE, Verb.DELETE):
            said["unconditional"] = True
        takes = self._takes(what, asked, [view] if view else [])
        try:
            try:
                event = entries.outcome(
                    what, seen, walk.intent.seq, said, view, self.evidence, answer.created
                )
                fence = walk.ruled.fence if view else None
                receipt = await self.log.append(event, fence=fence, claims=takes.claims)  # 9
                decision = seen
            except (EventRefused, Stale, OverBudget) as why:
                # Something was revoked since his intent, the record is more than an entry can hold, or he was shown as much as he
                # may be. The change is done and is recorded; of the record he is shown nothing.
                view = None
                event = entries.outcome(
                    what, decision, walk.intent.seq, said, None, self.evidence, answer.created
                )
                receipt = await self._unshown(what, event, takes, why)
        except (LogBusy, LogUnavailable) as error:
            raise self._unrecorded(walk.intent) from error
        document = (
            walk.ruled.upstream.compose(what, [view], answer, following=None, total=None) if view else None
        )
        status = answer.status if document is not None or answer.status in (201, 202) else 204
        # Without a view he is told no version either; of what he made himself, where it is.
        passing = answer.headers
        if view is None:
            passing = tuple(h for h in passing if h[0] == "location" and answer.created is not None)
        return reply(status, document, receipt, decision, passing)  # 10
