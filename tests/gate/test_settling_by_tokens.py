"""An intent whose pointers hold tokens is settled by the members that they stand for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.words.errors import GatehouseError, NoAnswer
from gateway.words.record import SealedChange
from gateway.words.resource import FieldClass, FieldSpec, Verb
from tests.gate.house import RESOURCE, ByHand, House, call
from tests.gate.test_settling import settler

KIND = replace(RESOURCE, fields=(*RESOURCE.fields, FieldSpec("/by_phone/*/seen", FieldClass.INTERNAL)))
POINTER = "/by_phone/13800001234/seen"


@pytest.mark.parametrize(
    ("sent", "stands", "result"),
    [
        (1, 1, "done"),
        (1, 2, "unknowable"),
        (1, None, "unknowable"),
        (None, None, "done"),
        (None, 2, "unknowable"),
    ],
)
async def test_a_member_is_found_by_its_token(
    house: House, monkeypatch: pytest.MonkeyPatch, sent: Any, stands: Any, result: str
) -> None:
    async def sealed(*_: object) -> SealedChange:
        document = {"by_phone": {"13800001234": {"seen": sent}}}
        return SealedChange(document, (POINTER,), {}, False, None)

    ruled = house.keys.rule
    house.keys.rule = lambda fence: replace(ruled(fence), addresser=ByHand(KIND))
    monkeypatch.setattr(house.shelf, "resource", lambda *_: KIND)
    monkeypatch.setattr(house.lens, "seal_update", sealed)
    house.shelf.put("a", name="one")
    house.shelf.fails_before = NoAnswer()
    with pytest.raises(GatehouseError):
        await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "two"}))
    house.shelf.put("a", name="one", by_phone={} if stands is None else {"13800001234": {"seen": stands}})
    await settler(house).round(timedelta(0))
    assert (await house.last())["upstream"]["result"] == result
