"""What a campaign stands on: a home folder with keys, the campaigns' own bundle, and credentials issued by the service."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from gateway.app import House, open_house, utc_now
from gateway.corridor.desk import Asker
from gateway.credentials import Issued, Wish
from gateway.demo import AsSystem
from gateway.keys import create_key_file
from gateway.settings import read
from gateway.words.ids import new_id
from gateway.words.principal import RoleHeld
from tests.campaign.counts import proving
from tests.campaign.serving import ROOT, Launcher

BUNDLE = Path(__file__).parent / "bundle"
SHANGHAI = "branch:shanghai"
CALLERS = {"clerk": "role:clerk", "auditor": "role:auditor", "marketer": "role:marketer"}
GUARDED = "from gateway.cli import main; main()"
UNGUARDED = "from tests.campaign.faults.unguarded import main; main()"
"""A build in which nobody awaits a receipt."""


@dataclass(frozen=True, slots=True)
class Estate:
    """A prepared home. dsn: empty where the stores are files in it. keys: credentials by caller."""

    home: Path
    settings: Mapping[str, str]
    keys: Mapping[str, str]
    dsn: str

    def launcher(self, program: str = GUARDED, **settings: str) -> Launcher:
        return Launcher(self.home, {**self.settings, **settings}, ("run",), program)


async def prepare(home: Path, address: str, dsn: str = "") -> Estate:
    """Makes the home for an upstream at `address`, and a credential for each caller."""
    policies = _folders(home, address)
    settings = {
        "GATEHOUSE_POLICIES": str(policies),
        "GATEHOUSE_UPSTREAM_HOSTS": address,
        "GATEHOUSE_SETTLE_SECONDS": "0.5",
        "GATEHOUSE_DISK_FLOOR_BYTES": "0",  # disks of these campaigns are small, so that they can be filled
        # Longer than any request of these campaigns may still be under way in another replica.
        "GATEHOUSE_SETTLE_GRACE_SECONDS": "20" if proving() else "4",
    }
    if dsn:
        settings["GATEHOUSE_DATABASE_URL"] = dsn
    async with open_house(read({**settings, "GATEHOUSE_HOME": str(home)})) as house:
        keys = {name: (await issued(house, name, role)).text for name, role in CALLERS.items()}
    return Estate(home, settings, keys, dsn)


def _folders(home: Path, address: str) -> Path:
    """Makes the home with its key file, and the policies beside it; gives where those are."""
    policies = home.parent / "policies"
    shutil.copytree(BUNDLE, policies)
    for name in ("model.conf", "vocabulary.yaml"):
        shutil.copy(ROOT / "policies" / name, policies)
    catalogue = policies / "catalogue" / "ledger.yaml"
    catalogue.write_text(catalogue.read_text().replace("ORIGIN", address))
    home.mkdir(mode=0o700)
    create_key_file(home / "keys.json")
    return policies


async def issued(house: House, name: str, role: str) -> Issued:
    """Gives a new key, issued as the operator on the machine would."""
    return await house.keys.issue(operator(), lambda: wish(name, role))


def wish(name: str, role: str) -> Wish:
    """What a credential of that caller is to be."""
    return Wish(
        f"app:{name}",
        frozenset({RoleHeld(role, SHANGHAI)}),
        frozenset({"service"}),
        utc_now() + timedelta(days=1),
    )


def operator() -> Asker:
    """Who runs commands on the gateway's own machine."""
    return Asker(new_id("req"), AsSystem("operator", {"maintenance"}).give, "maintenance")
