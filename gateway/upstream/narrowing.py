"""Step 7 for a list: what is asked of an upstream besides the caller's question, so that it leaves out what the policy hides anyway. Pure.

The embedded store takes the whole filter, and says where a list goes on after each item. Another upstream is told what a parameter of
the route compares for equality, where the caller has said nothing of that field; every item is decided on here in either case.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

from gateway.words.filter import EVERYTHING, And, Filter, In, Within
from gateway.words.filtertext import Unwritten, written
from gateway.words.resource import ParamSpec, ParamType
from gateway.words.work import NOT_NARROWED, Addressed, List, Narrowing

Known = Callable[[bool], Within]
"""Gives which records are possible; True: it may name who asks."""
_MAX_SAID = 1_000  # characters of one parameter's value: a target has an end, and other things stand in it
_OURS = ("within", "places", "count")


def whole(what: Addressed, work: List, known: Known) -> Narrowing:
    """Gives how the embedded store's list is narrowed."""
    rule = what.route.page
    taken = {name for name, _ in (*work.query.passing, *what.route.fixed)}
    if rule is None or rule.first is not None or not taken.isdisjoint(_OURS):
        return NOT_NARROWED
    within = known(True)
    if within.filter == EVERYTHING:
        return Narrowing(exact=True, keyed=True) if within.exact else NOT_NARROWED
    with suppress(Unwritten):
        return Narrowing((("within", written(within.filter)),), exact=within.exact, keyed=True)
    return NOT_NARROWED


def by_parameters(what: Addressed, work: List, known: Known) -> Narrowing:
    """Gives the pairs that a foreign list is narrowed by. Nobody is named to it who has not said himself who he is."""
    if what.route.page is None:
        return NOT_NARROWED
    free = [
        param
        for param in what.route.params
        if param.narrows and param.field is not None and param.field not in work.query.uses
    ]
    if not free:
        return NOT_NARROWED
    filter_ = known(False).filter
    said = filter_.parts if isinstance(filter_, And) else (filter_,)
    found = (next(filter(None, (_pair(part, param) for param in free)), None) for part in said)
    pairs = dict(pair for pair in found if pair is not None)
    return Narrowing(tuple(pairs.items())) if pairs else NOT_NARROWED


def _pair(part: Filter, param: ParamSpec) -> tuple[str, str] | None:
    """Gives what the parameter says of a part of the filter, None where it cannot say it."""
    if not isinstance(part, In) or part.field != param.field or param.type is not ParamType.TEXT:
        return None
    texts = [value for value in part.values if isinstance(value, str)]
    listed = not param.values or set(texts) <= set(param.values)
    plain = all(text and text.isprintable() and "," not in text for text in texts)
    if len(texts) != len(part.values) or not listed or not plain:
        return None
    said = ",".join(quote(text, safe="") for text in texts)
    fits = param.op == "in" or (param.op == "eq" and len(texts) == 1)
    return (param.name, said) if fits and len(said) <= _MAX_SAID else None
