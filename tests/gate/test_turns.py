"""One writer at a time per record: in this process, and among all replicas."""

import asyncio
from contextlib import nullcontext

import pytest

from gateway.corridor.turns import AT_ONCE, Turns
from gateway.store import Location, open_store
from gateway.words.access import ResourceRef
from gateway.words.errors import Unavailable

REF = ResourceRef("shelf", "thing", "a")
OTHER = ResourceRef("shelf", "thing", "b")


async def together(*of: tuple[Turns, ResourceRef]) -> int:
    """How many were inside at once."""
    inside, most = 0, 0

    async def write(turns: Turns, ref: ResourceRef) -> None:
        nonlocal inside, most
        async with turns.of(ref, ref.record or ""):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.03)
            inside -= 1

    await asyncio.gather(*(write(turns, ref) for turns, ref in of))
    return most


async def test_one_record_has_one_writer_and_two_records_have_two() -> None:
    turns = Turns()
    assert await together((turns, REF), (turns, REF), (turns, REF)) == 1
    assert await together((turns, REF), (turns, OTHER)) == 2


async def test_no_lock_outlives_its_users() -> None:
    turns = Turns()
    await together((turns, REF), (turns, REF), (turns, OTHER))
    assert turns._held == {}


@pytest.mark.postgres
async def test_replicas_take_turns_too(postgres: str) -> None:
    one = await open_store(Location.parse(postgres, schema="state"))
    other = await open_store(Location.parse(postgres, schema="state"))
    here, there = Turns(one.alone), Turns(other.alone)
    assert await together((here, REF), (there, REF), (here, REF), (there, REF)) == 1
    assert await together((here, REF), (there, OTHER)) == 2
    many = [(here, ResourceRef("shelf", "thing", str(n))) for n in range(20)]
    assert await together(*many) == AT_ONCE  # the store's other connections are everybody's
    await one.close()
    await other.close()


@pytest.mark.postgres
async def test_who_waits_too_long_for_another_process_is_told_to_come_again(postgres: str) -> None:
    one = await open_store(Location.parse(postgres, schema="state"))
    other = await open_store(Location.parse(postgres, schema="state"))
    patient, hasty = Turns(one.alone), Turns(other.alone, wait_seconds=0.1)
    async with patient.of(REF, "a"):
        with pytest.raises(Unavailable) as refusal:
            async with hasty.of(REF, "a"):
                pytest.fail("two writers")
        assert refusal.value.params["retry_after_seconds"] == 1
    async with hasty.of(REF, "a"):
        pass
    await one.close()
    await other.close()


async def test_what_a_writer_raises_gives_the_turn_back() -> None:
    turns = Turns(lambda _: nullcontext(True))
    for _ in range(AT_ONCE * 2):
        with pytest.raises(RuntimeError):
            async with turns.of(REF, "a"):
                raise RuntimeError
    assert await together((turns, REF)) == 1
