"""A record stays its customer's, whatever the upstream's document leaves out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.words.errors import Code, Refused
from gateway.words.record import ClosedRecord
from gateway.words.resource import UpdateMode
from tests.fields.conftest import THREAD, WITHHELD, World


async def silent_thread(world: World) -> tuple[ClosedRecord, str, str]:
    """A bound thread whose upstream does not say whose it is; its own customer and another."""
    mine, other = await world.customer(), await world.customer()
    thread = await world.thread(mine)
    fields = {k: v for k, v in thread.fields.items() if k != "customer_id"}
    return replace(thread, fields=fields), mine.ref.record or "", other.ref.record or ""


@pytest.mark.parametrize("mode", list(UpdateMode))
@pytest.mark.parametrize("read", [{}, {"/customer_id": WITHHELD}])
async def test_another_customer_is_refused_where_the_document_names_none(
    world: World, mode: UpdateMode, read: Any
) -> None:
    thread, _, other = await silent_thread(world)
    shown = (await world.view(THREAD, thread, read)).document
    for sent in (other, "c99", [other], {"id": other}, True, 7, ""):
        with pytest.raises(Refused) as refused:
            await world.update(THREAD, thread, {**shown, "customer_id": sent}, read, mode=mode)
        assert (refused.value.code, refused.value.params.get("field")) == (
            Code.SUBJECT_CHANGED,
            "/customer_id",
        ), sent


@pytest.mark.parametrize("mode", list(UpdateMode))
async def test_null_is_refused_too_since_it_would_shut_the_record(world: World, mode: UpdateMode) -> None:
    thread, _, _ = await silent_thread(world)
    with pytest.raises(Refused) as refused:
        await world.update(THREAD, thread, {"customer_id": None, "title": "t"}, mode=mode)
    assert refused.value.code is Code.SUBJECT_CHANGED


@pytest.mark.parametrize("mode", list(UpdateMode))
async def test_its_own_customer_may_be_said(world: World, mode: UpdateMode) -> None:
    thread, mine, _ = await silent_thread(world)
    shown = (await world.view(THREAD, thread)).document
    change = await world.update(THREAD, thread, {**shown, "customer_id": mine}, mode=mode)
    assert change.set == ("/customer_id",)
    after = replace(thread, fields={**thread.fields, **change.document})
    assert (await world.view(THREAD, after)).document == {**shown, "customer_id": mine}
