"""Service: what a new key is asked to be, checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.words.errors import Code, Refused
from gateway.words.principal import ANYWHERE, RoleHeld

MAX_LIFETIME = timedelta(days=366)
MAX_ROLES = 50
MAX_PURPOSES = 20

_APPLICATION = re.compile(r"app:[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_ROLE = re.compile(r"role:[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_UNIT = re.compile(r"[a-z][a-z0-9-]{0,30}:[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_PURPOSE = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """A key that somebody wants: for which application, bound to what, until when."""

    application: str
    roles: frozenset[RoleHeld]
    purposes: frozenset[str]
    not_after: datetime

    def check(self, now: datetime) -> None:
        """Raises Refused(VALUE_REFUSED) naming the member that cannot be: an application is `app:…`, a key lives 366 days at most."""
        _need("/application", _APPLICATION.fullmatch(self.application) is not None)
        _need("/roles", len(self.roles) <= MAX_ROLES and all(_is_role(held) for held in self.roles))
        _need("/purposes", len(self.purposes) <= MAX_PURPOSES and _all(_PURPOSE, self.purposes))
        _need("/expires", now < self.not_after <= now + MAX_LIFETIME)


def _is_role(held: RoleHeld) -> bool:
    unit = held.unit == ANYWHERE or _UNIT.fullmatch(held.unit) is not None
    return unit and _ROLE.fullmatch(held.role) is not None


def _all(shape: re.Pattern[str], texts: Iterable[str]) -> bool:
    return all(shape.fullmatch(text) for text in texts)


def _need(field: str, holds: bool) -> None:
    if not holds:
        raise Refused(Code.VALUE_REFUSED, field=field)
