"""An intent whose record has no address any more is a person's matter, and holds up nobody else's intents of that upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from audit import AuditEvent, Kind, RecordPart
from gateway.corridor.settle import SYSTEM, Settler
from gateway.upstream import Adapter
from gateway.words.access import ResourceRef
from gateway.words.record import ClosedRecord
from gateway.words.resource import Idempotency, ResourceSpec, UpstreamSpec
from tests.gate.house import RESOURCE, House
from tests.upstream.crm import Upstream, in_process

THING = RESOURCE
BOX = replace(THING, name="box", id_public=False, subject=None, read_target="/boxes/{id}")
ITEM = replace(
    THING,
    name="item",
    parent="box",
    read_target="/boxes/{parent}/items/{id}",
    lookup="/boxes/{parent}/by-key/{key}",
)
CLOSED = {"version": None, "sealed": {}, "plain": {}, "marker": None, "seal": None}
LOST = {"parent": "ref_of_a_box_that_no_binding_has"}
DELETED = {**CLOSED, "verb": "delete", "reference": "t"}


@dataclass(frozen=True)
class Sight:
    """The real adapter, and specs by hand."""

    adapter: Adapter
    specs: Mapping[str, ResourceSpec]

    def resource(self, upstream: str, name: str) -> ResourceSpec | None:
        return self.specs.get(name)

    async def find(self, ref: ResourceRef, resource: ResourceSpec, marker: str) -> ClosedRecord | None:
        return await self.adapter.find(ref, resource, marker)

    async def look(self, ref: ResourceRef, resource: ResourceSpec) -> ClosedRecord | None:
        return await self.adapter.look(ref, resource)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with in_process() as served:
        served.load(UpstreamSpec("shelf", "/shelf", "embedded:", None, (), 1, 1, 10_000, (), {}))
        served.says(404)  # what was to be deleted is gone
        yield served


def settler(house: House, upstream: Upstream, **changed: ResourceSpec) -> Settler:
    specs = {"thing": THING, "box": BOX, "item": ITEM} | changed
    sight = Sight(upstream.adapter, specs)
    return Settler(house.log, sight, house.lens, (), house.gate.evidence, house.bell)


async def begun(house: House, kind: str, **body: Any) -> None:
    """An intent that nobody concluded."""
    where = {"upstream": "shelf", "type": kind}
    part = RecordPart({"subject": None, **CLOSED, **body})
    await house.log.append(
        AuditEvent(Kind.INTENT, "req_x", SYSTEM, f"{kind}:x", resource=where, records=(part,))
    )


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("item", {"verb": "update", "reference": "i", **LOST}),
        ("item", {"verb": "delete", "reference": "i", **LOST}),
        ("item", {"verb": "update", "reference": "i"}),  # it has a parent only since a load
        ("item", {"verb": "create", "reference": "", "marker": "m", **LOST}),
        ("item", {"verb": "send", "reference": "", "marker": "m"}),
        ("thing", {"verb": "update", "reference": ".."}),  # no segment of a path
        ("odd", {"verb": "create", "reference": "", "marker": "m"}),
        ("mute", {"verb": "create", "reference": "", "marker": "m"}),
    ],
)
async def test_what_has_no_address_is_told_once_and_holds_up_nobody(
    house: House, upstream: Upstream, kind: str, body: dict[str, Any]
) -> None:
    odd = replace(THING, name="odd", idempotency=Idempotency.NONE)  # so since a load
    settles = settler(house, upstream, odd=odd, mute=replace(THING, name="mute", lookup=None))
    await begun(house, kind, **body)
    await begun(house, "thing", **DELETED)
    first, second = await settles.round(timedelta(0)), await settles.round(timedelta(0))
    assert (first.closed, first.left_open, second.left_open) == (1, 1, 1)
    assert (await house.last())["upstream"]["result"] == "done"
    assert [asked.target for asked in upstream.asked] == ["/t"]  # only the other one was asked for
    assert [(a.kind.value, a.upstream, a.resource) for a in house.bell.rung] == [
        ("intent-stuck", "shelf", kind)
    ]


async def test_below_a_parent_whose_ids_are_public_it_is_looked_for(house: House, upstream: Upstream) -> None:
    settles = settler(house, upstream, box=replace(BOX, id_public=True))
    await begun(house, "item", verb="delete", reference="i", parent="b")
    assert (await settles.round(timedelta(0))).closed == 1
    assert [asked.target for asked in upstream.asked] == ["/boxes/b/items/i"]


async def test_a_create_that_is_searched_for_without_its_parent_needs_none(
    house: House, upstream: Upstream
) -> None:
    settles = settler(house, upstream, item=replace(ITEM, lookup="/items-by-key/{key}"))
    await begun(house, "item", verb="create", reference="", marker="m", **LOST)
    assert (await settles.round(timedelta(0))).closed == 1
    assert [asked.target for asked in upstream.asked] == ["/items-by-key/m"]
