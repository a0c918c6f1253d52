"""A request about a decoy is answered as any other, and its trap is sprung once, when the answer is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.rooms import Reply
from gateway.words.errors import Code, Denied, GatehouseError, Unavailable
from gateway.words.resource import Verb
from tests.gate.house import House, call

DECOY = frozenset({("shelf", "thing", "a")})


@pytest.fixture
def baited(house: House) -> House:
    rule = house.keys.rule
    house.keys.rule = lambda fence: replace(rule(fence), decoys=DECOY)
    for name in ("a", "b"):
        house.shelf.put(name, name="one", owner="me")
    return house


async def asked(house: House, verb: Verb, record: str | None = None, **given: Any) -> Reply | GatehouseError:
    try:
        return await house.gate.answer(call(verb, record, **given))
    except GatehouseError as error:
        return error


@pytest.mark.parametrize("verb", [Verb.READ, Verb.UPDATE, Verb.DELETE])
async def test_whoever_addresses_one_is_caught(baited: House, verb: Verb) -> None:
    assert isinstance(await asked(baited, verb, "b", body={"name": "two"}), Reply)
    assert baited.bell.caught == []
    assert isinstance(await asked(baited, verb, "a", body={"name": "two"}), Reply)
    assert baited.bell.caught == ["app:good"]


async def test_so_is_whoever_is_denied_or_asks_for_what_is_not_there(baited: House) -> None:
    baited.policy.closed.add("thing:read")
    assert isinstance(await asked(baited, Verb.READ, "a"), Denied)
    baited.policy.closed.clear()
    del baited.shelf.things["a"]
    assert isinstance(await asked(baited, Verb.READ, "a"), GatehouseError)
    assert baited.bell.caught == ["app:good"] * 2


async def test_a_list_that_shows_one_catches_and_one_that_hides_it_does_not(baited: House) -> None:
    baited.shelf.put("a", name="one", secret=True)
    assert isinstance(await asked(baited, Verb.LIST), Reply)
    assert baited.bell.caught == []
    baited.shelf.put("a", name="one")
    assert isinstance(await asked(baited, Verb.LIST), Reply)
    assert baited.bell.caught == ["app:good"]


async def test_what_is_below_one_and_what_names_one_catches(baited: House) -> None:
    await asked(baited, Verb.LIST, below="a")
    assert baited.bell.caught == ["app:good"]
    await asked(baited, Verb.CREATE, body={"name": "new", "owner": "a"}, below="b")
    assert baited.bell.caught == ["app:good"] * 2


async def test_what_is_below_one_catches_though_it_is_denied_at_once(baited: House) -> None:
    baited.policy.closed.add("thing:list")
    assert isinstance(await asked(baited, Verb.LIST, below="a"), Denied)
    assert baited.bell.caught == ["app:good"]


async def test_a_request_that_is_decided_anew_springs_it_once_and_at_its_end(baited: House) -> None:
    rule, fences = baited.keys.rule, []

    def at_first_an_older_fence(fence: int) -> Any:
        fences.append(list(baited.bell.caught))
        return rule(fence - 1 if len(fences) == 1 else fence)

    baited.keys.rule = at_first_an_older_fence
    assert isinstance(await asked(baited, Verb.READ, "a"), Reply)
    assert fences == [[], []]  # nobody was caught while it might still be answered otherwise
    assert baited.bell.caught == ["app:good"]
    baited.policy.unseen.add("thing:read")
    fences.clear()
    assert isinstance(await asked(baited, Verb.READ, "a"), Denied)
    assert baited.bell.caught == ["app:good"] * 2


async def test_one_that_is_never_answered_springs_it_all_the_same(baited: House) -> None:
    rule = baited.keys.rule
    baited.keys.rule = lambda fence: rule(fence - 1)
    error = await asked(baited, Verb.READ, "a")
    assert isinstance(error, Unavailable)
    assert error.code is Code.FENCE_MOVING
    assert baited.bell.caught == ["app:good"]
