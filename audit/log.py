"""Steps 6 and 9 of the request path: makes entries durable. One writer thread a process, group commit, receipts after commit.

A request's task hands its event over and sleeps; the writer takes all that waits, extends the chain in one transaction and
wakes them all at once. Nothing is dropped: what cannot be queued is refused, what cannot be committed is reported.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from audit.chain import Entry, Prepared, after, link, prepare
from audit.claims import Claim, Tab, hold
from audit.errors import AuditError, EventRefused, LogBusy, LogRefused, LogUnavailable, OverBudget, Stale
from audit.event import AuditEvent, Head, OpenIntent, Receipt, StoredEntry
from audit.figures import Figures, OnOutage, Tally
from audit.intents import Intents
from audit.store.base import Batch, CommitUnknown, NotWritten, Reader, Store, StoreDown, Writer

T = TypeVar("T")
Clock = Callable[[], int]
"""Microseconds since 1970, UTC."""
Dice = Callable[[int], bytes]

_SETTLE_PAUSE_SECONDS = 0.05
_NEAR, _FAR = 256, 5_000
_SWEPT = 500
"""Rows that one step of cleaning removes from each table: some milliseconds, after the waiters were told."""
_SWEEP_SECONDS = 60.0


def system_clock() -> int:
    """Microseconds since 1970, UTC, by the machine's clock."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """max_waiting: events queued or being written, above which `append` answers LogBusy. max_batch: events a commit.
    settle_seconds: how long to ask for the fate of a commit whose answer was lost before giving the batch up."""

    max_waiting: int = 8192
    max_batch: int = 1024
    settle_seconds: float = 5.0
    retry_after_seconds: int = 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Job:
    event: Prepared
    fence: int | None
    raises_fence: bool
    claims: Sequence[Claim]
    receipt: asyncio.Future[Receipt]


_Result = tuple[_Job, Receipt | Exception]


class WentBack(AuditError):
    """The store's head is behind one that this process has seen: rolled back, or another store."""


class Log:
    """An append-only hash chain in a store. Made by `open`, used from that one event loop, ended by `close`."""

    def __init__(self, store: Store, clock: Clock, dice: Dice, limits: Limits, outage: OnOutage) -> None:
        self._clock = clock
        self._dice = dice
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._writer: Writer = store.writer()
        self._reader: Reader = store.reader()
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="audit-reader")
        self._intents = Intents(self._reader)
        self._queue: deque[_Job] = deque()
        self._flight: Sequence[_Job] = ()  # taken from the queue and not answered yet
        self._waiting = 0
        self._nudged = False
        self._wake = threading.Event()
        self._closing = False
        self._ended: str | None = None  # why no append is possible any more
        self._seen: Head | None = None  # compared with the store's head, never used in place of it
        self._fence = 0
        self._sweep_at = 0.0  # monotonic; the first look follows the first batch
        self._tally = Tally(lambda *said: self._post(outage, *said))
        self._thread: threading.Thread | None = None

    @classmethod
    async def open(
        cls,
        store: Store,
        *,
        create: bool = False,
        clock: Clock = system_clock,
        dice: Dice = os.urandom,
        max_waiting: int = 8192,
        limits: Limits | None = None,
        outage: OnOutage = lambda *_: None,
    ) -> Log:
        """A log ready to append to.

        create: makes a log where there is none. Without it a missing log is refused, since a lost volume is not an empty log.
        outage: is told on the event loop when commits begin to fail and when they no longer do.
        Raises: LogRefused with what to do. Promises: the store's durability and guards were verified.
        """
        log = cls(store, clock, dice, limits or Limits(max_waiting=max_waiting), outage)
        opened: asyncio.Future[Head] = log._loop.create_future()
        log._thread = threading.Thread(
            target=log._main, args=(create, opened), name="audit-writer", daemon=True
        )
        log._thread.start()
        try:
            await opened
        except BaseException:
            await log.close()
            raise
        return log

    @property
    def fence(self) -> int:
        """The newest fence that this process has seen; a decision is made at it."""
        return self._fence

    def figures(self) -> Figures:
        """What this process's log did so far, and whether it can go on. Costs a copy; asked a few times a minute."""
        return self._tally.figures(waiting=self._waiting, ended=self._ended is not None or self._closing)

    async def append(
        self,
        event: AuditEvent,
        *,
        fence: int | None = None,
        raises_fence: bool = False,
        claims: Sequence[Claim] = (),
    ) -> Receipt:
        """Makes one entry and returns once it is durable.

        fence:        the fence the decision behind it was made at.
        raises_fence: the entry changes what processes cache; the log's fence rises by one in the same commit.
        claims:       what it takes of allowances: counted in the same commit, all of them or none, exactly over all who share the log.
        Raises: Stale (nothing written), OverBudget (nothing written, nothing counted), EventRefused (nothing written), LogBusy
        (nothing queued), LogUnavailable (nothing
        acknowledged; where even the fate of the commit is unknown the entry may turn up).
        Promises: entries of one caller that awaits each receipt are in that order. A cancelled caller loses its receipt,
        never another's, and its entry may still be written.
        """
        prepared = prepare(event, self._dice)
        if claims:
            hold(claims)
        if self._ended is not None or self._closing:
            raise LogUnavailable(self._ended or "the log is closing")
        if self._waiting >= self._limits.max_waiting:
            self._tally.busy += 1
            raise LogBusy(self._limits.retry_after_seconds)
        job = _Job(prepared, fence, raises_fence, claims, self._loop.create_future())
        self._waiting += 1
        self._queue.append(job)
        if not self._nudged:
            # Not at once, but after every task that is ready now has had its turn: they are woken together by one commit,
            # and appending one by one under a running writer would cost a switch of the interpreter's lock for each.
            self._nudged = True
            self._loop.call_soon(self._nudge)
        return await job.receipt

    async def head(self) -> Head:
        """The head as it stands in the store now. Raises: LogUnavailable."""
        return await self._read(self._reader.head)

    async def entries(self, after: int, limit: int) -> list[StoredEntry]:
        """At most `limit` entries with a seq above `after`, in order. Raises: LogUnavailable."""
        return await self._read(lambda: self._reader.entries(after, limit))

    async def latest(self, mark: bytes, after: int, upto: int) -> StoredEntry | None:
        """The last entry above `after`, up to `upto`, in whose canonical bytes `mark` stands; None where none has it.

        Reads backwards from `upto`, bodies alone: what is near costs little however long the log is. Raises: LogUnavailable.
        """
        chunk = _NEAR
        while upto > after:
            start = max(after, upto - chunk)
            rows = await self._read(partial(self._reader.bodies, start, upto - start))
            for seq, body in reversed(rows):
                if mark in body:
                    return await self.entry(seq)
            upto, chunk = start, min(chunk * 4, _FAR)
        return None

    async def entry(self, seq: int) -> StoredEntry | None:
        """One entry, or None where the log does not have it. Raises: LogUnavailable."""
        found = await self.entries(seq - 1, 1)
        return found[0] if found and found[0].seq == seq else None

    async def open_intents(self) -> list[OpenIntent]:
        """Intents, of any process, that no outcome, served or denied entry names in its `of`; those under way included.

        Reads only what was added since the last call. Raises: LogUnavailable.
        """
        return await self._read(self._intents.open)

    async def settling(self, intent: int) -> StoredEntry | None:
        """The entry that settled an intent, the first one that did; None while it is open. Raises: LogUnavailable."""
        seq = await self._read(lambda: self._intents.settling(intent))
        return None if seq is None else await self.entry(seq)

    async def close(self) -> None:
        """Writes what is queued, then lets the store go. Repeatable; later appends get LogUnavailable."""
        if not self._closing:
            self._closing = True
            # The reader first: SQLite clears its WAL away when the last connection closes, and that must be the writer's.
            await self._loop.run_in_executor(self._reading, self._reader.close)
            self._reading.shutdown(wait=False)
        self._wake.set()
        if (thread := self._thread) is not None:
            await asyncio.to_thread(thread.join)
            self._thread = None

    async def _read(self, question: Callable[[], T]) -> T:
        if self._closing:
            raise LogUnavailable("the log is closed")
        try:
            return await self._loop.run_in_executor(self._reading, question)
        except StoreDown as error:
            raise LogUnavailable("the log's store cannot be read") from error

    # From here on: the writer thread.

    def _main(self, create: bool, opened: asyncio.Future[Head]) -> None:
        try:
            try:
                head = self._writer.open(self._dice(16).hex() if create else None)
            except LogRefused as error:
                self._post(_settle_future, opened, error)
                return
            self._seen, self._fence = head, head.fence
            self._post(_settle_future, opened, head)
            while jobs := self._take():
                results = self._commit(jobs)
                self._post(self._answer, results)
                self._flight = ()
                # After the waiters are on their way: nobody waits for a count.
                self._tally.note((job.event.told, _error_of(result)) for job, result in results)
                self._keep_cursor()
                self._sweep()
            self._keep_cursor(closing=True)
        finally:
            # Reached on a bug too: then the thread ends with its traceback and every waiter is told, none hangs.
            self._ended = self._ended or "the log is closed"
            self._writer.close()
            self._post(self._abandon, opened)

    def _take(self) -> list[_Job]:
        """What waits, at most a batch of it; sleeps while nothing does; empty once closing and drained."""
        while not (self._closing or self._ended):
            # For the loop's word, though something may lie here already: what one turn of the loop brings makes one commit.
            self._wake.wait()
            self._wake.clear()
            if self._queue:
                break
        jobs = [self._queue.popleft() for _ in range(min(len(self._queue), self._limits.max_batch))]
        if self._queue:
            self._wake.set()  # its word was for these too
        self._flight = jobs
        return jobs

    def _commit(self, jobs: Sequence[_Job]) -> list[_Result]:
        """One transaction for all of `jobs`; each job's receipt or error."""
        results: list[_Result] = []
        written: list[Batch] = []
        claims = [claim for job in jobs if job.claims for claim in job.claims]
        tab = Tab(claims, self._clock) if claims else None

        def build(head: Head) -> Batch | None:
            results.clear()
            written.clear()
            self._compare(head)
            batch = self._link(head, jobs, results, tab)
            if batch is not None:
                written.append(batch)
            return batch

        try:
            self._writer.extend(build, tab)
        except CommitUnknown as error:
            if (failure := self._settle(written[0].entries[-1])) is not None:
                failure.__cause__ = failure.__cause__ or error
                return [(job, failure) for job in jobs]
        except WentBack as error:
            self._ended = "the log went back behind what it had confirmed: verify it, then start again"
            return [(job, _unavailable(error, self._ended)) for job in jobs]
        except (NotWritten, LogRefused) as error:
            return [(job, _unavailable(error)) for job in jobs]
        if written:
            self._compare(written[0].head)
        return results

    def _link(
        self, head: Head, jobs: Sequence[_Job], results: list[_Result], tab: Tab | None
    ) -> Batch | None:
        # Where something is counted, the windows were found by a time, and the entries have the same.
        now = after(head, self._clock()) if tab is None else tab.now
        entries: list[Entry] = []
        for job in jobs:
            if job.fence is not None and job.fence != head.fence:
                results.append((job, Stale(head.fence)))
                continue
            if tab is not None and job.claims and (over := tab.over(job.claims)):
                results.append((job, OverBudget(over)))
                continue
            try:
                entry, head = link(head, job.event, now, head.fence + job.raises_fence)
            except EventRefused as error:
                results.append((job, error))
                continue
            if tab is not None:
                tab.take(job.claims)
            entries.append(entry)
            results.append((job, Receipt(entry.seq, head.hash, now, head.fence)))
        return Batch(entries, head, None if tab is None else tab.counts()) if entries else None

    def _compare(self, head: Head) -> None:
        """Notes a head that is in the store. Raises: WentBack where it is behind or beside one that was there before."""
        seen = self._seen
        if seen is not None and (
            head.log != seen.log
            or head.seq < seen.seq
            or head.fence < seen.fence
            or (head.seq == seen.seq and head.hash != seen.hash)
        ):
            raise WentBack("the log went back")
        self._seen = head
        self._fence = head.fence

    def _settle(self, last: Entry) -> LogUnavailable | None:
        """Finds out, before anything else is written, what became of a batch. None: it is there, durably."""
        deadline = time.monotonic() + self._limits.settle_seconds
        while True:
            try:
                there = self._writer.is_written(last)
            except (StoreDown, LogRefused) as error:
                if time.monotonic() >= deadline:
                    return _unavailable(error)
                time.sleep(_SETTLE_PAUSE_SECONDS)
            else:
                return None if there else LogUnavailable("the log could not commit; nothing was written")

    def _keep_cursor(self, *, closing: bool = False) -> None:
        if (due := self._intents.due(closing)) is not None:
            try:
                self._writer.save_cursor(Intents.NAME, *due)
            except (NotWritten, LogRefused):
                return  # only speed is lost: the next process reads from the older cursor
            self._intents.kept(due[0])

    def _sweep(self) -> None:
        """Empties what ended, a step now and then: nobody waits for it, and the next batch only as long as a step takes."""
        if time.monotonic() < self._sweep_at:
            return
        try:
            more = self._writer.sweep(_SWEPT)
        except (NotWritten, LogRefused):
            more = False  # only room is lost; asked again later
        self._sweep_at = time.monotonic() + (0.0 if more else _SWEEP_SECONDS)

    def _post(self, call: Callable[..., None], *values: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *values)

    # From here on: the event loop again.

    def _nudge(self) -> None:
        self._nudged = False
        self._wake.set()

    def _answer(self, results: Sequence[_Result]) -> None:
        self._waiting -= len(results)
        for job, result in results:
            _settle_future(job.receipt, result)

    def _abandon(self, opened: asyncio.Future[Head]) -> None:
        failure = LogUnavailable(self._ended or "the log is closed")
        _settle_future(opened, failure)
        left = [*self._flight, *(self._queue.popleft() for _ in range(len(self._queue)))]
        self._answer([(job, failure) for job in left])


def _settle_future(future: asyncio.Future[T], result: T | Exception) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _error_of(result: Receipt | Exception) -> Exception | None:
    return result if isinstance(result, Exception) else None


def _unavailable(cause: AuditError, said: str | None = None) -> LogUnavailable:
    failure = LogUnavailable(said or str(cause))
    failure.__cause__ = cause
    return failure
