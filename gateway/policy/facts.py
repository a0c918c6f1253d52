"""Step 5, inside: the request made plain. Both engines, ours and pycasbin, are given exactly these values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo

from gateway.policy.condition import Uncomparable
from gateway.words.decision import FactValue

NOWHERE = "-"
"""The unit of a record that has none, and the purpose of a question that names none. No rule and no role can be written for it."""

_SCALARS = (str, int, bool, type(None))


def plain(
    values: Mapping[str, FactValue], names: Iterable[str], sets: frozenset[str]
) -> dict[str, FactValue]:
    """Gives the named facts: absent ones None, set facts always a tuple (a text is one member, never a run of characters).

    Raises Uncomparable for a value that is not plain data of exactly these types: an object could answer `==` as it likes.
    """
    made: dict[str, FactValue] = {}
    for name in names:
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


def unit_of(values: Mapping[str, FactValue]) -> str:
    """Gives the record's unit, NOWHERE when it has none. Raises Uncomparable when it is something else than a text."""
    unit = values.get("unit")
    if unit is None:
        return NOWHERE
    if type(unit) is not str or not unit or unit == "*":
        raise Uncomparable
    return unit


def environment(time: datetime, zone: tzinfo) -> dict[str, str | int]:
    """Gives hour, weekday (1 is Monday, ISO 8601) and date of an aware time on the policy's clock."""
    local = time.astimezone(zone)
    return {"hour": local.hour, "weekday": local.isoweekday(), "date": local.date().isoformat()}
