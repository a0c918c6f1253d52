"""A bundle is in force from its entry on, for everybody, and credentials are read after the fence that they are good for."""

import asyncio
from pathlib import Path

import pytest

from audit import AuditEvent, Kind
from gateway.corridor.inforce import InForce
from gateway.corridor.walk import Ruled
from gateway.words.errors import Code, Unavailable
from tests.gate.house import House, build

CHANGE = AuditEvent(Kind.CHANGE, "req_x", {"application": "system:test"}, "bundle:activate")


class Reading:
    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> None:
        self.times += 1
        await asyncio.sleep(0)


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return await build(tmp_path)


def in_force(house: House, reading: Reading) -> InForce:
    return InForce(house.log, reading, house.keys.now)


async def test_requests_that_find_out_together_share_one_reading(house: House) -> None:
    reading = Reading()
    held = in_force(house, reading)
    await house.log.append(CHANGE, raises_fence=True)
    await asyncio.gather(*(held.refresh() for _ in range(20)))
    assert reading.times == 1
    assert held.now.fence == 1
    await house.close()


async def test_what_another_process_changed_is_read_without_any_request_and_only_then(house: House) -> None:
    reading = Reading()
    held = in_force(house, reading)
    await held.catch_up()
    assert reading.times == 0
    await house.log.append(CHANGE, raises_fence=True)
    await held.catch_up()
    await held.catch_up()
    assert reading.times == 1
    assert held.now.fence == 1
    await house.close()


async def test_a_bundle_is_not_in_force_before_its_entry(house: House) -> None:
    held = in_force(house, Reading())
    new = Ruled(0, *[object()] * 4)  # type: ignore[arg-type]  # which rooms is not looked at
    house.disk.full = True
    with pytest.raises(Unavailable) as refusal:
        await held.activate(new, CHANGE)
    assert refusal.value.code is Code.LOG_UNAVAILABLE
    assert held.now.decider is house.keys.now.decider
    await house.close()


async def test_an_activation_whose_entry_turns_up_late_is_completed_before_anybody_is_served(
    house: House,
) -> None:
    held = in_force(house, Reading())
    new = Ruled(0, *[object()] * 4)  # type: ignore[arg-type]  # which rooms is not looked at
    house.disk.full = True
    with pytest.raises(Unavailable):
        await held.activate(new, CHANGE)
    house.disk.full = False
    await house.log.append(CHANGE, raises_fence=True)  # as if the lost commit had been there after all
    await held.refresh()
    assert held.now.decider is new.decider
    await house.close()


async def test_a_bundle_and_its_fence_come_together(house: House) -> None:
    held = in_force(house, Reading())
    new = Ruled(0, *[object()] * 4)  # type: ignore[arg-type]  # which rooms is not looked at
    receipt = await held.activate(new, CHANGE)
    assert held.now.fence == receipt.fence == 1
    assert held.now.decider is new.decider
    await house.close()
