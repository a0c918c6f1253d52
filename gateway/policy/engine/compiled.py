"""The compiled engine: rules found by what a request asks for, decided in pycasbin's order with pycasbin's explanation."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from gateway.policy.engine.conditions import Conditions
from gateway.policy.engine.definition import Definition
from gateway.policy.engine.direct import direct
from gateway.policy.engine.faults import Undecidable
from gateway.policy.engine.functions import Functions
from gateway.policy.engine.guards import Needing, fitting, guards
from gateway.policy.engine.index import BranchIndex
from gateway.policy.engine.matcher import Held, Plan
from gateway.policy.engine.parts import Needs, with_needs
from gateway.policy.engine.rules import ALLOW, Columns
from gateway.policy.engine.settling import Entry, Found, in_order, settling, walking
from gateway.policy.engine.verdict import Verdict

NAME = "compiled/1"
TRODDEN = 10
"""Decisions until Python has made a function's instructions ready for what they meet."""
PLACES = 40
"""Bits for a rule's place in the file; what it is sorted by stands above them."""


class CompiledEngine:
    """One model and its rules, indexed.

    Promises: the verdict and the rule are pycasbin's on every request of JSON values; where pycasbin raises, Undecidable is raised.
    Not for two threads while a rule is changed.
    """

    name = NAME

    def __init__(
        self,
        model: Definition,
        plan: Plan,
        conditions: Conditions,
        functions: Functions,
        order: Callable[[Sequence[str], int], int],
    ) -> None:
        self._width = len(model.request)
        self._blanks = ("",) * len(model.rule)
        self._eft = model.eft
        self._plan = plan
        self._conditions = conditions
        self._order = order
        self._whole = plan.whole.run
        self._guards = guards(plan.needs, plan.settled, functions)
        self._branches = [BranchIndex(branch) for branch in plan.branches]
        self._indexed = not any(branch.rest for branch in plan.branches)
        # With one branch only what the index leaves open is asked of a rule; with several nobody knows which one brought it.
        self._rest = tuple(part.run for part in plan.branches[0].rest) if len(plan.branches) == 1 else None
        self._matches = self._matches_whole if self._rest is None else self._matches_rest
        self._needing = Needing(functions) if plan.early else None
        self._evals = sorted(plan.whole.evals)
        self._settle, self._walk = settling(model.effect), walking(model.effect)
        self._direct: Callable[[Sequence[Any]], Verdict] | None = None
        if self._rest is not None:
            asked = self._matches if self._rest else None
            self._direct = direct(plan.branches[0], self._branches[0], model.effect, asked)
        self._entries: list[Entry] = []
        self._next = 0

    def decide(self, request: Sequence[Any]) -> Verdict:
        """Gives the verdict on one request; see the protocol."""
        if len(request) != self._width:
            raise Undecidable("engine.error.size")
        try:
            if not self._entries:
                return self._asked_of_all(request)
            for test in self._guards:
                if not test(request):
                    return self._asked_of_all(request)
            forced = None if self._needing is None else self._needing.asked(request)
            if self._direct is not None and not forced:
                return self._direct(request)
            return self._found(request, forced)
        except TypeError:  # a list or an object where a name belongs is equal to none, but no key either
            return self._asked_again(request)
        except Exception:  # noqa: BLE001 - whatever a value does to a comparison, pycasbin would have raised
            raise Undecidable("engine.error.raises") from None

    def _asked_again(self, request: Sequence[Any]) -> Verdict:
        try:
            return self._asked_of_all(request)
        except Exception:  # noqa: BLE001 - as in decide
            raise Undecidable("engine.error.raises") from None

    def _asked_of_all(self, request: Sequence[Any]) -> Verdict:
        if not self._entries:
            return Verdict(bool(self._whole(request, self._blanks, ())), None)
        return self._walk(request, self._entries, self._matches_whole)

    def _found(self, request: Sequence[Any], forced: Collection[Entry] | None) -> Verdict:
        allows: Found = []
        denies: Found = []
        for index in self._branches:
            prepared = index.prepare(request)
            if prepared is not None:
                if index.allowing:
                    allows += index.find(index.allowing, prepared)
                if index.denying:
                    denies += index.find(index.denying, prepared)
        if self._indexed:
            return self._settle(allows, denies)
        entries = in_order(allows + denies) if denies else in_order(allows)
        if forced:
            return self._walk(request, sorted({*forced, *entries}), self._matches_whole)
        return self._walk(request, entries, self._matches)

    def _matches_rest(self, request: Sequence[Any], row: Columns) -> bool:
        try:
            for test in self._rest or ():
                value = test(request, row, ())
                if value is False:
                    return False
                if value is not True:
                    return self._matches_whole(request, row)
        except TypeError:
            raise Undecidable("engine.error.raises") from None
        return True

    def _matches_whole(self, request: Sequence[Any], row: Columns) -> bool:
        """pycasbin takes a truth or a fraction for an answer, and raises on anything else."""
        try:
            value = self._whole(request, row, ())
        except TypeError:  # an answer; as a TypeError it would be taken for a value that is no key
            raise Undecidable("engine.error.raises") from None
        if value is True or value is False:
            return value
        if isinstance(value, float):
            return value != 0
        raise Undecidable("engine.error.raises")

    def fill(self, rows: Iterable[Columns]) -> None:
        """Adds the rows of a policy, in the file's order. Their conditions were made ready."""
        eft, order = self._eft, self._order
        adds = [index.add for index in self._branches]
        entries: list[Entry] = []
        for place, row in enumerate(rows, self._next):
            entry = order(row, place), Verdict(eft is None or row[eft] == ALLOW, row)
            entries.append(entry)
            # At once, so that a rule, its verdict and its key lie beside each other: a decision meets all of them.
            for add in adds:
                add(entry, row)
        self._next += len(entries)
        if self._needing is not None:
            for entry in entries:
                self._needing.add(self._needs(entry), entry)
        self._entries += entries
        self._entries.sort()

    def warm(self) -> None:
        """Decides once what nobody asked, by the way that most requests will take, so that the first who asks finds it trodden.

        Only where a look-up finds the rules; nothing of it stays but the processor's own memory of it.
        """
        if self._direct is None or not self._entries or not self._branches[0].columns:
            return
        needing = self._needing
        request = fitting(self._width, [*self._plan.needs, *(needing.needs if needing is not None else ())])
        if not all(test(request) for test in self._guards):
            return
        if needing is not None and needing.asked(request):
            return  # some rules would be asked one by one
        row = self._entries[0][1][1] or ()
        for column, part in self._plan.branches[0].one:
            if part.path is not None and len(part.path) == 1:
                request[int(part.path[0])] = row[column]
        held = [values for _c, values in self._plan.branches[0].many if isinstance(values, Held)]
        for one in held:
            one.stand_in(request)
        for _ in range(TRODDEN):
            with suppress(Undecidable):
                self.decide(request)
            for one in held:
                one.links.known.clear()

    def _needs(self, entry: Entry) -> Needs | None:
        needs: Needs | None = frozenset()
        row = entry[1][1] or ()
        for column in self._evals:
            condition = self._conditions.of(row[column])
            needs = with_needs(needs, condition.needs if condition.truth else None)
        return needs

    def put(self, row: Columns, place: int | None = None) -> None:
        """Adds one rule, at the end or at a place that another one left. Its condition was made ready."""
        if place is None:
            place, self._next = self._next, self._next + 1
        entry = self._order(row, place), Verdict(self._eft is None or row[self._eft] == ALLOW, row)
        insort(self._entries, entry)
        for index in self._branches:
            index.add(entry, row)
        if self._needing is not None:
            self._needing.add(self._needs(entry), entry)

    def take(self, row: Columns) -> int:
        """Takes the first rule that reads so away and gives its place. Raises KeyError where there is none."""
        allow = self._eft is None or row[self._eft] == ALLOW
        finest = max(self._branches, key=lambda index: index.columns)
        entry = next((entry for entry in finest.at(row, allow) if entry[1][1] == row), None)
        if entry is None:
            raise KeyError(row)
        del self._entries[bisect_left(self._entries, entry)]
        for index in self._branches:
            index.remove(entry, row)
        if self._needing is not None:
            self._needing.remove(self._needs(entry), entry)
        return entry[0] & ((1 << PLACES) - 1)

    def rows(self) -> list[Columns]:
        """Gives the rules as they stand in the file."""
        placed = sorted(self._entries, key=lambda entry: entry[0] & ((1 << PLACES) - 1))
        return [entry[1][1] for entry in placed]  # type: ignore[misc] # as in fill

    def __len__(self) -> int:
        return len(self._entries)
