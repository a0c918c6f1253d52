"""Counts, levels and distributions, kept by ourselves: an addition to a dictionary a request, and no library's call.

Read by `exposition.py` for Prometheus and by `otlp.py` for a collector; both show exactly what `collect` gives.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from time import time_ns

from gateway.observe.instruments import TABLE, Count, Instrument, Labels, Level, Outcome, Spread


@dataclass(frozen=True, slots=True)
class Distribution:
    """One distribution as it stands. counts: by class, one more than the instrument's bounds."""

    counts: tuple[int, ...]
    sum: float


@dataclass(frozen=True, slots=True)
class Series:
    """One instrument and all that it holds, by label."""

    name: Count | Level | Spread
    instrument: Instrument
    values: Mapping[Labels, float | Distribution]


class _Classes:
    """A distribution that grows."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Metrics:
    """One set of instruments. Everything that can be counted is there from the start, at nought: a first alarm is seen as a rise."""

    def __init__(self) -> None:
        self.started_ns = time_ns()
        self._totals = {name: dict.fromkeys(TABLE[name].all_labels(), 0) for name in Count}
        self._levels: dict[Level, float] = dict.fromkeys(Level, 0)
        self._spreads = {
            name: {labels: _Classes(TABLE[name].bounds) for labels in TABLE[name].all_labels()}
            for name in Spread
        }
        self._answers = {outcome: self._spreads[Spread.ANSWER][("outcome", outcome),] for outcome in Outcome}
        self._upstream = self._spreads[Spread.UPSTREAM][()]
        self._sources: list[Callable[[], None]] = []

    def count(self, name: Count, amount: int = 1, /, **labels: StrEnum) -> None:
        """Adds to a counter. Raises TypeError for a label that is not a member of its closed enum."""
        totals = self._totals[name]
        key = tuple(labels.items())
        try:
            totals[key] += amount
        except KeyError:
            raise TypeError("a metric's label is a member of a closed enum") from None

    def reached(self, name: Count, total: int, /, **labels: StrEnum) -> None:
        """Takes a total that is counted elsewhere. Raises TypeError as `count`."""
        self.count(name, total - self._totals[name].get(tuple(labels.items()), 0), **labels)

    def level(self, name: Level, value: float) -> None:
        """Notes how high something stands now."""
        self._levels[name] = value

    def took(self, seconds: float, outcome: Outcome) -> None:
        """Notes how long an answer took."""
        self._answers[outcome].add(seconds)

    def exchanged(self, seconds: float) -> None:
        """Notes how long an exchange with an upstream took, however it ended."""
        self._upstream.add(seconds)

    def batches(self, counts: Sequence[int], entries: int) -> None:
        """Takes the log's distribution of batch sizes, counted in the classes of the instrument. Raises ValueError for others."""
        classes = self._spreads[Spread.BATCH][()]
        if len(counts) != len(classes.counts):
            raise ValueError("the log counts batches in other classes")
        classes.counts[:] = counts
        classes.sum = entries

    def before_reading(self, source: Callable[[], None]) -> None:
        """Lets `source` bring what is counted elsewhere up to date, each time before somebody reads."""
        self._sources.append(source)

    def collect(self) -> Sequence[Series]:
        """Gives everything as it stands now, in the table's order. Called from the event loop."""
        for source in self._sources:
            source()
        found: list[Series] = []
        for name, instrument in TABLE.items():
            values: dict[Labels, float | Distribution]
            if isinstance(name, Count):
                values = dict(self._totals[name])
            elif isinstance(name, Level):
                values = {(): self._levels[name]}
            else:
                values = {
                    labels: Distribution(tuple(c.counts), c.sum) for labels, c in self._spreads[name].items()
                }
            found.append(Series(name, instrument, values))
        return found

    def totals(self) -> Mapping[tuple[str, Labels], int]:
        """Gives every counter's total that is not nought, by its name and label."""
        return {
            (series.name.value, labels): int(value)
            for series in self.collect()
            if isinstance(series.name, Count)
            for labels, value in series.values.items()
            if not isinstance(value, Distribution) and value
        }

    def close(self) -> None:
        """Lets go of what it read from. Safe to repeat."""
        self._sources.clear()
