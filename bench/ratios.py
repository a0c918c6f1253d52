"""What the figures of one run say about each other, each beside its goal: pure, from the JSON that a run keeps.

Contenders are measured in turn within each round, so a ratio is taken within a round too; the table gives the median of the rounds and
their range. A goal is reached when the median reaches it, and where single rounds say otherwise that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import sub, truediv
from statistics import median
from typing import Any

OURS = "Gatehouse"
MANY, ONE = 48, 1
NGINX, ENVOY, PLAIN, HANDMADE = "nginx", "Envoy", "plain proxy", "hand-made stack"
BUSY = 0.9
"""Of its core: a contender that used less waited for something else, and its requests a second are not its own limit."""


@dataclass(frozen=True)
class Goal:
    """One row: our figure beside a peer's (or our own alone), and what was promised of it, if anything was."""

    title: str
    figure: str
    connections: int
    beside: str | None = None
    relation: Callable[[float, float], float] = truediv
    at_least: float | None = None
    at_most: float | None = None
    digits: int = 2
    unit: str = " ×"

    def reached(self, value: float) -> bool | None:
        """Says whether a value is what was promised; None where nothing was."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    @property
    def promised(self) -> str:
        """Gives the goal as it is printed."""
        if self.at_least is not None:
            return f"≥ {self.at_least:.{self.digits}f}{self.unit}"
        return "–" if self.at_most is None else f"≤ {self.at_most:.{self.digits}f}{self.unit}"


def _beside(peer: str, at_least: float | None) -> tuple[Goal, Goal]:
    """Both ways to say it: as measured, and by the CPU that each used, which holds also where a peer waited for its load."""
    return (
        Goal(f"requests/s at {MANY} connections", "per_second", MANY, peer, at_least=at_least),
        Goal(f"requests/s a core, by CPU, at {MANY}", "per_core", MANY, peer, at_least=at_least),
    )


GOALS = (
    *_beside(NGINX, 0.10),
    *_beside(ENVOY, None),
    *_beside(PLAIN, 1.3),
    *_beside(HANDMADE, 50),
    Goal(f"p99 at {MANY} connections", "p99_ms", MANY, PLAIN, at_most=1),
    Goal("p50 at one connection, added", "p50_ms", ONE, NGINX, sub, at_most=0.8, unit=" ms"),
)
START = Goal("start to first answer", "seconds", 0, at_most=1.5, unit=" s")
SCALING = Goal("requests/s of two workers", "per_second", MANY, "one worker")
PLAIN_REFUSALS = "plain refusals"
STRANGERS = ("no credential", "a wrong key", "a badly signed person")
BESIDE = tuple(
    Goal(f"p99 of callers beside a flood: {who}", "p99_ms", 0, PLAIN_REFUSALS, at_most=2) for who in STRANGERS
)
MEMORY = Goal("resident memory after the rounds", "memory_mib", 0, digits=0, unit=" MiB")


@dataclass(frozen=True)
class Row:
    """One goal with what was measured. values: one a round; none where the peer or the part is missing."""

    goal: Goal
    values: tuple[float, ...]
    missing: str = ""

    @property
    def verdict(self) -> str:
        """Says whether the goal is reached, and what speaks against its being so."""
        if not self.values:
            return f"not measured: {self.missing}"
        answer = self.goal.reached(median(self.values))
        if answer is None:
            return "–"
        others = sum(self.goal.reached(value) is not answer for value in self.values)
        doubt = f", but {'not ' if answer else ''}in {others} of {len(self.values)} rounds" if others else ""
        return ("yes" if answer else "no") + doubt

    def kept(self) -> dict[str, Any]:
        """Gives the row as JSON keeps it."""
        goal = self.goal
        return {
            "figure": goal.title,
            "beside": goal.beside,
            "values": self.values,
            "goal": goal.promised,
            "reached": self.verdict,
        }

    def cells(self) -> list[str]:
        """Gives the row as it is printed."""
        goal = self.goal
        return [
            goal.title,
            goal.beside or "",
            spread(self.values, goal.digits, goal.unit) if self.values else "–",
            goal.promised,
            self.verdict,
        ]


def rows(result: Mapping[str, Any]) -> list[Row]:
    """Gives every goal with what this run says about it."""
    corridor, start = result.get("corridor", {}), result.get("start", {})
    found = [_row(goal, corridor) for goal in GOALS] if corridor else []
    if corridor:
        memory = corridor.get("memory_mib", {}).get(OURS)
        found.append(Row(MEMORY, () if memory is None else (float(memory),), "no figure"))
    if start:
        seconds = start.get("measured policy", {}).get("seconds", ())
        found.append(Row(START, tuple(seconds), "no start with the measured policy"))
    if by_count := result.get("workers", {}).get("figures"):
        found.append(Row(SCALING, _pairs(SCALING, by_count, 2, 1), "no figures"))
    if by_flood := result.get("strangers", {}).get("figures"):
        found += [
            Row(goal, _pairs(goal, by_flood, who, PLAIN_REFUSALS), "no figures")
            for goal, who in zip(BESIDE, STRANGERS, strict=True)
        ]
    return found


def _pairs(goal: Goal, figures: Mapping[Any, Any], ours: int | str, theirs: int | str) -> tuple[float, ...]:
    """Gives the ratio of each round; names may be numbers still, or have become text in JSON."""
    one, other = (figures.get(name) or figures.get(str(name)) or () for name in (ours, theirs))
    return tuple(
        goal.relation(mine[goal.figure], his[goal.figure]) for mine, his in zip(one, other, strict=True)
    )


def _row(goal: Goal, corridor: Mapping[str, Any]) -> Row:
    ours = runs(corridor, OURS, goal.connections)
    peers = runs(corridor, goal.beside or OURS, goal.connections)
    if not ours or not peers:
        absent = goal.beside if ours else OURS
        how = corridor.get("absent", {}).get(absent)
        return Row(goal, (), f"{absent} is absent ({how})" if how else f"no figures of {absent}")
    pairs = [(mine[goal.figure], theirs[goal.figure]) for mine, theirs in zip(ours, peers, strict=True)]
    return Row(goal, tuple(goal.relation(mine, theirs) for mine, theirs in pairs))


def runs(corridor: Mapping[str, Any], name: str, connections: int) -> list[Mapping[str, float]]:
    """Gives a contender's rounds at so many connections, whether they are still numbers or came from JSON."""
    by_connections = corridor.get("figures", {}).get(name, {})
    return list(by_connections.get(connections) or by_connections.get(str(connections)) or ())


def waiting(corridor: Mapping[str, Any]) -> dict[str, float]:
    """Gives the contenders that did not fill their core at many connections, and how much of it they used."""
    used = {
        name: median(run["per_second"] / run["per_core"] for run in runs(corridor, name, MANY))
        for name in corridor.get("figures", {})
        if runs(corridor, name, MANY)
    }
    return {name: share for name, share in used.items() if share < BUSY}


def spread(values: Sequence[float], digits: int = 0, unit: str = "") -> str:
    """Gives `median (lowest–highest)`."""
    texts = [f"{value:,.{digits}f}" for value in (median(values), min(values), max(values))]
    return f"{texts[0]}{unit} ({texts[1]}–{texts[2]})" if len(values) > 1 else texts[0] + unit
