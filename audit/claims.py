"""What an entry takes of an allowance, counted in the entry's own transaction: pure, values in and values out.

A count belongs to a window of fixed length, aligned to 1970 in UTC, in which the entry's own time lies. The log's time never goes back and
is one for all who share the log, so a clock that goes back opens no window again, and processes whose clocks differ count in the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from audit.canon import MAX_INTEGER
from audit.chain import after, timestamp
from audit.errors import EventRefused
from audit.event import Head

MAX_KEY_BYTES = 64
MAX_MEMBERS = 10_000
MAX_WINDOW_SECONDS = 366 * 24 * 3600
_SECOND = 1_000_000

Window = tuple[bytes, str]
"""A counter, and the time at which one of its windows ends."""
Member = tuple[bytes, str, bytes]
"""A counter, a window's end, and something that was counted in it."""


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """What one entry takes of one allowance.

    counter: which allowance: opaque bytes, the caller's keyed digest. seconds: the length of its windows. most: what is allowed in one.
    members: opaque names of distinct things; one that this window counted already costs nothing, another costs one.
    amount:  what it costs besides.
    """

    counter: bytes
    seconds: int
    most: int
    members: tuple[bytes, ...] = ()
    amount: int = 0

    def __repr__(self) -> str:
        return f"Claim({len(self.members)} members, {self.amount}, at most {self.most} in {self.seconds} s)"


@dataclass(frozen=True, slots=True)
class Over:
    """An allowance that an entry would have exceeded: the claim, and when the window ends, as an entry's time is written."""

    claim: Claim
    ends: str


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """What must be known of the store before a batch can be linked."""

    windows: Sequence[Window]
    members: Sequence[Member]


@dataclass(frozen=True, slots=True, repr=False)
class Counts:
    """What a batch leaves behind. opened, raised: windows with their counts, those that had none and those that had."""

    opened: Sequence[tuple[Window, int]] = ()
    raised: Sequence[tuple[Window, int]] = ()
    members: Sequence[Member] = ()


@dataclass(slots=True, repr=False)
class Tab:
    """The counts of one transaction as they grow: `ask`, `know` what the store answered, then claim by claim.

    Claims of one batch see each other: what an earlier entry of it took is taken.
    """

    claims: Sequence[Claim]
    clock: Callable[[], int]
    now: str = ""
    _ends: dict[int, str] = field(default_factory=dict)  # of windows by their length, at `now`
    _used: dict[Window, int] = field(default_factory=dict)
    _there: frozenset[Window] = frozenset()
    _members: set[Member] = field(default_factory=set)
    _fresh: list[Member] = field(default_factory=list)
    _touched: dict[Window, None] = field(default_factory=dict)

    def ask(self, head: Head) -> Asked:
        """Begins anew behind a head, at the time that its next entries will have, and gives what the store is to be asked."""
        self.now, self._ends = after(head, self.clock()), {}
        windows = {self._window(claim) for claim in self.claims}
        members = {(*self._window(claim), member) for claim in self.claims for member in claim.members}
        # In one order, so that two who ask for the same rows touch them alike.
        return Asked(sorted(windows), sorted(members))

    def know(self, used: Mapping[Window, int], members: Iterable[Member]) -> None:
        """Takes what the store holds of what was asked; what it does not hold is nothing yet."""
        self._used, self._there = dict(used), frozenset(used)
        self._members = set(members)
        self._fresh, self._touched = [], {}

    def over(self, claims: Sequence[Claim]) -> tuple[Over, ...]:
        """Gives what one entry's claims would exceed; empty: all of them fit, and `take` may follow. Changes nothing."""
        costs = self._costs(claims)
        return tuple(
            Over(claim, window[1])
            for claim in claims
            # What costs nothing is never refused: an allowance that was lowered meanwhile takes back nothing that was shown.
            if (cost := costs[window := self._window(claim)])
            and self._used.get(window, 0) + cost > claim.most
        )

    def take(self, claims: Sequence[Claim]) -> None:
        """Counts one entry's claims, which fit."""
        for window, cost in self._costs(claims).items():
            if cost:
                self._used[window] = self._used.get(window, 0) + cost
                self._touched[window] = None
        for claim in claims:
            for member in claim.members:
                if (one := (*self._window(claim), member)) not in self._members:
                    self._members.add(one)
                    self._fresh.append(one)

    def counts(self) -> Counts:
        """Gives what the store is to keep."""
        taken = [(window, self._used[window]) for window in self._touched]
        return Counts(
            [one for one in taken if one[0] not in self._there],
            [one for one in taken if one[0] in self._there],
            self._fresh,
        )

    def _costs(self, claims: Sequence[Claim]) -> dict[Window, int]:
        costs: dict[Window, int] = {}
        fresh: set[Member] = set()
        for claim in claims:
            window = self._window(claim)
            new = {(*window, member) for member in claim.members} - self._members - fresh
            fresh |= new
            costs[window] = costs.get(window, 0) + len(new) + claim.amount
        return costs

    def _window(self, claim: Claim) -> Window:
        if (end := self._ends.get(claim.seconds)) is None:
            end = self._ends[claim.seconds] = ends(self.now, claim.seconds)
        return claim.counter, end


def ends(now: str, seconds: int) -> str:
    """Gives when the window of that length ends in which an entry's time lies. That moment itself is the next one's."""
    moment = int(datetime.fromisoformat(now).timestamp())
    return timestamp((moment // seconds + 1) * seconds * _SECOND)


def hold(claims: Sequence[Claim]) -> None:
    """Raises EventRefused for a claim that cannot be counted."""
    for claim in claims:
        keys = (claim.counter, *claim.members)
        if not all(type(key) is bytes and 0 < len(key) <= MAX_KEY_BYTES for key in keys):
            raise EventRefused(f"a claim's counter and members are 1 to {MAX_KEY_BYTES} bytes")
        if len(claim.members) > MAX_MEMBERS:
            raise EventRefused(f"a claim has at most {MAX_MEMBERS} members")
        if not 0 < claim.seconds <= MAX_WINDOW_SECONDS:
            raise EventRefused(f"a claim's window is 1 to {MAX_WINDOW_SECONDS} seconds")
        if not (0 <= claim.most <= MAX_INTEGER and 0 <= claim.amount <= MAX_INTEGER):
            raise EventRefused("a claim's numbers are no less than 0")
