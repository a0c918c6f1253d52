"""Who asks in these campaigns: one key for every role of the shipped policy, issued by the gateway's own service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ruamel.yaml import YAML

from gateway.app import House, utc_now
from gateway.corridor.desk import Asker
from gateway.credentials import Wish
from gateway.demo import AsSystem
from gateway.words.ids import new_id
from gateway.words.principal import ANYWHERE, RoleHeld
from tests.campaign.secrecy.folders import SHIPPED

SHANGHAI, BEIJING = "branch:shanghai", "branch:beijing"


@dataclass(frozen=True)
class Holder:
    """What a key is issued for."""

    application: str
    purposes: tuple[str, ...]
    roles: tuple[tuple[str, str], ...] = ()


# Where and for what a role is held here; a role of the vocabulary that is not listed is held everywhere, for upkeep.
_HELD: dict[str, tuple[str, str]] = {
    "clerk": (SHANGHAI, "service"),
    "agent": (SHANGHAI, "service"),
    "supervisor": (SHANGHAI, "service"),
    "manager": (SHANGHAI, "service"),
    "collector": (SHANGHAI, "collection"),
    "marketer": (SHANGHAI, "marketing"),
    "auditor": (ANYWHERE, "audit"),
    "data-protection-officer": (ANYWHERE, "complaint"),
    "app-desk": (ANYWHERE, "service"),
    "app-audit": (ANYWHERE, "audit"),
}


def _roles() -> dict[str, Holder]:
    with (SHIPPED / "vocabulary.yaml").open(encoding="utf-8") as file:
        names = [role.removeprefix("role:") for role in YAML(typ="safe").load(file)["roles"]]
    held = {name: _HELD.get(name, (ANYWHERE, "maintenance")) for name in names}
    return {
        name: Holder(f"app:holds-{name}", (purpose,), ((f"role:{name}", unit),))
        for name, (unit, purpose) in held.items()
    }


ROLES = _roles()
"""Every role of the shipped vocabulary, each held by a key of its own."""
DESK = Holder("app:desk", ("service",))
"""The application that acts for persons; by the shipped policy it has its ceiling and nothing of its own."""
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
