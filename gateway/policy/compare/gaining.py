"""Beside the request path: could one person gain by a change? Who could does not confirm it.

What he could be allowed under the new bundle is said by the allows of the roles that he holds there. He gains only where one of these
speaks about something that the change widens; where a widening does not say what about, by any of them that is not about the gateway
itself. Sound and not complete: in doubt he gains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.policy.bundle import ANY, Bundle, Line
from gateway.policy.compare.covering import Covering
from gateway.policy.compare.sides import ELSEWHERE, Side, key_of
from gateway.policy.known import Catalogue, known
from gateway.words.control import CONTROL_UPSTREAM
from gateway.words.principal import ANYWHERE, Party
from gateway.words.widening import Why, Widening

_SAID = frozenset({Why.ALLOWED, Why.NO_LONGER_DENIED})
"""Ways that a rule stands for wholly: nothing else is widened by it than what it speaks about."""
_BY_RESOURCE = frozenset({Why.NO_LONGER_FAILS, Why.TOKEN_FOR_MASK})
"""Ways in which a rule about one field also decides on others of its record."""


def gains(
    old: Bundle, new: Bundle, catalogue: Catalogue, widenings: Iterable[Widening], party: Party
) -> bool:
    """Tells whether the party could gain by what `widenings` says. catalogue: the new one. False: proven that it does not."""
    before, after = _Held(Side(old), party), _Held(Side(new), party)
    cover = Covering(known(catalogue))
    return any(_by(one, before, after, cover) for one in widenings)


class _Held:
    """What one party holds under one bundle, by the policy's links and by its credential."""

    def __init__(self, side: Side, party: Party) -> None:
        self._side = side
        units = (ELSEWHERE, *sorted(side.units | {held.unit for held in party.roles}))
        by_unit = {unit: _roles(side, party, unit) for unit in units}
        self.roles = frozenset[str]().union(*by_unit.values())
        self.lines = {
            key_of(line): line for unit, roles in by_unit.items() for line in side.lines_of(roles, unit)
        }
        self.allows = [line for line in self.lines.values() if line.allows]

    def at(self, widening: Widening) -> Iterator[Line]:
        """Gives the rules of the side, whoever's, that stand where the widening points."""
        return (line for line in self._side.lines if line.rule == widening.rule)


def _roles(side: Side, party: Party, unit: str) -> frozenset[str]:
    given = (side.held(held.role, unit) for held in party.roles if held.unit in (unit, ANYWHERE))
    return side.held(party.id, unit).union(*given)


def _by(widening: Widening, before: _Held, after: _Held, cover: Covering) -> bool:
    if widening.why is Why.ROLE:
        return widening.about in after.roles
    lines = list((before if widening.was else after).at(widening))
    if widening.why in _SAID and lines:
        return any(cover.meet(own, line) for own in after.allows for line in lines)
    if widening.why in _BY_RESOURCE and lines:
        return any(_meet(own.res, line.res) for own in after.allows for line in lines)
    return _anything(before, after)


def _anything(before: _Held, after: _Held) -> bool:
    """True unless all that he may do is about the gateway itself, and rules, conditions and the clock leave that as it was."""
    ours = f"{CONTROL_UPSTREAM}/"
    own = (*before.allows, *after.allows)
    if any(not line.res.startswith(ours) or "r.env." in line.condition.text for line in own):
        return True
    return _about_us(before, ours) != _about_us(after, ours)


def _about_us(held: _Held, ours: str) -> set[object]:
    return {key for key, line in held.lines.items() if line.res == ANY or line.res.startswith(ours)}


def _meet(one: str, other: str) -> bool:
    return one == other or ANY in (one, other)
