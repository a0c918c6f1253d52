"""Bindings at their edges: whose keys go with a create that never came, and which record a seal was minted for."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, func, select

from gateway.fields.bindings import Bindings
from gateway.fields.tables import BINDING, DATA_KEY, SUBJECT
from gateway.keys import KeyedEvidence, Keyring
from gateway.words.access import ResourceRef
from gateway.words.binding import Pending
from gateway.words.draft import Draft
from gateway.words.record import AlarmKind, SealedChange
from tests.fields.conftest import CUSTOMER, MATERIAL, NOW, World, asked, decision, principal

RING = Keyring(MATERIAL)
BINDINGS = Bindings(RING)
A, B = (ResourceRef("crm", "customer", name) for name in "ab")


async def founding(world: World) -> SealedChange:
    """A create on its way, of a customer who is not there before it."""
    return await world.lens.seal_create(
        asked(CUSTOMER), Draft({"name": "张伟"}), decision(CUSTOMER), principal()
    )


async def counted(world: World) -> tuple[int, int]:
    """How many data subjects there are, and how many data keys."""

    def count(connection: Connection) -> tuple[int, int]:
        subjects, keys = (select(func.count()).select_from(table) for table in (SUBJECT, DATA_KEY))
        return connection.execute(subjects).scalar_one(), connection.execute(keys).scalar_one()

    return await world.store.read(count)


def pending(subject: str | None, *, adopts: ResourceRef | None = None) -> Pending:
    assert subject is not None
    return Pending("seal_2", "crm", "customer", subject, False, None, None, NOW, adopts)


async def test_a_create_that_never_came_takes_the_subject_and_the_keys_that_it_founded_with_it(
    world: World,
) -> None:
    made = await founding(world)
    assert (await counted(world))[0] == 1
    assert await world.lens.drop_pending(made.pending or "") is True
    assert await counted(world) == (0, 0)


async def test_a_subject_that_another_record_needs_outlives_the_create_that_founded_it(world: World) -> None:
    made = await founding(world)
    there = await counted(world)
    await world.store.write(lambda c: BINDINGS.begin(c, pending(made.subject)))
    assert await world.lens.drop_pending(made.pending or "") is True
    assert await counted(world) == there
    assert await world.lens.drop_pending("seal_2") is True  # which founded nothing
    assert await counted(world) == there


@pytest.mark.parametrize("parent", [None, ResourceRef("crm", "customer", "above")])
async def test_a_seal_that_was_minted_for_one_record_binds_no_other(
    world: World, parent: ResourceRef | None
) -> None:
    made = await founding(world)
    own = ResourceRef("crm", "customer", "a", parent)
    await world.store.write(lambda c: BINDINGS.begin(c, pending(made.subject, adopts=own)))
    alarm = await world.lens.bind_pending("seal_2", B)
    assert alarm is not None
    assert alarm.kind is AlarmKind.BINDING_BROKEN
    assert await world.lens.bind_pending("seal_2", A) is None
    found = await world.store.read(
        lambda c: BINDINGS.get(c, [("crm", "customer", "a"), ("crm", "customer", "b")])
    )
    assert list(found) == [("crm", "customer", "a")]


async def test_a_row_whose_sealed_place_is_another_record_opens_neither(world: World) -> None:
    """Only who has the root could write it, and then not by this gateway: each of the two locks holds by itself."""
    subject = (await founding(world)).subject
    token = KeyedEvidence(RING).token("crm", "customer", "a")
    row = {
        "seal": "seal_3", "upstream": "crm", "resource": "customer", "ref": token, "place": BINDINGS._place("seal_3", "b", None),
        "subject": subject, "founds": False, "state": "bound", "marker": None, "created": NOW,
    }  # fmt: skip
    await world.store.write(lambda c: c.execute(BINDING.insert(), {**row, "mac": BINDINGS._mac(row)}))
    asked_for = [("crm", "customer", "a"), ("crm", "customer", "b")]
    found = await world.store.read(lambda c: BINDINGS.get(c, asked_for))
    assert found == {("crm", "customer", "a"): AlarmKind.BINDING_BROKEN}


def test_what_a_row_is_authenticated_by_is_pinned() -> None:
    """The rows outlive the program: one that reads them otherwise takes every binding for a broken one."""
    row = {
        "seal": "seal_4", "upstream": "crm", "resource": "customer", "ref": None, "place": b"sealed",
        "subject": "sub_1", "founds": True, "state": "pending", "marker": "gh-1", "created": NOW,
    }  # fmt: skip
    assert BINDINGS._mac(row).hex() == "958d73c61efb6d1b45c0596ef7fda015415e41d091fc129d1b686402bb1fdb04"
