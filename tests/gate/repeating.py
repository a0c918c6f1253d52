"""A change that is sent with a key, and what stands for it: for the stories of one caller and of many."""

from typing import Any

import pytest
from sqlalchemy import select

from gateway.idempotency.tables import IDEMPOTENCY_KEY
from gateway.rooms import Reply
from gateway.words.errors import GatehouseError
from gateway.words.resource import Verb
from tests.gate.house import House, call

NEW: dict[str, Any] = {"body": {"name": "new", "owner": "me"}}
CHANGES: list[tuple[Verb, str | None, Any]] = [
    (Verb.CREATE, None, {"name": "new"}),
    (Verb.UPDATE, "a", {"name": "changed"}),
    (Verb.DELETE, "a", None),
]


async def refused(house: House, verb: Verb = Verb.CREATE, record: str | None = None, **given: Any) -> Any:
    with pytest.raises(GatehouseError) as refusal:
        await house.gate.answer(call(verb, record, **{"once": "k1", **given}))
    return refusal.value


async def made(house: House, verb: Verb = Verb.CREATE, record: str | None = None, **given: Any) -> Reply:
    return await house.gate.answer(call(verb, record, **{"once": "k1", **given}))


async def rows(house: House) -> list[Any]:
    return list(await house.state.read(lambda c: c.execute(select(IDEMPOTENCY_KEY)).all()))


def ref(entry: Any) -> str:
    return f"{entry.seq}:{entry.hash}"
