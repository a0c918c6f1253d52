"""The control plane over a real desk."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.activating import Activating, History
from gateway.control import ControlDeps, TokenDoor, create_control
from gateway.credentials import Freezes
from gateway.explaining import Explaining
from gateway.wire.json import dump
from tests.control.client import Client
from tests.credentials.desk_house import GATEWAY, NOW, Desks, open_desks


@dataclass
class Plane:
    """The control plane, the desk behind it, and a client in front of it."""

    desks: Desks
    ask: Client
    deps: ControlDeps
    bundle: list[str | None]


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_desks(tmp_path / "home") as desks:
        bundle: list[str | None] = ["sha256:" + "0" * 64]
        deps = ControlDeps(
            assertion_keys=b'{"keys":[{"kid":"one"}]}',
            identity=desks.identity,
            keys=desks.keys,
            freezes=Freezes(desks.keys.desk, desks.keys.reload),
            log=desks.log,
            stores={"state": desks.store},
            bundle=lambda: bundle[0],
            explaining=Explaining(desks.keys.desk, None, None, None),  # nothing here is explained
            activating=Activating(desks.keys.desk, desks.log, None),  # and no bundle comes in force
            history=History(desks.keys.desk, desks.log, None),
            tokens=TokenDoor(
                desks.tokens, desks.clients, GATEWAY, "gatehouse", jwks=lambda: dump(desks.access.jwks(NOW))
            ),
        )
        client = Client.of(create_control(deps))
        yield Plane(desks, client, deps, bundle)
        client.metrics.close()
