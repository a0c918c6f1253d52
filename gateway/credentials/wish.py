"""Service: what a new key is asked to be, checked. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.words.errors import Code, Refused
from gateway.words.principal import ANYWHERE, RoleHeld

MAX_LIFETIME = timedelta(days=366)
EXPECTED_END = f"in the future, at most {MAX_LIFETIME.days} days from now"
"""What fits as the end of a key, as whoever asks for one may read it."""
MAX_ROLES = 50
MAX_PURPOSES = 20

_APPLICATION = re.compile(r"app:[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Declared:
    """Names that the policy in force declares; a key holds no other, since no rule could speak of it."""

    roles: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wish:
    """A key that somebody wants: for which application, bound to what, until when."""

    application: str
    roles: frozenset[RoleHeld]
    purposes: frozenset[str]
    not_after: datetime

    def check(self, now: datetime, declared: Declared) -> None:
        """Raises Refused(VALUE_REFUSED) naming the member that cannot be.

        An application is `app:…`, roles, units and purposes are the policy's own, at least one purpose, 366 days at most.
        """
        _need("/application", _APPLICATION.fullmatch(self.application) is not None)
        _need("/roles", len(self.roles) <= MAX_ROLES and all(_is_role(held, declared) for held in self.roles))
        _need("/purposes", 0 < len(self.purposes) <= MAX_PURPOSES and self.purposes <= declared.purposes)
        _need("/expires", now < self.not_after <= now + MAX_LIFETIME, EXPECTED_END)


def _is_role(held: RoleHeld, declared: Declared) -> bool:
    return held.role in declared.roles and (held.unit == ANYWHERE or held.unit in declared.units)


def _need(field: str, holds: bool, expected: str = "") -> None:
    if not holds:
        raise Refused(Code.VALUE_REFUSED, field=field, **({"expected": expected} if expected else {}))
