"""Whether two kinds of calls take different time, asked as dudect does (Reparaz, Balasch, Verbauwhede, 2017)."""

from __future__ import annotations

import gc
import math
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import thread_time_ns

KEPT = 0.9
"""The share of the measurements, of both kinds together, that counts: the slowest ones are the machine's and nobody's code."""
THRESHOLD = 4.5
"""|t| above which the two are told apart; below it nobody does better than a coin."""

Pair = tuple[Callable[[], object], Callable[[], object]]


def welch(one: Sequence[int], other: Sequence[int]) -> float:
    """Gives Welch's t of two samples."""
    (mean, spread), (mean_too, spread_too) = _moments(one), _moments(other)
    return (mean - mean_too) / math.sqrt(spread / len(one) + spread_too / len(other))


def told_apart(pairs: Iterable[Pair], dice: random.Random) -> float:
    """Gives t over the processor time of all pairs' first and second calls, each pair in random order, the slowest tenth cut off."""
    spent: tuple[list[int], list[int]] = ([], [])
    with undisturbed():
        for pair in pairs:
            order = (0, 1) if dice.random() < 0.5 else (1, 0)
            for kind in order:
                call = pair[kind]
                started = thread_time_ns()
                call()
                spent[kind].append(thread_time_ns() - started)
    limit = sorted(spent[0] + spent[1])[int(KEPT * 2 * len(spent[0]))]
    first, second = ([time for time in times if time < limit] for times in spent)
    return welch(first, second)


@contextmanager
def undisturbed() -> Iterator[None]:
    """On one core, and nothing is collected in between."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        os.sched_setaffinity(0, cores)


def _moments(sample: Sequence[int]) -> tuple[float, float]:
    mean = math.fsum(sample) / len(sample)
    return mean, math.fsum((x - mean) ** 2 for x in sample) / (len(sample) - 1)
