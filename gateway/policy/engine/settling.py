"""The five effects: from the rules that match to the verdict, and to the rule that pycasbin names for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.policy.engine.definition import Effect
from gateway.policy.engine.verdict import Verdict

Entry = tuple[int, Verdict]
"""A rule: its order, which no other has, and the verdict if it is the one that decides."""
Leaf = Entry | list[Entry]
"""One rule, or several in their order."""
Found = list[Any]
"""Leaves of rules that match."""
Settle = Callable[[Found, Found], Verdict]
Matches = Callable[[Sequence[Any], tuple[str, ...]], bool]


def nothing(effect: Effect) -> Verdict:
    """Gives the verdict where no rule matches."""
    return Verdict(effect is Effect.DENY_OVERRIDE, None)


def settling(effect: Effect) -> Settle:
    """Gives the function from what matches (leaves of allowing rules, of denying ones) to the verdict."""
    no_rule = nothing(effect)
    if (
        effect is Effect.ALLOW_OVERRIDE
    ):  # pycasbin stops at the first allow, and names the last of what matched where there is none

        def allow_override(allows: Found, denies: Found) -> Verdict:
            if allows:
                return first(allows)[1]
            return last(denies)[1] if denies else no_rule

        return allow_override
    if effect in (Effect.PRIORITY, Effect.SUBJECT_PRIORITY):

        def priority(allows: Found, denies: Found) -> Verdict:
            if allows:
                return min(first(allows), first(denies))[1] if denies else first(allows)[1]
            return first(denies)[1] if denies else no_rule

        return priority

    def deny_first(allows: Found, denies: Found) -> Verdict:
        if denies:
            return first(denies)[1]
        return last(allows)[1] if allows else no_rule

    return deny_first


def first(leaves: Found) -> Entry:
    """Gives the earliest of the rules in these leaves."""
    if len(leaves) == 1:
        leaf = leaves[0]
        return leaf[0] if type(leaf) is list else leaf  # type: ignore[no-any-return]
    return min([leaf[0] if type(leaf) is list else leaf for leaf in leaves])  # type: ignore[no-any-return]


def last(leaves: Found) -> Entry:
    """Gives the latest of the rules in these leaves."""
    if len(leaves) == 1:
        leaf = leaves[0]
        return leaf[-1] if type(leaf) is list else leaf  # type: ignore[no-any-return]
    return max([leaf[-1] if type(leaf) is list else leaf for leaf in leaves])  # type: ignore[no-any-return]


def in_order(leaves: Found) -> Sequence[Entry]:
    """Gives the rules of these leaves in pycasbin's order, each once."""
    if len(leaves) == 1:
        leaf = leaves[0]
        return leaf if type(leaf) is list else (leaf,)
    found: dict[int, Entry] = {}
    for leaf in leaves:
        if type(leaf) is list:
            found.update((entry[0], entry) for entry in leaf)
        else:
            found[leaf[0]] = leaf
    return sorted(found.values())


def walking(effect: Effect) -> Callable[[Sequence[Any], Iterable[Entry], Matches], Verdict]:
    """Gives the function that asks rule after rule, until the effect is settled, as pycasbin does."""
    no_rule = nothing(effect)
    ends_at_any = effect in (Effect.PRIORITY, Effect.SUBJECT_PRIORITY)
    ends_at = effect is Effect.ALLOW_OVERRIDE  # at an allow, otherwise at a deny

    def walk(request: Sequence[Any], entries: Iterable[Entry], matches: Matches) -> Verdict:
        verdict = no_rule
        for _order, made in entries:
            if matches(request, made[1]):  # type: ignore[arg-type] # an entry's verdict has its rule
                if ends_at_any or made[0] is ends_at:
                    return made
                verdict = made
        return verdict

    return walk
