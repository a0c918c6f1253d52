"""What a 403 says of its reason is made without the record: two records that differ in what is hidden get the same bytes."""

from __future__ import annotations

import pytest

from gateway.text import Language
from gateway.text.problems import problem
from gateway.words.errors import Code, Denied, GatehouseError
from gateway.words.resource import Verb
from tests.gate.house import House, call


async def refused(house: House, verb: Verb, record: str, **body: object) -> GatehouseError:
    with pytest.raises(GatehouseError) as caught:
        await house.gate.answer(call(verb, record, body=body or None))
    return caught.value


def told(error: GatehouseError) -> bytes:
    error.entry = None
    return problem(error, Language.ENGLISH, "req_1").body


async def test_a_change_that_is_denied_is_explained_without_the_record(house: House) -> None:
    house.shelf.put("one", name="a", owner="other", secret=False)
    house.shelf.put("two", name="b", owner="other", secret=False, level="vip")
    one, two = [await refused(house, Verb.UPDATE, name, name="x") for name in ("one", "two")]
    assert isinstance(one, Denied)
    assert (one.code, one.told is not None) == (Code.DENIED, True)
    assert told(one) == told(two)
    assert b'"detail"' in told(one)


async def test_what_is_denied_before_any_record_is_explained_whether_or_not_there_is_one(
    house: House,
) -> None:
    house.policy.closed.add("thing:read")
    house.shelf.put("one", name="a")
    there, nowhere = [await refused(house, Verb.READ, name) for name in ("one", "none")]
    assert told(there) == told(nowhere)
    assert there.code is Code.DENIED
    assert house.shelf.reads == 0


async def test_a_hidden_record_is_not_explained(house: House) -> None:
    house.shelf.put("one", name="a", secret=True)
    hidden, nowhere = [
        await refused(house, verb, name) for verb, name in ((Verb.READ, "one"), (Verb.READ, "none"))
    ]
    assert hidden.code is nowhere.code is Code.NOT_FOUND
    assert told(hidden) == told(nowhere)
    assert house.policy.explained == []
