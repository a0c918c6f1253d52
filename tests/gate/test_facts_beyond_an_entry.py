"""Whatever an upstream sends where a fact stands: its answer has an entry, and no rule that asks for the fact is passed over."""

from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from gateway.catalogue import of_draft, of_record
from gateway.corridor.lists import Lister
from gateway.corridor.walk import Ruled
from gateway.policy import PolicyDecider
from gateway.policy.known import known
from gateway.policy.load import build
from gateway.words.decision import Facts
from gateway.words.errors import Code, GatehouseError, Refused
from gateway.words.resource import UpstreamSpec, Verb
from tests.gate.house import UPSTREAM, ByHand, House, SealsByHand, call, route
from tests.policy import worlds

BEYOND = (2**60, -(2**60), "x" * 2_000_000, 1.5, ["opted-out", 1], ["opted-out"] * 257)

ALLOWS = "".join(
    f"p, role:a, *, shelf/thing, {what}, {where}, service, True, allow\n"
    for what, where in (
        *((f"thing:{verb}", "-") for verb in ("read", "list", "create", "update", "delete")),
        ("show:clear", "internal"),
        ("set", "internal"),
    )
)
ASKS = 'p, role:b, *, shelf/thing, thing:*, -, *, "opted-out" in r.rec.owner, deny\ng, app:asks, role:b, *\n'


@dataclass(frozen=True)
class Shelves:
    """A catalogue of the house's one upstream."""

    upstreams: dict[str, UpstreamSpec]
    digest: str = "sha256:shelf"


def under_policy(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The house with real facts and the real decider: every key is of role a, `asks` of role b too, whose deny asks for the owner."""
    upstream = replace(UPSTREAM, routes=tuple(route(verb) for verb in Verb if verb is not Verb.SEND))
    ground = known(Shelves({"shelf": upstream}))
    policy = ALLOWS + ASKS + "g, app:good, role:a, *\ng, app:asks, role:a, *\n"
    bundle, findings = build(worlds.files(policy), ground)
    assert bundle is not None, findings
    monkeypatch.setattr(house.gate.facts, "of_record", of_record)
    monkeypatch.setattr(house.gate.facts, "of_draft", of_draft)
    decider = PolicyDecider(bundle)
    lister = Lister(house.shelf, house.gate.facts, house.lens, SealsByHand())
    house.keys.rule = lambda fence: Ruled(fence, ByHand(), decider, house.shelf, lister)
    house.keys.good.add("asks")
    house.keys.cached.add("asks")


@pytest.mark.parametrize("beyond", BEYOND, ids=("large", "small", "long", "fraction", "mixed", "many"))
async def test_what_is_no_fact_is_not_absent_and_the_record_can_be_repaired(
    house: House, monkeypatch: pytest.MonkeyPatch, beyond: Any
) -> None:
    under_policy(house, monkeypatch)
    house.shelf.put("a", name="one", owner=beyond)
    house.shelf.put("b", name="two", owner=["opted-in"])
    for verb, body in ((Verb.READ, None), (Verb.UPDATE, {"name": "new"}), (Verb.DELETE, None)):
        with pytest.raises(GatehouseError) as refusal:
            await house.gate.answer(call(verb, "a", key="asks", body=body))
        assert refusal.value.code is Code.NOT_FOUND
        last = await house.last()
        assert (last["kind"], last["decision"]["reason"]) == ("denied", "engine-error")
    assert house.shelf.forwarded == []
    seen = orjson.loads((await house.gate.answer(call(Verb.LIST, key="asks"))).body)
    assert [item["name"] for item in seen["items"]] == ["two"]  # one unfit record does not break the list
    assert (await house.gate.answer(call(Verb.READ, "a"))).status == 200  # whose rules do not ask sees it
    digest = (await house.last())["decision"]["facts"]
    repaired = call(Verb.UPDATE, "a", body={"owner": ["opted-out"]})
    assert (await house.gate.answer(repaired)).status == 200
    with pytest.raises(GatehouseError):
        await house.gate.answer(call(Verb.READ, "a", key="asks"))
    assert (await house.last())["decision"]["reason"] == "rule-denied"
    house.shelf.put("a", name="one")
    assert (await house.gate.answer(call(Verb.READ, "a", key="asks"))).status == 200
    assert (await house.last())["decision"]["facts"] != digest  # an entry tells absent from unfit


@pytest.mark.parametrize("beyond", BEYOND, ids=("large", "small", "long", "fraction", "mixed", "many"))
@pytest.mark.parametrize("key", ["good", "asks"])
async def test_a_record_is_not_created_with_what_is_no_fact(
    house: House, monkeypatch: pytest.MonkeyPatch, beyond: Any, key: str
) -> None:
    under_policy(house, monkeypatch)
    with pytest.raises(GatehouseError) as refusal:
        await house.gate.answer(call(Verb.CREATE, key=key, body={"name": "new", "owner": beyond}))
    assert isinstance(refusal.value, Refused)
    assert (refusal.value.code, refusal.value.params) == (Code.VALUE_REFUSED, {"field": "/owner"})
    assert (house.shelf.forwarded, await house.kinds()) == ([], ["denied"])


@pytest.mark.parametrize("beyond", BEYOND[:3], ids=("large", "small", "long"))
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
