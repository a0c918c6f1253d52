"""Changes, and the reconciler's reads, in-process and over HTTP alike."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gateway.words.access import ResourceRef
from gateway.words.answer import Answer
from gateway.words.errors import BadAnswer, NoAnswer, NotSent
from gateway.words.record import ClosedRecord
from gateway.words.resource import Idempotency, IdForm, Verb, Versioning
from gateway.words.work import Run
from tests.upstream.crm import CRM, ISSUE, ROUNDUP, addressed, in_process, over_http, sealed
from tests.upstream.seen import ref


@pytest.fixture(params=[in_process, over_http])
async def upstream(request):
    async with request.param() as upstream:
        yield upstream


# ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_create_carries_its_key_and_gives_the_new_id(upstream):
    spec = upstream.load(CRM)
    base = upstream.base.removeprefix("embedded:")
    upstream.says(201, {"id": "c9", "name": "e"}, ("location", base + "/customers/c9"), ("etag", '"1"'))
    what = addressed(spec, Verb.CREATE, "/customers")
    answer = await upstream.adapter.change(what, sealed({"name": "e"}), None)

    asked = upstream.asked[0]
    assert (asked.method, asked.target, json.loads(asked.body)) == ("POST", "/customers", {"name": "e"})
    assert asked.headers["idempotency-key"] == "mark-1"
    assert asked.headers["content-type"] == "application/json"
    assert "if-match" not in asked.headers
    assert (answer.status, answer.created) == (201, "c9")
    assert answer.record == ClosedRecord(ref("c9"), {"id": "c9", "name": "e"}, '"1"')
    assert dict(answer.headers)["location"] == "/crm/customers/c9"


@pytest.mark.parametrize(
    "location",
    [
        "/customers/c%2F9",
        "/customers/",
        "/customers",
        "/other/c9",
        "/customers/c9/x",
        "http://evil.test/customers/c9",
        "/customers/c9?x=1",
        "/customers/%2e%2e",
    ],
)
async def test_a_create_that_does_not_say_what_it_made_is_bad(upstream, location):
    spec = upstream.load(CRM)
    upstream.says(201, None, ("location", location))
    with pytest.raises(BadAnswer) as refused:
        await upstream.adapter.change(addressed(spec, Verb.CREATE, "/customers"), sealed({}), None)

    assert refused.value.status == 201


NO_IDS = [
    "../x",
    "..",
    ".",
    "a/b",
    "a%2Fb",
    "x;y",
    " ",
    "\n",
    "\0",
    "a" * 300,
    "\N{FULLWIDTH SOLIDUS}",
    "汉" * 250,
]
"""What nobody could ask for by: no path holds it, or no id is so long."""


@pytest.mark.parametrize("made", NO_IDS)
async def test_a_create_that_answers_with_an_id_that_nobody_can_ask_for_is_bad(upstream, made):
    spec = upstream.load(CRM)
    upstream.says(201, {"id": made, "name": "e"})
    with pytest.raises(BadAnswer) as refused:
        await upstream.adapter.change(addressed(spec, Verb.CREATE, "/customers"), sealed({}), None)

    assert refused.value.status == 201


async def test_a_created_id_has_its_resources_form(upstream):
    numbered = replace(CRM.resources["customer"], id_form=IdForm.NUMBER)
    spec = upstream.load(replace(CRM, resources={**CRM.resources, "customer": numbered}))
    what = replace(addressed(spec, Verb.CREATE, "/customers"), resource=numbered)
    for said in ("01", "c9", -1):
        upstream.answers[:] = [(201, {"id": said}, ())]
        with pytest.raises(BadAnswer):
            await upstream.adapter.change(what, sealed({}), None)
    upstream.answers[:] = [(201, {"id": 10}, ())]
    assert (await upstream.adapter.change(what, sealed({}), None)).created == "10"


async def test_a_created_id_may_stand_in_location_alone(upstream):
    spec = upstream.load(CRM)
    upstream.says(201, None, ("location", "/customers/li%40x"))
    answer = await upstream.adapter.change(addressed(spec, Verb.CREATE, "/customers"), sealed({}), None)

    assert (answer.created, answer.record) == ("li@x", None)


async def test_a_body_and_a_location_that_differ_are_bad(upstream):
    spec = upstream.load(CRM)
    upstream.says(201, {"id": "c8"}, ("location", "/customers/c9"))
    with pytest.raises(BadAnswer):
        await upstream.adapter.change(addressed(spec, Verb.CREATE, "/customers"), sealed({}), None)


async def test_a_create_that_answers_with_less_than_the_record_gives_its_id_only(upstream):
    spec = upstream.load(ROUNDUP)
    upstream.says(201, {"data": {"id": "5", "link": "x"}})
    answer = await upstream.adapter.change(
        addressed(spec, Verb.CREATE, "/issue"), sealed({"title": "e"}), None
    )

    assert (answer.created, answer.record) == ("5", None)
    assert "idempotency-key" not in upstream.asked[0].headers


async def test_an_update_is_conditional_and_stands_at_the_bodys_root(upstream):
    shape = replace(ROUNDUP.routes[3].shape, body_root="/data/attributes")
    spec = upstream.load(replace(ROUNDUP, routes=(replace(ROUNDUP.routes[3], shape=shape),)))
    upstream.says(200, {"data": {"id": "5", "attributes": {"title": "new"}, "@etag": "2"}})
    what = addressed(
        spec, Verb.UPDATE, "/issue/5", "5", headers=(("content-type", "application/merge-patch+json"),)
    )
    answer = await upstream.adapter.change(what, sealed({"title": "new"}), '"1"')

    asked = upstream.asked[0]
    assert (asked.method, asked.headers["if-match"]) == ("PATCH", '"1"')
    assert asked.headers["content-type"] == "application/merge-patch+json"
    assert "idempotency-key" not in asked.headers
    assert json.loads(asked.body) == {"data": {"attributes": {"title": "new"}}}
    assert (answer.record.version, answer.created) == ('"2"', None)


async def test_an_answer_to_a_change_that_names_another_record_is_bad(upstream):
    spec = upstream.load(ROUNDUP)
    upstream.says(200, {"data": {"id": "6"}})
    with pytest.raises(BadAnswer):
        await upstream.adapter.change(addressed(spec, Verb.UPDATE, "/issue/5", "5"), sealed({}), '"1"')


@pytest.mark.parametrize("document", [{"ok": True}, {"data": {"id": "5", "attribute": {}}}, None])
async def test_an_answer_to_a_change_need_not_hold_the_record(upstream, document):
    spec = upstream.load(ROUNDUP)
    upstream.says(200, document)
    answer = await upstream.adapter.change(addressed(spec, Verb.UPDATE, "/issue/5", "5"), sealed({}), '"1"')

    assert (answer.status, answer.record) == (200, None)
    assert (
        upstream.adapter.compose(
            addressed(spec, Verb.UPDATE, "/issue/5", "5"), [], answer, following=None, total=None
        )
        == {}
    )


@pytest.mark.parametrize("condition", [None, "*"])
@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.DELETE])
async def test_a_change_without_a_version_is_not_sent_where_the_upstream_keeps_versions(
    upstream, verb, condition
):
    spec = upstream.load(CRM)
    with pytest.raises(NotSent):
        await upstream.adapter.change(addressed(spec, verb, "/customers/c1", "c1"), sealed({}), condition)

    assert upstream.asked == []


async def test_an_upstream_without_versions_gets_no_condition(upstream):
    none = replace(CRM.resources["customer"], versioning=Versioning.NONE)
    spec = upstream.load(replace(CRM, resources={"customer": none}))
    upstream.says(200, {"id": "c1"}, ("etag", '"1"'))
    answer = await upstream.adapter.change(
        addressed(spec, Verb.UPDATE, "/customers/c1", "c1"), sealed({}), None
    )

    assert "if-match" not in upstream.asked[0].headers
    assert answer.record.version is None


async def test_a_delete_sends_no_body_and_shows_none(upstream):
    spec = upstream.load(ROUNDUP)
    upstream.says(200, {"data": {"id": "7", "attributes": {"title": "the record that is gone"}}})
    upstream.says(204)
    what = addressed(spec, Verb.DELETE, "/issue/5", "5")

    assert await upstream.adapter.change(what, None, '"1"') == Answer(200)
    assert await upstream.adapter.change(what, None, '"1"') == Answer(204)
    assert (upstream.asked[0].method, upstream.asked[0].body) == ("DELETE", b"")
    assert "content-type" not in upstream.asked[0].headers


async def test_a_change_without_a_document_or_a_needed_key_is_not_sent(upstream):
    spec = upstream.load(CRM)
    for change in (None, sealed({}, marker=None), sealed({}, marker="a\r\nb")):
        with pytest.raises(NotSent):
            await upstream.adapter.change(addressed(spec, Verb.CREATE, "/customers"), change, None)

    assert upstream.asked == []


async def test_a_link_that_is_written_back_is_the_upstreams_own_again(upstream):
    spec = upstream.load(CRM)
    base = upstream.base.removeprefix("embedded:")
    upstream.says(200, {"id": "c1", "self": base + "/customers/c1", "orders": [{"link": base + "/orders/1"}]})
    what = addressed(spec, Verb.UPDATE, "/customers/c1", "c1")
    before = await upstream.adapter.before(what)
    change = sealed(before.record.fields)
    await upstream.adapter.change(what, change, '"1"')

    assert json.loads(upstream.asked[1].body) == upstream.answers[0][1]


# ── the reconciler's reads ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_record_that_is_gone_is_none_and_any_other_refusal_is_not(upstream):
    upstream.load(CRM)
    upstream.says(404)
    upstream.says(410)
    upstream.says(403)
    upstream.says(500)
    look = upstream.adapter.look
    customer = CRM.resources["customer"]

    assert await look(ref("c1"), customer) is None
    assert await look(ref("c1"), customer) is None
    for _ in range(2):
        with pytest.raises(BadAnswer):
            await look(ref("c1"), customer)


@pytest.mark.parametrize(
    "document",
    [
        {"id": "c1", "name": "e"},
        {"type": "customer", "record": {"id": "c1", "name": "e"}},
        {"items": [{"id": "c1", "name": "e"}]},
    ],
)
async def test_a_create_is_found_again_by_its_key(upstream, document):
    upstream.load(CRM)
    upstream.says(200, document)
    found = await upstream.adapter.find(ResourceRef("crm", "customer"), CRM.resources["customer"], "key-1")

    assert (found.ref, found.fields) == (ref("c1"), {"id": "c1", "name": "e"})
    assert upstream.asked[0].target == "/by-key/key-1"


async def test_a_create_is_found_again_by_its_envelopes_exact_text(upstream):
    upstream.load(ROUNDUP)
    collection = [{"id": "1", "title": "x-mark-x"}, {"id": "2", "title": "mark"}, {"id": "3"}]
    upstream.says(200, {"data": {"collection": collection, "@total_size": 3}})
    found = await upstream.adapter.find(ResourceRef("crm", "issue"), ISSUE, "mark")

    assert found.ref == ref("2", "issue")
    assert upstream.asked[0].target.endswith("/issue?title=mark&@fields=title")


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (200, {"collection": [{"id": "1", "title": "mark"}, {"id": "2", "title": "mark"}]}),
        (200, {"collection": [], "@total_size": 30}),
        (200, {"collection": [{"id": "1", "title": "another"}]}),
        (200, {"collection": [{"id": "1", "title": "x-mark-x"}, {"id": "2", "title": "another"}]}),
        (200, {"collection": [{"id": "1", "title": "x-mark-x"}, {"id": "2"}]}),
        (200, {"collection": [{"id": "1", "title": None}]}),
        (200, {"attributes": {"title": "mark"}}),
        (404, {}),
        (500, {}),
    ],
)
async def test_a_search_that_does_not_tell_for_certain_is_bad(upstream, status, data):
    upstream.load(ROUNDUP)
    upstream.says(status, {"data": data})
    with pytest.raises(BadAnswer):
        await upstream.adapter.find(ResourceRef("crm", "issue"), ISSUE, "mark")


@pytest.mark.parametrize("made", NO_IDS)
async def test_a_create_is_not_found_again_as_what_nobody_can_ask_for(upstream, made):
    upstream.load(CRM)
    upstream.says(200, {"id": made, "name": "e"})
    with pytest.raises(BadAnswer):
        await upstream.adapter.find(ResourceRef("crm", "customer"), CRM.resources["customer"], "key-1")


async def test_a_search_that_finds_nothing_is_none(upstream):
    upstream.load(ROUNDUP)
    upstream.says(200, {"data": {"collection": [], "@total_size": 0}})
    assert await upstream.adapter.find(ResourceRef("crm", "issue"), ISSUE, "mark") is None

    upstream.load(ROUNDUP)
    upstream.says(200, {"data": {"collection": [{"id": "1", "title": "x-mark-x"}], "@total_size": 1}})
    assert await upstream.adapter.find(ResourceRef("crm", "issue"), ISSUE, "mark") is None

    upstream.load(CRM)
    upstream.says(404)
    assert (
        await upstream.adapter.find(ResourceRef("crm", "customer"), CRM.resources["customer"], "mark") is None
    )


async def test_what_cannot_be_found_again_is_unknown(upstream):
    upstream.load(CRM)
    nothing = replace(CRM.resources["customer"], idempotency=Idempotency.NONE, lookup=None)
    with pytest.raises(NoAnswer):
        await upstream.adapter.find(ResourceRef("crm", "customer"), nothing, "mark")


async def test_the_versions_header_is_given_only_where_the_route_lets_it_pass(upstream):
    spec = upstream.load(CRM)
    what = addressed(spec, Verb.UPDATE, "/customers/c1", "c1")
    record = ClosedRecord(what.ref, {}, '"7"')
    closed = replace(what, route=replace(what.route, response_headers=frozenset()))

    assert upstream.adapter.version_headers(what, record) == (("etag", '"7"'),)
    assert upstream.adapter.version_headers(what, replace(record, version=None)) == ()
    assert upstream.adapter.version_headers(closed, record) == ()


async def test_alarms_about_unknown_members_are_bounded(upstream):
    spec = upstream.load(CRM)
    what = addressed(spec, Verb.LIST, "/customers")
    told = 0
    for n in range(6):
        name = "abcdef"[n]
        members = {f"{name}{a}{b}": 1 for a in "abcdefghijklmno" for b in "abcdefghijklmno"}
        upstream.answers[:] = [(200, {"items": [], **members}, ())]
        told += len((await upstream.adapter.page(what, what.work, Run())).alarms)

    assert told == 1_000
