"""The adapter over the real embedded store: created, found again, read, listed, changed on condition, deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.records import create_records
from gateway.store import Location, Tree, migrate, open_store
from gateway.upstream import Adapter, AllowedHosts, AsgiTransport, Places
from gateway.words.access import ResourceRef
from gateway.words.answer import Answer
from gateway.words.resource import PageRule, UpdateMode, Verb
from gateway.words.work import Query, Run
from tests.upstream.crm import CRM, CUSTOMER, LISTING, addressed, route, sealed

SPEC = replace(
    CRM,
    base="embedded:",
    credential=None,
    headers=(),
    routes=(
        *(r for r in CRM.routes if r.verb is not Verb.LIST),
        route(Verb.LIST, "GET", "customers", shape=LISTING, page=PageRule("limit", "cursor", None, size=3)),
        route(Verb.UPDATE, "PUT", "customers", "{id}", mode=UpdateMode.REPLACE),
    ),
)


@pytest.fixture
async def adapter(tmp_path):
    store = await open_store(Location.parse(f"sqlite:///{tmp_path}/records.db"))
    await migrate(store, Tree.of("records"))
    places = Places(environment={}, allowed=AllowedHosts([]), embedded=AsgiTransport(create_records(store)))
    places.load([SPEC])
    yield Adapter(places)
    await places.close()
    await store.close()


async def test_a_record_lives_its_life_through_the_adapter(adapter):
    create = addressed(SPEC, Verb.CREATE, "/customers")
    made = await adapter.change(create, sealed({"name": "gh1.sealed", "unit": "north"}, "key-1"), None)
    again = await adapter.change(create, sealed({"name": "gh1.sealed", "unit": "north"}, "key-1"), None)
    assert (made.status, again.status, made.created) == (201, 200, again.created)
    assert made.record.ref == ResourceRef("crm", "customer", made.created)
    assert dict(made.headers)["location"] == f"/crm/customers/{made.created}"

    found = await adapter.find(ResourceRef("crm", "customer"), CUSTOMER, "key-1")
    assert found == made.record
    assert await adapter.find(ResourceRef("crm", "customer"), CUSTOMER, "key-2") is None

    path = f"/customers/{made.created}"
    read = await adapter.fetch(addressed(SPEC, Verb.READ, path, made.created))
    assert read.record == made.record

    update = addressed(SPEC, Verb.UPDATE, path, made.created)
    before = (await adapter.before(update)).record
    changed = await adapter.change(update, sealed({"unit": "south"}), before.version)
    assert changed.record.fields["unit"] == "south"
    assert changed.record.version != before.version
    assert await adapter.change(update, sealed({"unit": "east"}), before.version) == Answer(412)

    delete = addressed(SPEC, Verb.DELETE, path, made.created)
    assert (await adapter.change(delete, None, changed.record.version)).status == 204
    assert await adapter.look(made.record.ref, CUSTOMER) is None
    assert await adapter.before(delete) == Answer(404)


async def test_a_list_is_read_run_by_run_to_its_end(adapter):
    create = addressed(SPEC, Verb.CREATE, "/customers")
    made = {
        (await adapter.change(create, sealed({"name": f"n{n}"}, f"key-{n}"), None)).created for n in range(7)
    }
    what = addressed(SPEC, Verb.LIST, "/customers", query=Query(passing=(("sort", "-id"),)))
    seen, position, runs = [], None, 0
    while True:
        page = (await adapter.page(what, what.work, Run(position))).page
        runs += 1
        seen += [record.ref.record for record in page.items]
        position = page.next
        if position is None:
            break

    assert (runs, seen) == (3, sorted(made, reverse=True))
