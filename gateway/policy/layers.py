"""Step 5, inside: the layers around the rules, each a list that later ones join. Floors deny whatever the rules say; grants, which a
person was given for a time, allow where the rules say nothing. Neither touches the other: what a floor or a rule denies no grant lifts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.words.access import Access
from gateway.words.decision import Facts, FieldView, Floors, Reason
from gateway.words.json import Pattern
from gateway.words.resource import ResourceSpec

Floor = Callable[[Floors, str, str, ResourceSpec], Reason | None]
"""Gives why an action for a purpose on a record is denied, None where this floor does not hold."""


def _erased(floors: Floors, _action: str, _purpose: str, _resource: ResourceSpec) -> Reason | None:
    return Reason.ERASED if floors.erased else None


def _refused(floors: Floors, action: str, purpose: str, _resource: ResourceSpec) -> Reason | None:
    """The customer refused the purpose, or the action."""
    refused = floors.refused and (purpose in floors.refused or action in floors.refused)
    return Reason.REFUSED_BY_CUSTOMER if refused else None


def _held(floors: Floors, action: str, _purpose: str, resource: ResourceSpec) -> Reason | None:
    """What is on hold is destroyed by nobody."""
    return Reason.ON_HOLD if floors.held and action in resource.destroyed_by else None


FLOORS: Sequence[Floor] = (_erased, _refused, _held)
"""In the order in which they are told."""


def floored(facts: Facts, action: str, purpose: str, resource: ResourceSpec) -> Reason | None:
    """Gives the first floor that denies."""
    for floor in FLOORS:
        if (reason := floor(facts.floors, action, purpose, resource)) is not None:
            return reason
    return None


@dataclass(frozen=True, slots=True)
class Granted:
    """What one grant allows on one record. grant: its id (`grant_…`), for the entry. read, write: as of a decision, never wider
    than what was approved."""

    grant: str
    read: FieldView
    write: frozenset[Pattern]


class Grants(Protocol):
    """Whoever keeps grants. Asked only where no floor and no rule denied, and no rule allowed."""

    def may(self, access: Access, resource: ResourceSpec) -> bool:
        """False where no record whatever could be granted: then what the rules deny beforehand stays denied."""
        ...

    def on(self, access: Access, resource: ResourceSpec, facts: Facts) -> Granted | None:
        """Gives the grant that holds now for a record of these facts, None where none does."""
        ...


def granted(grants: Sequence[Grants], access: Access, resource: ResourceSpec, facts: Facts) -> Granted | None:
    """Gives the first grant that lifts a default deny."""
    for source in grants:
        if (found := source.on(access, resource, facts)) is not None:
            return found
    return None
