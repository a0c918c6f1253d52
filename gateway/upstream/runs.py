"""Step 7 for a list: how one run of it is asked for, and where the next one begins. Pure."""

from __future__ import annotations

from urllib.parse import quote

from gateway.words.errors import NotSent
from gateway.words.resource import PageRule
from gateway.words.work import Run


def size(rule: PageRule, run: Run) -> int:
    """Gives how many items are asked for."""
    return rule.size if run.most is None or not run.narrowing.keyed else min(rule.size, max(run.most, 1))


def placed(run: Run) -> bool:
    """True where the place after each item is asked for. Where every item may be seen, a page ends where its run does."""
    return run.narrowing.keyed and not run.narrowing.exact


def besides(run: Run) -> list[tuple[str, str]]:
    """Gives what narrows the list, and what the embedded store is asked for with it."""
    pairs = list(run.narrowing.pairs)
    if placed(run):
        pairs.append(("places", "true"))
    if run.count and run.narrowing.keyed:
        pairs.append(("count", "true"))
    return pairs


def paging(rule: PageRule | None, run: Run) -> list[tuple[str, str]]:
    """Gives how many, and from where. Raises NotSent for a position that is none of this list's."""
    position = run.position
    if rule is None:
        if position is not None:
            raise NotSent
        return []
    if position is not None and rule.first is not None and not position.isdecimal():
        raise NotSent  # a cursor from before a load that changed how this list is paged
    pairs = [(rule.limit, str(size(rule, run)))]
    if position is not None:
        pairs.append((rule.position, quote(position, safe="")))
    elif rule.first is not None:
        pairs.append((rule.position, str(rule.first)))
    return pairs


def following(
    rule: PageRule | None, position: str | None, count: int, cursor: str | None, total: int | None
) -> str | None:
    """Gives where the next run begins, None at the end. With page numbers an upstream that says its total is believed
    about it (it may leave out items of a run); one that does not ends with the first run that is not full."""
    if rule is None:
        return None
    if rule.first is None:
        return cursor
    number = rule.first if position is None else int(position)
    more = count == rule.size if total is None else (number - rule.first + 1) * rule.size < total
    return str(number + 1) if more else None
