"""Before the path: which bundle is in force. The log says it; a policy folder only offers one. What is refused, or waits for a second
person, changes nothing: the good bundle stays."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

from audit import AuditEvent, Log, LogBusy, LogUnavailable, Receipt, Stale
from gateway.activating import ACTIVATE, REFUSE, WAIT, How, last_activation, said_by, standing_at
from gateway.corridor.desk import log_errors
from gateway.corridor.inforce import InForce
from gateway.corridor.walk import ATTEMPTS, Ruled
from gateway.loading import CATALOGUE, PROBLEM, Loaded, state_of
from gateway.observe import event
from gateway.offering import Making, Offer
from gateway.policy import KeptBundles, Standing
from gateway.starting import Found, chosen_of
from gateway.upstream import Look, Places
from gateway.weighing import differences, weighed_with
from gateway.words.errors import Code, Misconfigured, Refused, Unavailable
from gateway.words.json import JsonObject
from gateway.words.widening import Widening

# Connections of bundles that were in force before: a request that began under one ends on them.
_KEPT = 3
# Problems of a refused bundle that are logged one by one; the rest are in the count.
_TOLD = 20
# How many entries may be added before it is noted again how far they were looked through: what a start after a kill reads at most.
_NOTED_EVERY = 10_000
_TURNS, _TURN_SECONDS = 50, 0.1
CHECK = "gatehouse policy check"
"""What says more than a log line may: the mistakes' own words."""
WAITS = "gatehouse policy history"
"""What says which bundle waits for a second person."""


class Bundles:
    """Keeps one bundle in force, follows the log, and watches a folder. The rooms that do not change with a bundle are given once.

    alone:  gives True to one process at a time: what a folder offers is entered by one of several.
    waives: whether the demonstration runs, which asks for no second person.
    """

    def __init__(
        self,
        folder: Path,
        making: Making,
        *,
        log: Log,
        kept: KeptBundles,
        standing: Standing,
        alone: Callable[[str], AbstractAsyncContextManager[bool]],
        waives: bool = False,
    ) -> None:
        self._folder = folder
        self._making = making
        self._log = log
        self._kept = kept
        self._standing = standing
        self._alone = alone
        self.waives = waives
        self._held: InForce | None = None
        self._turn = asyncio.Lock()
        self._seen: object = None
        self._places: list[Places] = []
        self._unentered: Offer | None = None
        self._unsure = False
        self._start: Found | None = None
        self._noted = 0
        self._now: Loaded | None = None
        self.mounts: tuple[tuple[str, ...], ...] = ()
        self.refused: tuple[str, ...] = ()
        self.waits: str | None = None

    @property
    def digest(self) -> str:
        """Of the bundle in force; empty before the first is."""
        return "" if self._now is None else self._now.digest

    @property
    def now(self) -> Loaded:
        """The bundle in force. Raises Unavailable where there is none yet."""
        if self._now is None:
            raise Unavailable(Code.NOT_READY)
        return self._now

    # --- a start -------------------------------------------------------------------------------------------------------------------

    async def first(self) -> tuple[Ruled, int]:
        """Gives the rooms of the bundle that the log stands at, at no fence yet, and up to which entry the log was looked through.

        Where no bundle was ever put in force, and where the one that was is of a program that kept none, those of the folder.
        Raises Misconfigured with what to do where it cannot be had, Unavailable.
        """
        head = await self._log.head()
        last = await standing_at(self._log, self._standing, head)
        self._noted = head.seq
        self._seen = await asyncio.to_thread(state_of, self._folder)
        folder: Loaded | Misconfigured
        try:
            folder = await self._read()
        except Misconfigured as error:
            folder = error
        chosen = await chosen_of(last, folder, self.once, self._folder.name)
        offer = self._making.offer(chosen)
        if last is not None and last.digest == chosen.digest:
            await self._kept.keep(chosen.digest, chosen.files)
            self._start = Found(folder, offer, head.fence, None, None)
        else:
            how, before = (How.FIRST, None) if last is None else (How.UPGRADE, last.digest)
            self._start = Found(folder, offer, head.fence, how, before)
        return offer.ruled, head.seq

    async def begin(self, held: InForce) -> None:
        """Puts in force what `first` gave, where the log does not say so yet; then looks at the folder as at an edit.

        Raises Unavailable.
        """
        self._held = held
        start, self._start = self._start, None
        if start is None:
            raise AssertionError("a start begins once, with what it found first")
        if start.how is None:
            await self._took(start.offer)
            await held.refresh()
        else:
            await self._put_first(held, start, start.how)
        found = start.folder
        if isinstance(found, Misconfigured):
            await self._refuse(found)
        elif found.digest != self.digest:
            if await self._standing.offered(found.digest):
                # Another came after it, or it waits: that a process begins says nothing new about it.
                self._waits(found.digest)
            else:
                await self._look_at(held, found)

    async def _look_at(self, held: InForce, loaded: Loaded) -> None:
        try:
            offer = self._making.offer(loaded)
        except Misconfigured as error:
            await self._refuse(error)
        else:
            await self._offer(held, offer)

    async def _put_first(self, held: InForce, start: Found, how: How) -> None:
        said = await asyncio.to_thread(differences, None, start.offer.loaded, ())
        fence = start.fence
        for _ in range(ATTEMPTS):
            activation = said_by(ACTIVATE, start.offer.digest, start.before, how=how, said=said)
            try:
                await self._enter(held, start.offer, activation, fence)
                return
            except Stale:
                await held.refresh()
                if self._now is not None:
                    return  # another process was first, and was followed
                fence = held.now.fence
        raise Unavailable(Code.FENCE_MOVING)

    # --- the log is followed -------------------------------------------------------------------------------------------------------

    async def follow(self, after: int, upto: int) -> Ruled | None:
        """Gives what the log put in force; fits `inforce.Follow`. Raises Unavailable where it is not to be had here."""
        last = await last_activation(self._log, after, upto)
        if last is None or last.digest == self.digest:
            return None
        offer = self._unentered
        if offer is None or offer.digest != last.digest:
            loaded = await self.once(last.digest)
            if loaded is None:
                event("bundle-missing", logging.ERROR, bundle=last.digest)
                raise Unavailable(Code.NOT_READY)
            try:
                offer = self._making.offer(loaded)
            except Misconfigured as error:  # its upstreams need what this machine was not given
                _tell(error, self.digest)
                raise Unavailable(Code.NOT_READY) from error
        await self._took(offer)
        return offer.ruled

    async def once(self, digest: str) -> Loaded | None:
        """Gives a bundle that was kept, as it was; None where it was not, or what was kept is not it or no longer loads."""
        for known in (self._now, None if self._unentered is None else self._unentered.loaded):
            if known is not None and known.digest == digest:
                return known
        files = await self._kept.find(digest)
        if files is None:
            return None
        return await asyncio.to_thread(self._making.reread, digest, files)

    # --- a folder offers -----------------------------------------------------------------------------------------------------------

    async def watch(self, held: InForce) -> None:
        """Looks at the folder once; loads it when it changed. A refusal is an entry, and the running bundle goes on."""
        now = await asyncio.to_thread(state_of, self._folder)
        if now == self._seen:
            if self._unentered is not None:
                await self._offer(held, self._unentered)
            await self._note(held)
            return
        self._seen = now
        try:
            loaded = await self._read()
        except Misconfigured as error:
            await self._refuse(error)
            return
        # One that could not be entered may yet come in force by itself: the one before it must then be entered again.
        if loaded.digest == self.digest and self._unentered is None:
            self.refused, self.waits = (), None
        else:
            await self._look_at(held, loaded)

    async def _offer(self, held: InForce, offer: Offer) -> None:
        """Puts it in force where it is proven to widen nobody's access, else says that it waits; one entry says it for all processes."""
        if (earlier := self._unentered) is not None and earlier is not offer:
            await earlier.places.close()
        self._unentered = offer
        async with self._turn, self._alone("bundle") as mine:
            if not mine:
                return  # the next round finds it done, or does it
            await held.catch_up()
            if offer.digest == self.digest and not self._unsure:
                self._unentered, self.refused, self.waits = None, (), None
                return
            before = self.now
            widenings, said = await asyncio.to_thread(weighed_with, before, offer.loaded)
            with suppress(Stale):  # the next round looks again
                if widenings and not self.waives:
                    await self._wait(held, offer, before.digest, said)
                    return
                how = How.WAIVED if widenings else How.AGAIN if offer.digest == before.digest else How.NARROW
                activation = said_by(ACTIVATE, offer.digest, before.digest, how=how, said=said | _waived(how))
                await self._enter(held, offer, activation, held.now.fence)

    async def _wait(self, held: InForce, offer: Offer, before: str, said: JsonObject) -> None:
        await self._kept.keep(offer.digest, offer.loaded.files)
        if not await self._standing.offered_against(offer.digest, before):
            with log_errors():
                receipt = await self._log.append(
                    said_by(WAIT, offer.digest, before, how="waits", said=said), fence=held.now.fence
                )
            await self._standing.offer(offer.digest, before, receipt.seq)
        self._unentered, self.refused = None, ()
        await offer.places.close()
        self._waits(offer.digest)

    def _waits(self, digest: str) -> None:
        self.waits = digest
        event("bundle-waits", logging.WARNING, bundle=digest, next=WAITS)
        event("bundle-kept", logging.WARNING, bundle=self.digest)

    async def _refuse(self, error: Misconfigured) -> None:
        self.refused, self.waits = error.problems, None
        problems: JsonObject = {"problems": len(error.problems)}
        try:
            await self._log.append(said_by(REFUSE, self.digest, None, how=REFUSE, said=problems))
        except (LogBusy, LogUnavailable):
            self._seen = None  # looked at again, until its refusal stands in the log
            raise
        _tell(error, self.digest)

    # --- a person's word -----------------------------------------------------------------------------------------------------------

    async def ready(self, digest: str) -> Offer:
        """Gives a kept bundle made ready. Raises Refused(VALUE_REFUSED) where there is none, or it could not be served by."""
        loaded = await self.once(digest)
        try:
            if loaded is not None:
                return self._making.offer(loaded)
        except Misconfigured as error:
            _tell(error, self.digest)
        raise Refused(Code.VALUE_REFUSED, field="/bundle")

    async def weighed(self, offer: Offer) -> tuple[tuple[Widening, ...], JsonObject]:
        """Gives how it could widen anybody's access beside what is in force, and what an entry says of the difference."""
        return await asyncio.to_thread(weighed_with, self.now, offer.loaded)

    async def put(self, offer: Offer, before: str, how: How, said: JsonObject) -> Receipt | None:
        """Puts it in force where `before` still is, and gives the entry; None where another is in force by now.

        Raises Unavailable: nobody can say whether the entry stands. Promises: at most one entry.
        """
        held = self._held
        if held is None:
            raise Unavailable(Code.NOT_READY)
        async with self._turn, self._mine():
            for _ in range(ATTEMPTS):
                await held.catch_up()
                if self.digest != before:
                    break
                activation = said_by(ACTIVATE, offer.digest, before, how=how, said=said | _waived(how))
                try:
                    return await self._enter(held, offer, activation, held.now.fence)
                except Stale:
                    await held.refresh()
        return None

    @asynccontextmanager
    async def _mine(self) -> AsyncIterator[None]:
        """Takes this process's turn among all. Raises Unavailable where others have it for too long."""
        for _ in range(_TURNS):
            async with self._alone("bundle") as mine:
                if mine:
                    yield
                    return
            await asyncio.sleep(_TURN_SECONDS)
        raise Unavailable(Code.NOT_READY)

    async def drop(self, offer: Offer) -> None:
        """Lets go of what was made ready and is not in force."""
        if offer.places not in self._places:
            await offer.places.close()

    # --- inside --------------------------------------------------------------------------------------------------------------------

    async def _enter(self, held: InForce, offer: Offer, activation: AuditEvent, fence: int | None) -> Receipt:
        """Puts a bundle in force by its entry, and keeps its files before. Raises Unavailable where one of both could not be done."""
        await self._kept.keep(offer.digest, offer.loaded.files)
        before = self.digest
        try:
            receipt = await held.activate(offer.ruled, activation, fence)
        except Unavailable:
            self._unsure = True
            raise
        finally:
            # Else another's came after it in the same moment, and was followed.
            if held.now.decider is offer.ruled.decider:
                await self._took(offer)
        self._unsure, self._unentered = False, None
        if activation.decision is not None and activation.decision["reason"] == How.WAIVED:
            event("approval-waived", logging.WARNING, bundle=offer.digest, kind="demo")
        with suppress(Unavailable):  # only spares a start some reading
            await self._standing.offer(offer.digest, before, receipt.seq)
        return receipt

    async def _took(self, offer: Offer) -> None:
        loaded = offer.loaded
        self.mounts = tuple(tuple(p.strip("/").split("/")) for p in loaded.catalogue.prefixes)
        if self._unentered is not None and self._unentered.digest == loaded.digest:
            self._unentered = None
        if self.waits == loaded.digest:
            self.waits = None
        self._now, self.refused = loaded, ()
        if offer.places not in self._places:
            self._places.append(offer.places)
        event("bundle-active", bundle=loaded.digest)
        while len(self._places) > _KEPT:
            await self._places.pop(0).close()

    async def _note(self, held: InForce) -> None:
        """Notes how far the log was looked through, now and then."""
        if held.seen - self._noted >= _NOTED_EVERY:
            head = await self._log.head()
            await standing_at(self._log, self._standing, head)
            self._noted = head.seq

    async def _read(self) -> Loaded:
        return await asyncio.to_thread(self._making.read, self._folder)

    async def look(self) -> Iterable[Look]:
        """Looks at the upstreams' certificate files; those of bundles that were in force before too, whose requests may still run."""
        found: dict[str, Look] = {}
        for places in tuple(self._places):
            found |= {look.upstream: look for look in await places.look()}
        return found.values()

    async def close(self) -> None:
        """Ends every connection to upstreams."""
        await asyncio.gather(*(places.close() for places in self._places))


def _waived(how: How) -> JsonObject:
    return {"waived": "demo"} if how is How.WAIVED else {}


def _tell(error: Misconfigured, kept: str) -> None:
    """Writes what was refused, where problems stand and of which kind, each place and kind once, and which bundle goes on instead."""
    rules = error.rules or (None,) * len(error.problems)
    found = Counter(
        (_at(problem), rule or _kind(problem)) for problem, rule in zip(error.problems, rules, strict=True)
    )
    said = list(found)[:_TOLD]
    left_out = len(error.problems) - sum(found[one] for one in said)
    event("bundle-refused", logging.ERROR, count=len(error.problems), left_out=left_out or None, next=CHECK)
    for at, kind in said:
        event("bundle-problem", logging.ERROR, at=at, kind=kind)
    event("bundle-kept", logging.WARNING, bundle=kept)


def _at(problem: str) -> str | None:
    place = PROBLEM.fullmatch(problem)
    return f"{place[1]}:{place[2]}" if place else None


def _kind(problem: str) -> str | None:
    """Gives the kind of what the catalogue says of itself, as `policy check` names it."""
    return CATALOGUE if problem.startswith(f"{CATALOGUE}/") else None
