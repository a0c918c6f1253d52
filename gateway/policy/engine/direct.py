"""The shortest way to a verdict, for the matchers that most models have: equal columns, and at most one role that is held.

It is `BranchIndex.find` and `settling` in one function, without the lists between them; property tests hold them to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from gateway.policy.engine.definition import Effect
from gateway.policy.engine.index import BranchIndex
from gateway.policy.engine.matcher import Branch, Held
from gateway.policy.engine.settling import Matches, in_order, nothing, walking
from gateway.policy.engine.verdict import Verdict

Decide = Callable[[Sequence[Any]], Verdict]


def direct(branch: Branch, index: BranchIndex, effect: Effect, matches: Matches | None) -> Decide | None:
    """Gives the function from a request of the right size to its verdict, or None where the matcher is another.

    matches: what is still asked of a rule that was found, None for nothing. It raises TypeError where a value can be no key; that
    is not yet an answer.
    """
    if branch.tried or branch.asked or len(branch.many) > 1:
        return None
    held = branch.many[0][1] if branch.many else None
    if held is not None and (
        not isinstance(held, Held) or held.who is None or (held.domain is None) is held.links.domains
    ):
        return None
    if matches is None:
        return _of_key(index, effect) if held is None else _of_role(index, held, effect)
    return _asked(index, effect, matches) if held is None else None


def _asked(index: BranchIndex, effect: Effect, matches: Matches) -> Decide:
    """Of the rules that equal columns find, each is asked."""
    key, allowing, denying = index.key, index.allowing, index.denying
    no_rule, walk = nothing(effect), walking(effect)

    def decide(request: Sequence[Any]) -> Verdict:
        asked = key(request)
        leaf = allowing.get(asked)
        if denying:
            other = denying.get(asked)
            if other is not None:
                leaf = list(in_order([other] if leaf is None else [leaf, other]))
        if leaf is None:
            return no_rule
        return walk(request, leaf if type(leaf) is list else (leaf,), matches)

    return decide


def _of_key(index: BranchIndex, effect: Effect) -> Decide:
    key, allowing, denying = index.key, index.allowing, index.denying
    no_rule = nothing(effect)
    allow_at, deny_at = (0, -1) if effect is Effect.ALLOW_OVERRIDE else (-1, 0)
    if effect in (Effect.PRIORITY, Effect.SUBJECT_PRIORITY):
        allow_at = 0
    denies_first = effect in (Effect.ALLOW_AND_DENY, Effect.DENY_OVERRIDE)

    def decide(request: Sequence[Any]) -> Verdict:
        asked = key(request)
        allow = allowing.get(asked)
        if type(allow) is list:
            allow = allow[allow_at]
        if not denying:
            return no_rule if allow is None else allow[1]
        deny = denying.get(asked)
        if type(deny) is list:
            deny = deny[deny_at]
        if allow is None or deny is None:
            one = allow or deny
            return no_rule if one is None else one[1]
        if deny_at == -1:  # allow-override
            return allow[1]  # type: ignore[no-any-return]
        return deny[1] if denies_first or deny < allow else allow[1]  # type: ignore[no-any-return]

    return decide


def _of_role(index: BranchIndex, held: Held, effect: Effect) -> Decide:
    key, allowing, denying = index.key, index.allowing, index.denying
    known = held.links.known
    who = itemgetter(*(place for place in (held.who, held.domain) if place is not None))
    no_rule = nothing(effect)
    allow_first = effect not in (Effect.ALLOW_AND_DENY, Effect.DENY_OVERRIDE)
    deny_first = effect is not Effect.ALLOW_OVERRIDE
    by_order = allow_first and deny_first

    def pick(root: dict[Any, Any], asked: Any, roles: Any, earliest: bool) -> Any:
        node = root.get(asked)
        if node is None:
            return None
        if type(node) is tuple:
            if node[0] not in roles:
                return None
            leaf = node[1]
            return leaf if type(leaf) is tuple else leaf[0] if earliest else leaf[-1]
        best = None
        if len(roles) <= len(node):
            for role in roles:
                leaf = node.get(role)
                if leaf is not None:
                    if type(leaf) is list:
                        leaf = leaf[0] if earliest else leaf[-1]
                    if best is None or (leaf < best) is earliest:
                        best = leaf
            return best
        for role, leaf in node.items():
            if role in roles:
                if type(leaf) is list:
                    leaf = leaf[0] if earliest else leaf[-1]
                if best is None or (leaf < best) is earliest:
                    best = leaf
        return best

    def decide(request: Sequence[Any]) -> Verdict:
        roles = known.get(who(request))
        if roles is None:
            roles = held(request)
        asked = key(request)
        if not denying:
            best = pick(allowing, asked, roles, allow_first)
        elif by_order:
            best = pick(allowing, asked, roles, True)
            deny = pick(denying, asked, roles, True)
            if best is None or (deny is not None and deny < best):
                best = deny
        elif deny_first:
            best = pick(denying, asked, roles, True) or pick(allowing, asked, roles, False)
        else:
            best = pick(allowing, asked, roles, True) or pick(denying, asked, roles, False)
        return no_rule if best is None else best[1]

    return decide
