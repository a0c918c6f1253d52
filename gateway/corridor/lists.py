"""Steps 4, 5 and 7 for a list: reads on until enough visible items are found; the gateway owns the cursor.

Items that may not be seen are absent from the answer, the count and the paging. A total is given only where every item
of the collection was decided. The cursor names an upstream position and how many of its items were passed already.

What the policy hides is not even read where the upstream can leave it out (`Narrowing`): whatever it answers with is decided on all the
same, so a filter that takes too much costs time, and one that took too little would hide what he may see. A cursor outlives the policy
that its list was narrowed by: it names a place in the upstream's order, or the upstream's own position and by what it was narrowed then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import orjson

from gateway.corridor.replies import check
from gateway.rooms import Answer, FactSource, Lens, Prepared, Seals, Upstream
from gateway.words.decision import Decision, Disclosure
from gateway.words.errors import BadAnswer, Code, Refused
from gateway.words.record import Alarm, ClosedRecord
from gateway.words.work import Addressed, List, Narrowing, Run

_LABEL = "list-cursor"
_BLOCK = 256  # bytes: the length of what is sealed tells nothing of how many items were passed over
_END = b"\x80"
_LONG = 2_000  # characters: more than a caller's cursor may have, but a run may begin where none of his pages does
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: the upstream's position (None: the beginning) and how many items of that run are done.

    pairs: what the list was narrowed by, where a position is of that list alone.
    """

    position: str | None = None
    done: int = 0
    pairs: Pairs = ()


@dataclass(slots=True)
class Gathered:
    """What was found: visible items with their decisions, the run that shapes the answer, where to go on, the total if known;
    and what every run that was read was raised about."""

    first: Answer
    seen: list[tuple[ClosedRecord, Decision]] = field(default_factory=list)
    following: Place | None = None
    total: int | None = None
    alarms: list[Alarm] = field(default_factory=list)

    @property
    def answer(self) -> Answer:
        """The first run's answer around the items that are shown, of whichever run they are.

        None of its headers: they speak of the upstream's run, with the items in it that may not be seen (a count, a tag, a next page).
        """
        if self.first.page is None:
            raise AssertionError("a list was gathered from an answer without a page")
        items = tuple(record for record, _ in self.seen)
        return replace(self.first, page=replace(self.first.page, items=items), headers=())


@dataclass(frozen=True, slots=True)
class Lister:
    """Reads lists through three rooms. Holds no state between calls."""

    upstream: Upstream
    facts: FactSource
    lens: Lens
    seals: Seals

    async def gather(self, what: Addressed, work: List, asked: Prepared) -> Gathered:
        """Gives at most `limit` visible items from where the caller's cursor points.

        Reads at most the route's bound of items; when that is reached first, the answer is short and `following` goes on.
        Raises Refused(CURSOR_INVALID) for a cursor that was not made for this very question, and what the upstream raises.
        """
        start = self._place(what, work)
        narrowing = self._narrowed(what, work, asked, start)
        bound = what.route.page.bound if what.route.page else work.query.limit
        counting = work.query.count and start == Place()
        gathered: Gathered | None = None
        visible = read = 0
        here = replace(start, pairs=() if narrowing.keyed else narrowing.pairs)
        while True:
            run = _run(here, narrowing, work.query.limit - (len(gathered.seen) if gathered else 0), counting)
            answer = check(await self.upstream.page(what, work, run))
            page = answer.page
            if page is None:
                raise BadAnswer(answer.status)
            gathered = gathered or Gathered(answer)
            gathered.alarms += answer.alarms
            fresh = page.items[here.done :]
            for index, (record, decision) in enumerate(
                await self._decide(what, work, asked, fresh), start=here.done
            ):
                if decision is None:
                    continue
                if len(gathered.seen) < work.query.limit:
                    gathered.seen.append((record, decision))
                elif gathered.following is None:
                    gathered.following = _before(here, page.places, index)
                visible += 1
            read += max(len(fresh), 1)  # a run without items is work too: there might be no end of them
            following = None if page.next is None else replace(here, position=page.next, done=0)
            if (
                run.most is not None
            ):  # all that is left may be seen: it was counted, and what comes next is another page's
                gathered.total = page.total if run.count else gathered.total
                counting = False
                if following is None or len(gathered.seen) >= work.query.limit:
                    gathered.following = gathered.following or following
                    return gathered
            if following is None:
                break
            if gathered.following is not None and not counting:
                return gathered
            here = following
            if read >= bound:
                gathered.following = gathered.following or here
                return gathered
        if counting:
            gathered.total = visible
        return gathered

    def cursor(self, what: Addressed, work: List, following: Place | None) -> str | None:
        """Gives the opaque text for `following`, bound to the principal and the question; None at the end."""
        if following is None:
            return None
        said = [following.position, following.done, *([following.pairs] if following.pairs else [])]
        plain = _padded(orjson.dumps(said))
        return self.seals.seal(_LABEL, plain, _bound(what, work))

    def _place(self, what: Addressed, work: List) -> Place:
        if work.query.cursor is None:
            return Place()
        plain = self.seals.open(_LABEL, work.query.cursor, _bound(what, work))
        place = None if plain is None else _unpadded(plain)
        if place is None:
            raise Refused(Code.CURSOR_INVALID)
        position, done, *pairs = orjson.loads(place)
        return Place(position, done, tuple((name, value) for some in pairs for name, value in some))

    def _narrowed(self, what: Addressed, work: List, asked: Prepared, start: Place) -> Narrowing:
        """Gives what the list's runs are narrowed by. Raises Refused(CURSOR_INVALID) where its position is one of a list that was
        narrowed by what the policy no longer says: it would go on without what he may see since."""
        narrowing = self.upstream.narrowing(what, work, lambda named: asked.within(named=named))
        if narrowing.keyed:
            return replace(narrowing, exact=narrowing.exact and not self.facts.floored)
        if work.query.cursor is None:
            return narrowing
        if not set(start.pairs) <= set(narrowing.pairs):
            raise Refused(Code.CURSOR_INVALID)
        return Narrowing(start.pairs)

    async def _decide(
        self, what: Addressed, work: List, asked: Prepared, items: tuple[ClosedRecord, ...]
    ) -> list[tuple[ClosedRecord, Decision | None]]:
        """Gives each item with its decision, None for an item that is not to be seen in this list."""
        subjects = await self.lens.subjects_of(what.resource, items)
        floors = await self.facts.floors(what.access, subjects)
        decided: list[tuple[ClosedRecord, Decision | None]] = []
        for record, known in zip(items, floors, strict=True):
            decision = asked.decide(self.facts.of_record(what.resource, record, known))
            # An item found or ordered by a field that he does not see clear there would tell him that field.
            shown = all(decision.read.of(p) is Disclosure.CLEAR for p in work.query.uses)
            decided.append((record, decision if decision.allowed and shown else None))
        return decided


def _run(here: Place, narrowing: Narrowing, wanted: int, counting: bool) -> Run:
    """Gives the run that begins there. One of which items were passed is read as it was then: whole, by whoever kept no places.
    Beside a long position there is no room for a filter."""
    if narrowing.keyed and here.done:
        return Run(here.position)
    if narrowing.keyed and here.position is not None and len(here.position) > _LONG:
        return Run(here.position, Narrowing(keyed=True))
    if narrowing.exact:
        return Run(here.position, narrowing, most=wanted, count=counting)
    return Run(here.position, narrowing)


def _before(here: Place, places: Sequence[str] | None, index: int) -> Place:
    """Gives the place before an item of the run."""
    if places is None or index == 0:
        return replace(here, done=index)
    return Place(places[index - 1])


def _padded(plain: bytes) -> bytes:
    """Gives the bytes, an end mark and zeros up to whole blocks (ISO/IEC 7816-4)."""
    marked = plain + _END
    return marked + bytes(-len(marked) % _BLOCK)


def _unpadded(padded: bytes) -> bytes | None:
    """Gives what `_padded` was given, None for what it did not make."""
    plain, _, _ = padded.rpartition(_END)
    return plain if _padded(plain) == padded else None


def _bound(what: Addressed, work: List) -> bytes:
    """Gives a digest of who asked what: a cursor is good for that question only (limit and count may change)."""
    principal = what.access.principal
    question = [
        [party.id for party in principal.parties],
        what.access.purpose,
        what.route.name,
        work.to.path,
        sorted(work.query.passing),
    ]
    return hashlib.sha256(orjson.dumps(question)).digest()
