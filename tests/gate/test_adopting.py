"""A change that adopts its record binds it before anything is sent, and leaves nothing behind where nothing is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from audit import Kind, LogUnavailable
from gateway.words.errors import Code, Denied, GatehouseError, Refused
from gateway.words.record import Alarm, AlarmKind, SealedChange
from gateway.words.resource import Verb
from tests.gate.house import House, call
from tests.gate.test_after_the_intent import failing
from tests.gate.test_what_every_path_keeps import failing_at

TWO = call(Verb.UPDATE, "a", body={"name": "two"})


@pytest.fixture
def adopting(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house whose record is one that nobody bound: each change of it mints a seal."""
    house.shelf.put("a", name="one", owner="me")
    seal = house.lens.seal_update

    async def minting(*given: Any) -> SealedChange:
        made = await seal(*given)
        house.lens.pending.add("seal_new")
        return replace(made, pending="seal_new")

    monkeypatch.setattr(house.lens, "seal_update", minting)
    return house


async def test_the_record_is_bound_when_the_upstream_is_called(adopting: House) -> None:
    seen: list[dict[str, str]] = []
    adopting.shelf.during = lambda: seen.append(dict(adopting.lens.bound))
    assert (await adopting.gate.answer(TWO)).status == 200
    assert seen == [{"a": "seal_new"}]
    assert adopting.lens.pending == set()
    assert await adopting.kinds() == ["intent", "outcome"]


@pytest.mark.parametrize("why", ["denied", "unrecorded", "broken", "cancelled"])
async def test_what_is_not_sent_adopts_nothing(
    adopting: House, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    asked = TWO
    if why == "denied":
        asked = call(Verb.UPDATE, "a", body={"owner": "other"})
    elif why == "unrecorded":
        failing_at(adopting, monkeypatch, Kind.INTENT, LogUnavailable("gone"))
    else:
        error: BaseException = ValueError() if why == "broken" else asyncio.CancelledError()
        monkeypatch.setattr(adopting.lens, "pseudonym_of", failing(error))  # type: ignore[arg-type]
    with pytest.raises((GatehouseError, asyncio.CancelledError)):
        await adopting.gate.answer(asked)
    assert (adopting.lens.pending, adopting.lens.bound, adopting.shelf.forwarded) == (set(), {}, [])


@pytest.mark.parametrize(
    ("kind", "rung"),
    [(AlarmKind.ALREADY_BOUND, 0), (AlarmKind.RECORD_UNBOUND, 0), (AlarmKind.BINDING_BROKEN, 1)],
)
async def test_a_record_that_cannot_be_bound_is_not_changed(
    adopting: House, monkeypatch: pytest.MonkeyPatch, kind: AlarmKind, rung: int
) -> None:
    async def refused(*_: object) -> Alarm:
        return Alarm(kind, "shelf", "thing")

    monkeypatch.setattr(adopting.lens, "bind", refused)
    with pytest.raises(Refused) as refusal:
        await adopting.gate.answer(TWO)
    assert refusal.value.code is Code.CHANGED_MEANWHILE
    assert (adopting.shelf.forwarded, adopting.lens.pending) == ([], set())
    last = (await adopting.log.entries(0, 10))[-1]
    assert refusal.value.entry == f"{last.seq}:{last.hash}"
    assert (await adopting.last())["upstream"] == {"result": "not-sent"}
    assert await adopting.log.open_intents() == []
    assert adopting.bell.rung == [Alarm(kind, "shelf", "thing")] * rung


@pytest.mark.parametrize(("asked", "closed"), [(call(Verb.READ, "a"), "thing:read"), (TWO, "")])
async def test_the_entry_of_a_denial_says_who_denied_and_by_what(
    house: House, asked: Any, closed: str
) -> None:
    house.shelf.put("a", name="one", owner="me")
    house.policy.closed |= {closed} - {""}
    if not closed:
        asked = call(Verb.UPDATE, "a", body={"owner": "other"})  # what it would become is not his
    with pytest.raises(Denied) as denial:
        await house.gate.answer(asked)
    entry = await house.last()
    assert (entry["kind"], entry["decision"]["by"], entry["decision"]["reason"]) == (
        "denied",
        "bundle",
        "no-rule",
    )
    assert entry["decision"]["engine"] == denial.value.decision.engine
