"""Step 5, inside: the request made plain. Both engines, ours and pycasbin, are given exactly these values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo

from gateway.policy.condition import Uncomparable
from gateway.words.decision import Facts, FactValue

NOWHERE = "-"
"""The unit of a record that has none, and the purpose of a question that names none. No rule and no role can be written for it."""

_SCALARS = (str, int, bool, type(None))


class Unanswerable:
    """Stands where a record holds a value that is no fact. Whatever compares it fails, in both engines, so the rule denies.

    A rule whose condition is settled before it looks at this (`level == "vip" and …` on another level) is not touched.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment] # it is a member of nothing

    def __eq__(self, other: object) -> bool:
        raise TypeError("no fact")

    def __ne__(self, other: object) -> bool:
        raise TypeError("no fact")

    def __bool__(self) -> bool:
        raise TypeError("no fact")


Given = FactValue | Unanswerable
_UNANSWERABLE = Unanswerable()


def plain(facts: Facts, names: Iterable[str], sets: frozenset[str]) -> dict[str, Given]:
    """Gives the named facts: absent ones None, set facts always a tuple (a text is one member, never a run of characters), and
    for what the record holds and is no fact a value that cannot be compared.

    Raises Uncomparable for a value that is not plain data of exactly these types: an object could answer `==` as it likes.
    """
    made: dict[str, Given] = {}
    values, unfit = facts.values, facts.unfit
    for name in names:
        if name in unfit:
            made[name] = _UNANSWERABLE
            continue
        value = values.get(name)
        if isinstance(value, tuple):
            if not all(type(member) is str for member in value):
                raise Uncomparable
            made[name] = value
        elif type(value) not in _SCALARS:
            raise Uncomparable
        elif name in sets:
            made[name] = () if value is None else (str(value),)
        else:
            made[name] = value
    return made


def unit_of(facts: Facts) -> str:
    """Gives the record's unit, NOWHERE when it has none. Raises Uncomparable when it is something else than a text: the matcher
    itself asks for it, so every rule does."""
    unit = facts.values.get("unit")
    if "unit" in facts.unfit:
        raise Uncomparable
    if unit is None:
        return NOWHERE
    if type(unit) is not str or not unit or unit == "*":
        raise Uncomparable
    return unit


def environment(time: datetime, zone: tzinfo) -> dict[str, str | int]:
    """Gives hour, weekday (1 is Monday, ISO 8601) and date of an aware time on the policy's clock."""
    local = time.astimezone(zone)
    return {"hour": local.hour, "weekday": local.isoweekday(), "date": local.date().isoformat()}
