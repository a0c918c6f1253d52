"""Whatever an upstream sends where a fact stands, its answer has an entry."""

from typing import Any

import pytest

from gateway.catalogue import of_draft, of_record
from gateway.words.decision import Facts
from gateway.words.errors import Code, GatehouseError
from gateway.words.resource import Verb
from tests.gate.house import House, call

BEYOND = (2**60, -(2**60), "x" * 2_000_000)


@pytest.mark.parametrize("beyond", BEYOND, ids=("large", "small", "long"))
async def test_a_fact_that_no_entry_could_hold_is_absent_and_the_record_is_served(
    house: House, monkeypatch: pytest.MonkeyPatch, beyond: object
) -> None:
    monkeypatch.setattr(house.gate.facts, "of_record", of_record)
    monkeypatch.setattr(house.gate.facts, "of_draft", of_draft)
    house.shelf.put("a", owner=beyond)
    for verb, record in ((Verb.READ, "a"), (Verb.LIST, None), (Verb.UPDATE, "a"), (Verb.CREATE, None)):
        body = {"name": "new", "owner": beyond} if verb is Verb.CREATE else {"name": "new"}
        assert (await house.gate.answer(call(verb, record, body=body))).status < 300
    assert await house.kinds() == ["served", "served", "intent", "outcome", "intent", "outcome"]


@pytest.mark.parametrize("beyond", BEYOND, ids=("large", "small", "long"))
@pytest.mark.parametrize("verb", [Verb.READ, Verb.UPDATE])
@pytest.mark.parametrize("secret", [True, False])
async def test_a_refusal_has_its_entry_whatever_the_facts_are(
    house: House, monkeypatch: pytest.MonkeyPatch, beyond: Any, verb: Verb, secret: bool
) -> None:
    def raw(*_: object) -> Facts:
        return Facts({"owner": beyond, "secret": secret})

    monkeypatch.setattr(house.gate.facts, "of_record", raw)
    house.shelf.put("a", name="one")
    with pytest.raises(GatehouseError) as refusal:
        await house.gate.answer(call(verb, "a", body={"name": "two"}))
    assert refusal.value.code is (Code.NOT_FOUND if secret else Code.INTERNAL)
    assert refusal.value.entry is not None
    assert await house.kinds() == ["denied"]
