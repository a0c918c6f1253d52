"""Two runs beside each other: `make bench-compare A=… B=…`, from the JSON that each kept under var/bench/.

    python -m bench compare A.json B.json

For each figure that both have: both medians, B over A, and whether their ranges overlap. Where they do, the two runs do not say that
anything changed. Absolute figures move with the machine and what else it does; the ratios within a run hold longer: they come last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from bench.ratios import rows, spread

PARTS = (
    ("corridor", "figures"),
    ("corridor", "memory_mib"),
    ("appends",),
    ("start",),
    ("workers", "figures"),
    ("workers", "memory_mib"),
    ("strangers", "figures"),
)
Figures = dict[tuple[str, ...], list[float]]


@dataclass(frozen=True)
class Line:
    """One figure of both runs. values: one a round."""

    name: tuple[str, ...]
    a: Sequence[float]
    b: Sequence[float]

    @property
    def ratio(self) -> float | None:
        """B's median over A's; None where A's is nothing."""
        below = median(self.a)
        return median(self.b) / below if below else None

    @property
    def overlap(self) -> bool | None:
        """Says whether the ranges have a value in common; None where one of them is a single round and so no range."""
        if min(len(self.a), len(self.b)) < 2:
            return None
        return max(min(self.a), min(self.b)) <= min(max(self.a), max(self.b))


def figures(result: Mapping[str, Any]) -> Figures:
    """Gives every figure of a run by its name, one value a round, its ratios to the peers last."""
    found: Figures = {}
    for path in PARTS:
        node: Any = result
        for key in path:
            node = node.get(key, {})
        for name, value in _leaves(node, path[:1] if path[-1] != "memory_mib" else path):
            found.setdefault(name, []).append(value)
    for row in rows(result):
        if row.values and row.goal.beside:
            found["ratios", row.goal.title, f"beside {row.goal.beside}"] = list(row.values)
    return found


def _leaves(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Gives every number below; a list holds one round an item, so all of its items have one name."""
    if isinstance(node, Mapping):
        for name, below in node.items():
            yield from _leaves(below, (*path, str(name)))
    elif isinstance(node, list):
        for below in node:
            yield from _leaves(below, path)
    elif isinstance(node, int | float):
        yield path, float(node)


def compared(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[list[Line], list[str], list[str]]:
    """Gives the figures that both have, and the names of those that only A has, and only B."""
    ours, theirs = figures(a), figures(b)
    lines = [Line(name, values, theirs[name]) for name, values in ours.items() if name in theirs]
    only_a = [" · ".join(name) for name in ours if name not in theirs]
    only_b = [" · ".join(name) for name in theirs if name not in ours]
    return lines, only_a, only_b


def cautions(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Says what makes the two hard to compare: another machine, other sizes, other rules, a busy machine."""
    said = []
    for title, path in (
        ("processor", ("machine", "cpu")),
        ("cores", ("machine", "cores")),
        ("Python", ("machine", "python")),
        ("rules", ("corridor", "rules")),
        ("rounds", ("rounds",)),
        ("scale", ("scale",)),
    ):
        values = [_at(result, path) for result in (a, b)]
        if None not in values and values[0] != values[1]:
            said.append(f"{title}: {values[0]} in A, {values[1]} in B")
    for name, result in (("A", a), ("B", b)):
        loads = [*(_at(result, ("machine", "load_average")) or ()), *result.get("load_average_after", ())]
        if loads and max(loads) > (_at(result, ("machine", "cores")) or 1):
            said.append(f"{name} was taken on a busy machine (load average up to {max(loads)})")
    return said


def _at(result: Mapping[str, Any], path: Sequence[str]) -> Any:
    node: Any = result
    for name in path:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def printed(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    """Gives the lines of the table."""
    for name, result in (("A", a), ("B", b)):
        machine = result["machine"]
        dirty = " with changes" if machine["dirty"] else ""
        yield f"{name}: {machine['time']}, commit {machine['commit']}{dirty}, {result['rounds']} rounds"
    yield from (f"Caution, {caution}." for caution in cautions(a, b))
    lines, only_a, only_b = compared(a, b)
    yield ""
    yield "| figure | A: median (range) | B: median (range) | B / A | ranges overlap |"
    yield "| --- | --- | --- | --- | --- |"
    for line in lines:
        digits = 0 if median(line.a) >= 100 else 2
        ratio = "–" if line.ratio is None else f"{line.ratio:.2f}"
        overlap = {True: "yes", False: "no", None: "one value: not known"}[line.overlap]
        cells = [" · ".join(line.name), spread(line.a, digits), spread(line.b, digits), ratio, overlap]
        yield f"| {' | '.join(cells)} |"
    for name, only in (("A", only_a), ("B", only_b)):
        if only:
            yield f"\nOnly in {name}: {'; '.join(only)}"


def compare(a: Path, b: Path) -> None:
    """Prints the comparison of two files. Raises SystemExit for one that no run kept."""
    for line in printed(_read(a), _read(b)):
        print(line)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        result = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as exc:
        raise SystemExit(f"{path} cannot be read: {exc}") from exc
    if not isinstance(result, dict) or not {"machine", "rounds", "scale"} <= set(result):
        raise SystemExit(f"{path} is no result of `make bench`")
    return result
