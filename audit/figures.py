"""What a log did in this process, counted where it is done: by the writer, a batch at a time. Numbers only; nothing of an entry's content
but its kind and its decision's reason."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from audit.errors import EventRefused, LogUnavailable, OverBudget, Stale
from audit.event import Kind

BATCH_BOUNDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Upper bounds of the classes that batches are counted in; a last class has none."""

Told: TypeAlias = tuple[Kind, str | None]
"""An entry's kind, and its decision's reason where it has a decision."""

OnOutage: TypeAlias = Callable[[LogUnavailable | None, float], None]
"""Told once when commits begin to fail: why the first did, and 0. Told once when one is durable again: None, and for how many seconds
none was."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts since this process opened the log.

    entries: durable ones by kind and reason. batches: commits by size, one class more than BATCH_BOUNDS.
    stale, over_budget, refused, unavailable: appends answered so. busy: appends not even queued.
    waiting: events queued or being written now.
    failing_seconds: since the last commit failed, None where the last one was durable or there was none.
    ended: no append is possible in this process any more.
    """

    entries: Mapping[Told, int]
    batches: tuple[int, ...]
    stale: int
    over_budget: int
    refused: int
    unavailable: int
    busy: int
    waiting: int
    failing_seconds: float | None
    ended: bool


class Tally:
    """The counts as they grow. `note` is the writer thread's, `busy` the event loop's; reading them needs no lock."""

    def __init__(self, outage: OnOutage) -> None:
        self.busy = 0
        self._outage = outage
        self._entries: Counter[Told] = Counter()
        self._batches = [0] * (len(BATCH_BOUNDS) + 1)
        self._errors: Counter[type[Exception]] = Counter()
        self._failed: float | None = None
        self._began: float | None = None  # the first failure after the last commit that was durable

    def note(self, results: Iterable[tuple[Told, Exception | None]]) -> None:
        """Counts what one batch came to."""
        size = 0
        failed: LogUnavailable | None = None
        for told, error in results:
            if error is None:
                size += 1
                self._entries[told] += 1
            else:
                self._errors[type(error)] += 1
                if isinstance(error, LogUnavailable):
                    failed = error
        if size:
            self._batches[bisect_left(BATCH_BOUNDS, size)] += 1
        if failed is not None:
            self._failed = time.monotonic()
            if self._began is None:
                self._began = self._failed
                self._outage(failed, 0.0)
        elif size:
            self._failed = None
            if self._began is not None:
                began, self._began = self._began, None
                self._outage(None, time.monotonic() - began)

    def figures(self, *, waiting: int, ended: bool) -> Figures:
        """The counts as they are now."""
        failed = self._failed
        return Figures(
            entries=dict(self._entries),  # in one step of the interpreter: the writer goes on meanwhile
            batches=tuple(self._batches),
            stale=self._errors[Stale],
            over_budget=self._errors[OverBudget],
            refused=self._errors[EventRefused],
            unavailable=self._errors[LogUnavailable],
            busy=self.busy,
            waiting=waiting,
            failing_seconds=None if failed is None else time.monotonic() - failed,
            ended=ended,
        )
