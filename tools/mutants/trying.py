"""One mistake, asked of the tests that could notice it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tools.mutants.operators import Mutant, Source
from tools.mutants.running import LATE, Baseline, Bench

KILLED, SURVIVED, UNREACHED = "killed", "survived", "unreached"
FIRST_ASKED = 3
"""How many of the tests that noticed the most are asked before the cheap ones."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it. by: the test that noticed, empty where none did, or where the program did not even load or end."""

    outcome: str
    by: str
    seconds: float


def attempt(
    bench: Bench, source: Source, mutant: Mutant, found: Baseline, noticing: Counter[str], seconds: float
) -> Attempt:
    """Runs the tests that run the mistake's lines, up to so many seconds of them; `noticing` counts what each test noticed."""
    tests = found.asked(mutant.first, mutant.last, source.loading)
    if not tests:
        return Attempt(UNREACHED, "", 0.0)
    best = [test for test, _ in noticing.most_common() if test in set(tests)][:FIRST_ASKED]
    chosen: list[str] = []
    cost = 0.0
    for test in dict.fromkeys([*best, *tests]):
        cost += found.seconds.get(test, 0.0)
        if chosen and cost > seconds:
            break
        chosen.append(test)
    return _came(bench, source, mutant, chosen, cost, noticing)


def attempt_by(
    bench: Bench, source: Source, mutant: Mutant, noticing: Counter[str], seconds: float
) -> Attempt:
    """Runs every test that the bench has, without asking which of them runs the mistake's lines: for a few tests that were just written."""
    return _came(bench, source, mutant, None, seconds, noticing)


def _came(
    bench: Bench,
    source: Source,
    mutant: Mutant,
    chosen: list[str] | None,
    cost: float,
    noticing: Counter[str],
) -> Attempt:
    try:
        code = source.code(mutant)
    except (SyntaxError, ValueError):  # no program at all
        return Attempt(KILLED, "", 0.0)
    result = bench.run(code, chosen, cost)
    if result.failed is not None:
        noticing[result.failed] += 1
        return Attempt(KILLED, result.failed, result.seconds)
    return Attempt(LATE if result.late else KILLED if result.broken else SURVIVED, "", result.seconds)
