"""In which order pycasbin looks at rules: as they stand in the file, by the subjects' place in the hierarchy, by the `priority` column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gateway.policy.engine.compiled import PLACES
from gateway.policy.engine.definition import Definition, Effect
from gateway.policy.engine.faults import MODEL, Fault, Unfit
from gateway.policy.engine.rules import Columns


def ranked(model: Definition, links: Iterable[Columns]) -> Callable[[Sequence[str], int], int]:
    """Gives the function from a row and its place in the file to its order. Raises Unfit for a hierarchy with a cycle."""
    by_priority = model.priority
    if model.effect is not Effect.SUBJECT_PRIORITY:
        if by_priority is None:
            return lambda _row, place: place
        return lambda row, place: int(row[by_priority]) << PLACES | place
    levels = _levels(model, links)
    domain = model.rule.index("dom") if "dom" in model.rule else None

    def order(row: Sequence[str], place: int) -> int:
        name = f"{row[domain] if domain is not None else ''}::{row[0]}"
        place = levels.get(name, 0) << PLACES | place
        # pycasbin sorts by subject first and then by priority, and its sorting is stable
        return place if by_priority is None else int(row[by_priority]) << (2 * PLACES) | place

    return order


def _levels(model: Definition, links: Iterable[Columns]) -> dict[str, int]:
    """Who holds a role stands below it; from below, in rounds. A subject in no link counts as the lowest."""
    left = [
        (f"{link[2] if len(link) > 2 else ''}::{link[0]}", f"{link[2] if len(link) > 2 else ''}::{link[1]}")
        for link in links
    ]
    names = {name for link in left for name in link}
    levels: dict[str, int] = {}
    level = 0
    while left:
        lowest = names - {above for _below, above in left}
        if not lowest:
            raise Unfit([Fault(MODEL, model.lines["e"], "engine.hierarchy-cycle")])
        levels.update(dict.fromkeys(lowest, level))
        names -= lowest
        left = [link for link in left if link[0] not in lowest]
        level += 1
    levels.update(dict.fromkeys(names, level))
    return levels
