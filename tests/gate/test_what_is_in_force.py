"""A bundle is in force from its entry on, for everybody, and credentials are read after the fence that they are good for."""

import asyncio
from pathlib import Path

import pytest

from audit import AuditEvent, Kind, Stale
from gateway.corridor.inforce import InForce
from gateway.corridor.walk import Ruled
from gateway.words.errors import Code, Unavailable
from tests.gate.house import House, build

ROOMS = [object()] * 4
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


class Following:
    """What another process puts in force, and what was asked for it."""

    def __init__(self, ruled: Ruled | None = None) -> None:
        self.ruled = ruled
        self.asked: list[tuple[int, int]] = []
        self.away = False

    async def __call__(self, after: int, upto: int) -> Ruled | None:
        self.asked.append((after, upto))
        if self.away:
            raise Unavailable(Code.NOT_READY)
        return self.ruled


def in_force(house: House, reading: Reading, following: Following | None = None) -> InForce:
    return InForce(house.log, reading, house.keys.now, following or Following())


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
    new = Ruled(0, *[object()] * 4)  # type: ignore[arg-type]  # which rooms is not looked at
    held = in_force(house, Reading(), Following(new))
    house.disk.full = True
    with pytest.raises(Unavailable):
        await held.activate(new, CHANGE)
    assert held.now.decider is house.keys.now.decider
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


async def test_what_another_puts_in_force_is_taken_before_the_fence_that_it_raised(house: House) -> None:
    new, reading = Ruled(0, *ROOMS), Reading()  # type: ignore[arg-type]  # which rooms is not looked at
    following = Following(new)
    held = InForce(house.log, reading, house.keys.now, following)
    receipt = await house.log.append(CHANGE, raises_fence=True)
    following.away = True
    with pytest.raises(Unavailable):
        await held.refresh()
    assert (held.now.fence, held.now.decider) == (
        0,
        house.keys.now.decider,
    )  # refused as stale until it can be had
    following.away = False
    await held.refresh()
    assert (held.now.fence, held.now.decider) == (receipt.fence, new.decider)
    assert following.asked == [(0, receipt.seq)] * 2
    await house.close()


async def test_each_entry_is_looked_at_once_and_none_while_the_fence_stands(house: House) -> None:
    following = Following()
    held = InForce(house.log, Reading(), house.keys.now, following)
    first = await held.activate(Ruled(0, *ROOMS), CHANGE)  # type: ignore[arg-type]  # as above
    assert following.asked == []  # what others entered before it is over
    note = AuditEvent(Kind.NOTE, "req_x", {"application": "system:test"}, "test:note")
    for _ in range(3):
        last = await house.log.append(note)
        await held.catch_up()
    assert following.asked == []
    raised = await house.log.append(CHANGE, raises_fence=True)
    await held.catch_up()
    assert following.asked == [(last.seq, raised.seq)]
    assert first.seq < last.seq
    await house.close()


async def test_an_activation_that_something_came_before_is_not_made(house: House) -> None:
    held = in_force(house, Reading())
    await held.catch_up()
    fence = held.now.fence
    await house.log.append(CHANGE, raises_fence=True)
    with pytest.raises(Stale):
        await held.activate(Ruled(0, *ROOMS), CHANGE, fence)  # type: ignore[arg-type]  # as above
    assert held.now.decider is house.keys.now.decider
    assert (await house.log.head()).seq == 1
    await house.close()
