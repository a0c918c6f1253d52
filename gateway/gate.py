"""The corridor: the life of one request, in the order in which it runs.

Step 1 (edge) came before: a `Call` is canonical and bounded. Whoever reads this page has read what Gatehouse does.
From step 3 on every answer, a refusal too, has its own durable entry before it leaves (invariant 1).
"""

from __future__ import annotations

from asyncio import to_thread
from dataclasses import dataclass
from functools import partial

from audit import LogBusy, LogUnavailable, Stale
from gateway.corridor import entries
from gateway.corridor.again import Again
from gateway.corridor.allowances import of_bytes, taken
from gateway.corridor.becoming import after
from gateway.corridor.replies import attachment, check, reply
from gateway.corridor.steps import whole
from gateway.corridor.walk import ATTEMPTS, Walk
from gateway.observe import here
from gateway.rooms import Answer, Prepared, Reply
from gateway.words.access import Call
from gateway.words.errors import Code, Denied, GatehouseError, Refused, Unavailable
from gateway.words.work import Addressed, Create, Delete, Download, List, Read, Update


@dataclass(frozen=True, slots=True)
class Gate(Again):
    """The corridor. Its single steps stand in corridor/steps.py and corridor/again.py; here is their order."""

    async def answer(self, call: Call) -> Reply:
        """Gives the reply to one call. Raises GatehouseError, with `entry` set once a principal was known.

        Promises: nothing that the caller learns leaves before its entry is durable, no change is forwarded before its
        intent is; after a revocation that stands before it in the log, nobody is served (`Stale` → decided anew).
        """
        walk: Walk | None = None
        touched: Walk | None = None
        try:
            for _ in range(ATTEMPTS):
                # Before the credential is looked up: what is read later can only be newer.
                ruled = self.caches.now
                walk = Walk(call, ruled, await self.identifier.identify(call))  # 2 identify
                try:
                    return await self._recorded(walk)
                except Stale:
                    await self._renew(walk)
                finally:
                    touched = walk if walk.touched else touched
            error = Unavailable(Code.FENCE_MOVING)
            if walk is not None:
                error.entry = (await self._refuse(walk, error)).ref
            raise error
        finally:
            # Once, and when nothing of the answer can hang on it any more, whatever it came to.
            if touched is not None and touched.what is not None:
                self.traps.sprung(touched.principal, call.id, touched.what.ref)

    async def _recorded(self, walk: Walk) -> Reply:
        try:
            return await self._walk(walk)
        except LogBusy as error:
            raise Unavailable(Code.LOG_BUSY, retry_after_seconds=error.retry_after_seconds) from error
        except LogUnavailable as error:
            raise Unavailable(Code.LOG_UNAVAILABLE) from error
        except GatehouseError as error:
            self._alarm(*error.alarms)
            if error.entry is None and walk.open_intent is not None and isinstance(error, Unavailable):
                raise self._unrecorded(
                    walk.open_intent
                ) from error  # it may have been done: nobody is told to try again
            if error.entry is None:
                error.entry = (await self._refuse(walk, error, walk.ruled.fence)).ref
            if walk.what is not None:
                if isinstance(error, Denied) and error.code is Code.DENIED:
                    error.told = walk.ruled.decider.told(walk.what.access, walk.what.resource)
                error.tick_seconds = walk.what.upstream.alike_seconds
            raise
        except Stale:
            raise
        except Exception as defect:  # a defect of ours is an answer too, and has its entry
            internal = GatehouseError(Code.INTERNAL)
            internal.entry = (await self._refuse(walk, internal)).ref
            # After its intent it may have been done, whatever broke: nobody is told to try again.
            after = walk.open_intent
            raise (internal if after is None else self._unrecorded(after)) from defect
        finally:
            if walk.open_intent is not None:
                self.under_way.discard(walk.open_intent.seq)

    async def _walk(self, walk: Walk) -> Reply:
        what = walk.what = walk.ruled.addresser.address(walk.call, walk.principal)  # 3 address
        walk.touch(what.ref)
        if (traced := here.get()) is not None:
            traced.about(what.access.action, (what.ref.upstream, what.ref.resource))
        asked = walk.ruled.decider.prepare(what.access, what.resource, walk.ruled.fence)
        if (denial := asked.early()) is not None:  # 5 decide, as far as it goes without the record
            walk.decision = denial
            raise Denied(denial)
        match what.work:
            case Read():
                return await self._read(walk, what, asked)
            case List():
                return await self._list(walk, what, what.work, asked)
            case Download():
                return await self._download(walk, what, asked)
            case Create() | Update() | Delete():
                async with self._once(
                    walk, what
                ) as earlier:  # a change that its caller names by a key is made once
                    if earlier is not None:
                        return await self._tell(walk, what, asked, earlier)
                    return await self._change(walk, what, what.work, asked)

    # ── reading: fetch, decide, view, record, reply ──────────────────────────────────────────────────────────────

    async def _read(self, walk: Walk, what: Addressed, asked: Prepared) -> Reply:
        await self._above(walk, what)
        answer = check(await walk.ruled.upstream.fetch(what))  # 7 work
        self._alarm(*answer.alarms)
        record = whole(answer)
        decision = await self._decide(walk, what, asked, record)  # 4 facts, 5 decide
        (view,) = await self.lens.views(what.resource, [(record, decision)], walk.principal)  # 8 view
        self._alarm(*view.alarms)
        event = entries.served(what, decision, [view], self.evidence)
        receipt = await self._serve(walk, what, event, self._takes(what, asked, [view]))  # 9 record
        document = walk.ruled.upstream.compose(what, [view], answer, following=None, total=None)
        return reply(answer.status, document, receipt, decision, answer.headers)  # 10 reply

    async def _list(self, walk: Walk, what: Addressed, work: List, asked: Prepared) -> Reply:
        if hidden := sorted(work.query.uses - asked.searchable()):
            raise Refused(Code.FIELD_NOT_SEARCHABLE, field=hidden[0])
        await self._above(walk, what)
        found = await walk.ruled.lister.gather(what, work, asked)  # 4, 5, 7: item by item
        self._alarm(*found.alarms)
        walk.touch(*(record.ref for record, _ in found.seen))
        views = await self.lens.views(what.resource, found.seen, walk.principal)  # 8
        self._alarm(*(alarm for view in views for alarm in view.alarms))
        decision = walk.decision = asked.collection()
        event = entries.served(what, decision, views, self.evidence)
        takes = self._takes(what, asked, views, searched=True)
        receipt = await self._serve(walk, what, event, takes)  # 9
        cursor = walk.ruled.lister.cursor(what, work, found.following)
        answer = found.answer
        document = walk.ruled.upstream.compose(what, views, answer, following=cursor, total=found.total)
        # What was read and is not shown took time too.
        tick = 0.0 if asked.sees_all() else what.upstream.alike_seconds
        return reply(answer.status, document, receipt, decision, answer.headers, tick_seconds=tick)  # 10

    async def _download(self, walk: Walk, what: Addressed, asked: Prepared) -> Reply:
        record, decision = await self._before(walk, what, asked, None)  # 4 facts, 5 decide
        content = await walk.ruled.upstream.content(what)  # 7 work: until here no byte was asked for
        check(Answer(content.status))
        pseudonym = await self.lens.pseudonym_of(what, None, record)
        # A digest of megabytes, meanwhile others are served.
        event = await to_thread(entries.downloaded, what, decision, content, pseudonym, self.evidence)
        shown = partial(of_bytes, what, pseudonym, decision.facts, self.evidence)
        receipt = await self._serve(walk, what, event, taken(what, asked.budgets, shown, self.evidence))  # 9
        return attachment(content, receipt, decision)  # 10 reply

    # ── changing: decide, record the intent, forward, record the outcome, reply ──────────────────────────────────

    async def _change(
        self, walk: Walk, what: Addressed, work: Create | Update | Delete, asked: Prepared
    ) -> Reply:
        match work:
            case Create():
                return await self._create(walk, what, work, asked)
            case Update():
                async with self._turn(what):
                    return await self._update(walk, what, work, asked)
            case Delete():
                async with self._turn(what):
                    return await self._delete(walk, what, work, asked)

    async def _create(self, walk: Walk, what: Addressed, work: Create, asked: Prepared) -> Reply:
        (known,) = await self.facts.floors(what.access, [None])  # 4
        decision = walk.decision = asked.decide(self.facts.of_draft(what.resource, work.draft, known))  # 5
        if not decision.allowed:
            raise Denied(decision)
        await self._above(walk, what)
        await self._named(walk, what, work.draft)
        sealed = await self.lens.seal_create(what, work.draft, decision, walk.principal)
        try:
            await self._intend(walk, what, decision, sealed, None)  # 6 record
        except BaseException:
            await self.lens.drop(sealed)  # nothing was forwarded: the pending seal has no record
            raise
        answer = await self._forward(walk, what, decision, sealed, None)  # 7
        return await self._conclude(walk, what, asked, decision, answer)

    async def _update(self, walk: Walk, what: Addressed, work: Update, asked: Prepared) -> Reply:
        before, decision = await self._before(walk, what, asked, work.condition)  # 4, 5
        sealed = await self._seal_update(walk, what, work.draft, before, decision)
        if sealed.same:
            return await self._unchanged(walk, what, asked, before, decision)
        try:
            becoming = asked.decide(await self._facts(what, after(before, sealed, work.mode)))
            # nobody moves a record out of his own reach
            if not becoming.allowed:
                walk.decision = becoming
                raise Denied(becoming)
            await self._intend(walk, what, decision, sealed, before)  # 6
        except BaseException:
            await self.lens.drop(sealed)  # nothing was forwarded, and nothing is adopted
            raise
        await self._adopt(walk, what, decision, sealed)
        answer = await self._forward(walk, what, decision, sealed, before)  # 7
        return await self._conclude(walk, what, asked, decision, answer)

    async def _delete(self, walk: Walk, what: Addressed, work: Delete, asked: Prepared) -> Reply:
        before, decision = await self._before(walk, what, asked, work.condition)  # 4, 5
        await self._intend(walk, what, decision, None, before)  # 6
        answer = await self._forward(walk, what, decision, None, before)  # 7
        return await self._conclude(walk, what, asked, decision, answer)
