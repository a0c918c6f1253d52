"""Upstreams with habits of their own: one only disables what is deleted, one passes over null, one keeps our key in a field."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gateway.words.access import ResourceRef
from gateway.words.answer import Answer
from gateway.words.errors import BadAnswer
from gateway.words.record import ClosedRecord
from gateway.words.resource import Idempotency, Removal, Verb
from tests.upstream.crm import CRM, CUSTOMER, ISSUE, ROUNDUP, addressed, in_process, over_http, sealed


@pytest.fixture(params=[in_process, over_http])
async def upstream(request):
    async with request.param() as upstream:
        yield upstream


def ref(record: str, resource: str = "customer") -> ResourceRef:
    return ResourceRef("crm", resource, record)


DISABLING = replace(CUSTOMER, present_target="/customers?id={id}")
DISABLES = replace(CRM, resources={**CRM.resources, "customer": DISABLING})
THERE = {"items": [{"id": "c1"}], "total": 1}
ALIVE = {"id": "c1", "name": "e"}


async def test_a_record_that_was_only_disabled_is_not_there(upstream):
    spec = upstream.load(DISABLES)
    for _ in range(3):
        upstream.says(200, ALIVE, ("etag", '"1"'))
        upstream.says(200, {"items": [], "total": 0})
    what = addressed(spec, Verb.READ, "/customers/c1", "c1")

    assert await upstream.adapter.fetch(what) == Answer(404)
    assert await upstream.adapter.before(what) == Answer(404)
    assert await upstream.adapter.look(ref("c1"), DISABLING) is None
    assert [a.target for a in upstream.asked[:2]] == ["/customers/c1", "/customers?id=c1"]


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("present", [(200, {"items": [], "total": 0}), (404, {}), (500, {}), (200, THERE)])
async def test_a_record_that_is_not_there_costs_as_many_calls(upstream, status, present):
    spec = upstream.load(DISABLES)
    for _ in range(3):
        upstream.says(status)
        upstream.says(*present)
    what = addressed(spec, Verb.READ, "/customers/c1", "c1")

    assert await upstream.adapter.fetch(what) == Answer(status)
    assert await upstream.adapter.before(what) == Answer(status)
    assert await upstream.adapter.look(ref("c1"), DISABLING) is None
    assert [a.target for a in upstream.asked] == ["/customers/c1", "/customers?id=c1"] * 3


async def test_a_record_that_its_list_holds_is_there(upstream):
    spec = upstream.load(DISABLES)
    for _ in range(3):
        upstream.says(200, ALIVE, ("etag", '"1"'))
        upstream.says(200, THERE)
    what = addressed(spec, Verb.READ, "/customers/c1", "c1")

    assert (await upstream.adapter.fetch(what)).record == ClosedRecord(ref("c1"), ALIVE, '"1"')
    assert (await upstream.adapter.before(what)).record == ClosedRecord(ref("c1"), ALIVE, '"1"')
    assert (await upstream.adapter.look(ref("c1"), DISABLING)).ref == ref("c1")


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (200, {"items": [{"id": "c2"}]}),
        (200, {"items": [{"id": "c1"}, {"id": "c2"}]}),
        (200, ALIVE),
        (404, {}),
        (403, {}),
        (500, {}),
    ],
)
async def test_a_list_that_does_not_tell_whether_a_record_is_there_is_bad(upstream, status, document):
    spec = upstream.load(DISABLES)
    upstream.says(200, ALIVE)
    upstream.says(status, document)
    with pytest.raises(BadAnswer):
        await upstream.adapter.fetch(addressed(spec, Verb.READ, "/customers/c1", "c1"))


async def test_a_member_goes_as_the_upstream_understands_it(upstream):
    for removal, gone in ((Removal.NULL, None), (Removal.EMPTY, "")):
        resource = replace(CUSTOMER, removal=removal)
        spec = upstream.load(replace(CRM, resources={**CRM.resources, "customer": resource}))
        upstream.says(204)
        what = addressed(spec, Verb.UPDATE, "/customers/c1", "c1")
        await upstream.adapter.change(what, sealed({"name": None, "home": {"city": None, "zip": "1"}}), '"1"')

        assert json.loads(upstream.asked[-1].body) == {"name": gone, "home": {"city": gone, "zip": "1"}}


async def test_a_create_is_found_again_by_our_key_in_a_field(upstream):
    keyed = replace(ISSUE, idempotency=Idempotency.FIELD, lookup="/issue?mark={key}", lookup_field="/mark")
    spec = upstream.load(replace(ROUNDUP, resources={"issue": keyed}))
    upstream.says(201, {"data": {"id": "7"}})
    what = addressed(spec, Verb.CREATE, "/issue")
    await upstream.adapter.change(what, sealed({"title": "t", "mark": "gh-key"}, marker="gh-key"), None)
    upstream.answers.clear()
    upstream.says(
        200, {"data": {"collection": [{"id": "6", "mark": "gh-key-x"}, {"id": "7", "mark": "gh-key"}]}}
    )
    found = await upstream.adapter.find(ResourceRef("crm", "issue"), keyed, "gh-key")

    assert "idempotency-key" not in upstream.asked[0].headers
    assert found.ref == ref("7", "issue")
    assert upstream.asked[1].target.endswith("/issue?mark=gh-key")
