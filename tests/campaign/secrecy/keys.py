"""Who asks in these campaigns: one key for every role of the shipped policy, issued by the gateway's own service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from gateway.app import House, utc_now
from gateway.credentials import Wish
from gateway.corridor.desk import Asker
from gateway.demo import AsSystem
from gateway.words.ids import new_id
from gateway.words.principal import ANYWHERE, RoleHeld

SHANGHAI, BEIJING = "branch:shanghai", "branch:beijing"


@dataclass(frozen=True)
class Holder:
    """What a key is issued for."""

    application: str
    purposes: tuple[str, ...]
    roles: tuple[tuple[str, str], ...] = ()


def _one(role: str, unit: str, *purposes: str) -> Holder:
    return Holder(f"app:holds-{role}", purposes, ((f"role:{role}", unit),))


# Every role of policies/vocabulary.yaml; the test of the write-back holds this list to it.
ROLES = {
    "clerk": _one("clerk", SHANGHAI, "service"),
    "agent": _one("agent", SHANGHAI, "service"),
    "supervisor": _one("supervisor", SHANGHAI, "service"),
    "manager": _one("manager", SHANGHAI, "service"),
    "collector": _one("collector", SHANGHAI, "collection"),
    "marketer": _one("marketer", SHANGHAI, "marketing"),
    "auditor": _one("auditor", ANYWHERE, "audit"),
    "data-protection-officer": _one("data-protection-officer", ANYWHERE, "complaint"),
    "security-admin": _one("security-admin", ANYWHERE, "maintenance"),
    "app-desk": Holder("app:desk", ("service",)),
    "app-audit": Holder("app:audit", ("audit",)),
    "reconciler": _one("reconciler", ANYWHERE, "maintenance"),
    "seeder": _one("seeder", ANYWHERE, "maintenance"),
}
EVERYTHING = Holder(
    "app:loader",
    ("service",),
    (("role:manager", SHANGHAI), ("role:manager", BEIJING), ("role:supervisor", SHANGHAI)),
)


async def issue(house: House, holders: dict[str, Holder]) -> dict[str, str]:
    """Gives each holder's key, issued to the operator on the machine as the first keys are."""
    operator = AsSystem("operator", {"maintenance"})
    given = {}
    for name, holder in holders.items():
        held = frozenset(RoleHeld(role, unit) for role, unit in holder.roles)
        wish = Wish(holder.application, held, frozenset(holder.purposes), utc_now() + timedelta(days=1))
        asker = Asker(new_id("req"), operator.give, "maintenance")
        issued = await house.keys.issue(asker, lambda w=wish: w)
        given[name] = issued.text
    return given
