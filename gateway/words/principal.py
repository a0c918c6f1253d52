"""Who asks: an application, and the person it acts for. The outcome of step 2, immutable from then on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ANYWHERE = "*"
"""The unit of a role that is held in every unit."""


@dataclass(frozen=True, slots=True, order=True)
class RoleHeld:
    """A role within a unit: a manager of one branch is nobody in another. `role` carries its prefix: `role:manager`."""

    role: str
    unit: str = ANYWHERE


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a principal.

    id:         `app:<name>` for an application, `person:<issuer>#<subject>` for a person, `system:<name>` for our own jobs.
    roles:      what the credential itself grants; roles that the policy links to `id` are joined by the decider.
    attributes: non-personal facts about the party that conditions may use (department, clearance …).
    """

    id: str
    roles: frozenset[RoleHeld] = frozenset()
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Principal:
    """Application and, where it acts for one, the person. Both are decided on and the narrower holds.

    purposes: the purposes the credential is bound to; empty means none, and then nothing with personal data can be asked.
    proven:   how each was proven, in words for the entry: `("api-key:key_…", "token:EdDSA")`. Never a secret.
    """

    application: Party
    person: Party | None
    purposes: frozenset[str]
    proven: tuple[str, ...]

    @property
    def parties(self) -> tuple[Party, ...]:
        """The application, then the person if there is one."""
        return (self.application,) if self.person is None else (self.application, self.person)
