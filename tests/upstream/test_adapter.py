"""From work to closed records and back to answers, in-process and over HTTP alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.words.access import ResourceRef
from gateway.words.answer import Answer
from gateway.words.errors import BadAnswer, NotSent
from gateway.words.record import ClosedRecord
from gateway.words.resource import FieldClass, Verb
from gateway.words.work import Query, Run
from tests.upstream.crm import CRM, MESSAGE, ROUNDUP, addressed, in_process, over_http, route, sealed
from tests.upstream.seen import patterns, ref, view


@pytest.fixture(params=[in_process, over_http])
async def upstream(request):
    async with request.param() as upstream:
        yield upstream


# ── what goes out ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_read_goes_out_as_addressed_with_our_credential_and_only_listed_headers(upstream):
    spec = upstream.load(CRM)
    upstream.says(200, {"id": "c%1"})
    headers = (
        ("accept-language", "zh"),
        ("x-unlisted", "1"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "10.0.0.1"),
        ("authorization", "Bearer caller"),
        ("if-none-match", '"1"'),
        ("x-fixed", "callers"),
        ("x-flag", "a\x01b"),
    )
    what = addressed(spec, Verb.READ, "/customers/c%251", "c%1", raw_query="x=%E9%BE%99", headers=headers)
    await upstream.adapter.fetch(what)

    asked = upstream.asked[0]
    assert (asked.method, asked.target, asked.body) == ("GET", "/customers/c%251?x=%E9%BE%99", b"")
    host = asked.headers.pop("host")
    assert host in ("embedded", upstream.base.removeprefix("http://"))
    assert asked.headers == {
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "gatehouse",
        "x-fixed": "always",
        "authorization": "Bearer s3cret",
        "accept-language": "zh",
    }
    assert len(asked.names) == len(set(asked.names))


async def test_a_head_is_asked_as_a_get(upstream):
    spec = upstream.load(CRM)
    spec = replace(spec, routes=(replace(spec.routes[0], method="HEAD"), *spec.routes[1:]))
    upstream.says(200, {"id": "c1"})
    answer = await upstream.adapter.fetch(addressed(spec, Verb.READ, "/customers/c1", "c1"))

    assert upstream.asked[0].method == "GET"
    assert answer.record is not None


async def test_a_list_sends_what_passes_what_is_fixed_and_the_page_of_the_gateway(upstream):
    spec = upstream.load(ROUNDUP)
    base = "" if upstream.base == "embedded:" else "/rest/data"
    upstream.says(200, {"data": {"collection": [], "@total_size": 0}})
    query = Query(passing=(("status", "open%2Cnew"), ("@sort", "-id")), limit=1)
    what = addressed(spec, Verb.LIST, "/issue", query=query)
    await upstream.adapter.page(what, what.work, Run())
    await upstream.adapter.page(what, what.work, Run("7"))

    start = base + "/issue?status=open%2Cnew&@sort=-id&@fields=title,status&@page_size=2"
    assert [a.target for a in upstream.asked] == [start + "&@page_index=1", start + "&@page_index=7"]


async def test_no_caller_says_again_what_the_catalogue_fixes(upstream):
    spec = upstream.load(ROUNDUP)
    for passing in [
        ("@page_size", "9999"),
        ("@fields", "password"),
        ("a", "b&c=d"),
        ("a", "b#c"),
        ("a", "龙"),
        ("a b", "c"),
    ]:
        what = addressed(spec, Verb.LIST, "/issue", query=Query(passing=(passing,)))
        with pytest.raises(NotSent):
            await upstream.adapter.page(what, what.work, Run())

    assert upstream.asked == []


async def test_a_cursor_is_one_query_value_whatever_is_in_it(upstream):
    spec = upstream.load(CRM)
    upstream.says(200, {"items": [], "next": None})
    what = addressed(spec, Verb.LIST, "/customers")
    await upstream.adapter.page(what, what.work, Run("a&limit=1#/?+ 龙"))

    assert upstream.asked[0].target == "/customers?limit=2&cursor=a%26limit%3D1%23%2F%3F%2B%20%E9%BE%99"


async def test_the_gateways_own_read_encodes_the_id_as_one_segment(upstream):
    spec = upstream.load(CRM)
    upstream.says(200, {"id": "li@x.cn?a=b#c 龙"})
    what = addressed(spec, Verb.UPDATE, "/customers/whatever", "li@x.cn?a=b#c 龙")
    answer = await upstream.adapter.before(what)

    assert upstream.asked[0].target == "/customers/li%40x.cn%3Fa%3Db%23c%20%E9%BE%99"
    assert answer.record.ref == what.ref


@pytest.mark.parametrize("record", ["..", ".", "a/b", "a\\b", "a;b", "%2e", "a\nb", "", None])
async def test_an_id_that_cannot_be_one_segment_is_not_asked_for(upstream, record):
    spec = upstream.load(CRM)
    with pytest.raises(NotSent):
        await upstream.adapter.before(addressed(spec, Verb.UPDATE, "/customers/x", record))

    assert upstream.asked == []


async def test_a_parent_stands_in_its_own_segment(upstream):
    spec = upstream.load(replace(CRM, routes=(route(Verb.READ, "GET", "x", resource="message"),)))
    upstream.says(200, {"id": "m1", "body": "e"})
    message = ResourceRef("crm", "message", "m1", ResourceRef("crm", "thread", "t 1"))
    found = await upstream.adapter.look(message, MESSAGE)

    assert upstream.asked[0].target == "/threads/t%201/messages/m1"
    assert found.ref == message
    with pytest.raises(NotSent):
        await upstream.adapter.look(replace(message, parent=None), spec.resources["message"])


# ── what comes back ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_record_is_its_root_its_version_and_what_is_listed_around_it(upstream):
    spec = upstream.load(ROUNDUP)
    link = spec.base.removeprefix("embedded:") + "/issue/5"
    upstream.says(
        200,
        {
            "data": {
                "id": "5",
                "type": "issue",
                "link": link,
                "attributes": {"title": "sealed", "odd": 1},
                "@etag": "abc",
            }
        },
    )
    answer = await upstream.adapter.fetch(addressed(spec, Verb.READ, "/issue/5", "5"))

    assert answer.record == ClosedRecord(
        ref("5", "issue"),
        {"title": "sealed", "odd": 1},
        '"abc"',
        {"/data/id": "5", "/data/type": "issue", "/data/link": "/desk/issue/5"},
    )
    assert answer.alarms == ()


async def test_an_unknown_member_around_a_record_is_dropped_and_told_once(upstream):
    spec = upstream.load(ROUNDUP)
    data = {"id": "5", "type": {"deep": "x"}, "attributes": {}, "owner": "Li", "13812345678": 1, "li@x.cn": 1}
    upstream.says(200, {"data": data, "debug": {"sql": "x"}})
    what = addressed(spec, Verb.READ, "/issue/5", "5")
    first, second = [await upstream.adapter.fetch(what) for _ in range(2)]

    assert first.record.outside == {"/data/id": "5"}
    assert patterns(first) == [
        ("field-unknown", "/data/owner"),
        ("field-unknown", "/data/*"),
        ("field-unknown", "/debug"),
        ("field-unknown", "/data/type/*"),
    ]
    assert second.alarms == ()
    assert upstream.adapter.compose(what, [view(what.ref, {})], first, following=None, total=None) == {
        "data": {"id": "5", "attributes": {}}
    }


async def test_nothing_of_a_record_and_nothing_personal_passes_around_it(upstream):
    frame = {
        "/data/attributes/title": FieldClass.PUBLIC,
        "/data": FieldClass.PUBLIC,
        "/data/attributes": FieldClass.PUBLIC,
        "/data/phone": FieldClass.CONTACT,
        "/data/type": FieldClass.PUBLIC,
    }
    shape = replace(ROUNDUP.routes[0].shape, frame=frame)
    spec = upstream.load(replace(ROUNDUP, routes=(replace(ROUNDUP.routes[0], shape=shape),)))
    upstream.says(200, {"data": {"id": "5", "type": "issue", "phone": "138", "attributes": {"title": "x"}}})
    what = addressed(spec, Verb.READ, "/issue/5", "5")
    answer = await upstream.adapter.fetch(what)

    assert answer.record.outside == {"/data/type": "issue"}
    assert upstream.adapter.compose(what, [view(what.ref, {})], answer, following=None, total=None) == {
        "data": {"type": "issue", "attributes": {}}
    }


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"id": "6", "attributes": {}}},
        {"data": {"id": 6, "attributes": {}}},
        {"data": {"id": True, "attributes": {}}},
        {"data": {"id": "", "attributes": {}}},
        {"data": {"id": ["5"], "attributes": {}}},
        {"data": {"id": "5", "attributes": []}},
        {"data": {"id": "5"}},
        {"data": {"id": "5", "attributes": {}, "@etag": {"x": 1}}},
        {"data": {"id": "5", "attributes": {}, "@etag": "a\nb"}},
        [],
        "5",
        None,
        b"",
        b'{"data":{"id":"5","attributes":{},"attributes":{}}}',
        b'{"data":{"id":"5","attributes":{"a":NaN}}}',
        b'{"data":{"id":"5","attributes":{}}} x',
        b"\xff",
    ],
)
async def test_an_answer_that_is_another_record_or_no_record_is_bad(upstream, document):
    spec = upstream.load(ROUNDUP)
    upstream.says(200, document)
    with pytest.raises(BadAnswer) as refused:
        await upstream.adapter.fetch(addressed(spec, Verb.READ, "/issue/5", "5"))

    assert refused.value.status == 200
    assert refused.value.__cause__ is None  # nothing of the body travels with the error


async def test_a_number_is_an_id_as_its_digits(upstream):
    spec = upstream.load(CRM)
    upstream.says(200, b'{"id":9007199254740993}')
    answer = await upstream.adapter.fetch(addressed(spec, Verb.READ, "/customers/1", "9007199254740993"))

    assert answer.record.ref.record == "9007199254740993"


@pytest.mark.parametrize(
    "kind", ["text/html", "text/json", "application/json; charset=gbk", "application/jsonx", ""]
)
async def test_a_body_that_is_not_said_to_be_json_is_bad(upstream, kind):
    spec = upstream.load(CRM)
    upstream.says(200, b'{"id":"c1"}', ("content-type", kind))
    with pytest.raises(BadAnswer):
        await upstream.adapter.fetch(addressed(spec, Verb.READ, "/customers/c1", "c1"))


@pytest.mark.parametrize(
    "kind", ["application/json;charset=UTF-8", "application/hal+json", "Application/JSON"]
)
async def test_json_has_several_names(upstream, kind):
    spec = upstream.load(CRM)
    upstream.says(200, b'{"id":"c1"}', ("content-type", kind))

    assert (await upstream.adapter.fetch(addressed(spec, Verb.READ, "/customers/c1", "c1"))).record


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 412, 422, 429, 500, 503])
async def test_of_a_refusal_only_its_status_passes(upstream, status):
    spec = upstream.load(CRM)
    upstream.says(status, {"id": "c1", "name": "the whole record"}, ("etag", '"1"'), ("x-quota", "1"))
    read = addressed(spec, Verb.READ, "/customers/c1", "c1")
    listed = addressed(spec, Verb.LIST, "/customers")
    change = addressed(spec, Verb.UPDATE, "/customers/c1", "c1")

    assert await upstream.adapter.fetch(read) == Answer(status)
    assert await upstream.adapter.before(change) == Answer(status)
    assert await upstream.adapter.page(listed, listed.work, Run()) == Answer(status)
    assert await upstream.adapter.change(change, sealed({"name": "e"}), '"1"') == Answer(status)


@pytest.mark.parametrize("status", [206, 301, 302, 303, 304, 307, 308])
async def test_a_redirect_or_a_part_is_bad_and_never_followed(upstream, status):
    spec = upstream.load(CRM)
    upstream.says(status, None, ("location", "/customers/c2"))
    with pytest.raises(BadAnswer) as refused:
        await upstream.adapter.fetch(addressed(spec, Verb.READ, "/customers/c1", "c1"))
    assert refused.value.status == status
    with pytest.raises(BadAnswer) as refused:
        await upstream.adapter.change(addressed(spec, Verb.CREATE, "/customers"), sealed({}), None)
    assert refused.value.status == status

    assert len(upstream.asked) == 2


async def test_only_listed_response_headers_pass_and_links_lead_to_the_gateway(upstream):
    spec = upstream.load(CRM)
    base = upstream.base.removeprefix("embedded:")
    upstream.says(
        200,
        {"id": "c1"},
        ("etag", '"7"'),
        ("x-quota", "3"),
        ("x-other", "1"),
        ("set-cookie", "a=b"),
        ("location", base + "/customers/c1"),
        (
            "link",
            f'<{base}/customers/c2>; rel="next", <http://evil.test/>; rel="prev", <{base}/customers?page=2>; rel="last"',
        ),
    )
    answer = await upstream.adapter.fetch(addressed(spec, Verb.READ, "/customers/c1", "c1"))

    assert answer.headers == (
        ("etag", '"7"'),
        ("x-quota", "3"),
        ("location", "/crm/customers/c1"),
        ("link", '</crm/customers/c2>; rel="next"'),
    )
    assert answer.record.version == '"7"'
    assert patterns(answer) == [("link-foreign", None)]


async def test_links_in_a_record_stay_as_they_came_beside_what_may_be_shown_of_them(upstream):
    spec = upstream.load(CRM)
    base = upstream.base.removeprefix("embedded:")
    orders = [{"link": base + "/orders/1"}, {"link": "http://evil.test/orders/2"}, {"link": None}, {"no": 1}]
    upstream.says(200, {"id": "c1", "self": base + "/customers/c1", "orders": orders})
    answer = await upstream.adapter.fetch(addressed(spec, Verb.READ, "/customers/c1", "c1"))

    assert answer.record.fields == {"id": "c1", "self": base + "/customers/c1", "orders": orders}
    assert answer.record.links == {
        base + "/customers/c1": "/crm/customers/c1",
        base + "/orders/1": "/crm/orders/1",
    }
    assert patterns(answer) == [("link-foreign", "/orders/*/link")]


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_list_is_cut_into_records_and_put_together_from_views(upstream):
    spec = upstream.load(CRM)
    upstream.says(200, {"items": [{"id": "c1"}, {"id": "c2"}], "next": "p2", "total": 9, "sum": 1})
    what = addressed(spec, Verb.LIST, "/customers")
    answer = await upstream.adapter.page(what, what.work, Run())

    assert [r.ref for r in answer.page.items] == [ref("c1"), ref("c2")]
    assert answer.page.next == "p2"
    assert patterns(answer) == [("field-unknown", "/sum")]
    shown = [view(ref("c2"), {"name": "x"})]
    compose = upstream.adapter.compose
    assert compose(what, shown, answer, following="ours", total=1) == {
        "items": [{"name": "x"}],
        "next": "ours",
        "total": 1,
    }
    assert compose(what, [], answer, following=None, total=None) == {"items": []}


async def test_what_stands_around_an_item_stays_with_its_item(upstream):
    shape = replace(ROUNDUP.routes[1].shape, item_root="/attributes")
    spec = upstream.load(replace(ROUNDUP, routes=(replace(ROUNDUP.routes[1], shape=shape),)))
    base = spec.base.removeprefix("embedded:")
    items = [{"id": str(n), "link": f"{base}/issue/{n}", "attributes": {"n": n}, "secret": n} for n in (1, 2)]
    upstream.says(200, {"data": {"collection": items, "@total_size": 2, "@links": {}}})
    what = addressed(spec, Verb.LIST, "/issue")
    answer = await upstream.adapter.page(what, what.work, Run())
    document = upstream.adapter.compose(
        what, [view(ref("2", "issue"), {"seen": True})], answer, following=None, total=None
    )

    assert document == {"data": {"collection": [{"link": "/desk/issue/2", "attributes": {"seen": True}}]}}
    assert patterns(answer) == [
        ("field-unknown", "/data/@links"),
        ("field-unknown", "/data/collection/*/secret"),
    ]


@pytest.mark.parametrize(
    ("position", "count", "total", "following"),
    [
        (None, 2, 5, "2"),
        ("2", 1, 5, "3"),  # one was left out by the upstream itself: the total says that there is more
        ("3", 1, 5, None),
        (None, 2, 2, None),
        (None, 2, None, "2"),
        ("2", 1, None, None),
        ("2", 0, None, None),
        (None, 0, 0, None),
    ],
)
async def test_page_numbers_end_where_the_total_or_a_short_run_says(
    upstream, position, count, total, following
):
    spec = upstream.load(ROUNDUP)
    said = {} if total is None else {"@total_size": total}
    upstream.says(200, {"data": {"collection": [{"id": str(n)} for n in range(count)], **said}})
    what = addressed(spec, Verb.LIST, "/issue")
    answer = await upstream.adapter.page(what, what.work, Run(position))

    assert answer.page.next == following


@pytest.mark.parametrize(
    "document",
    [
        {"items": [{"id": "c1"}, {"id": "c1"}]},
        {"items": [{"id": "c1"}, {"name": "x"}]},
        {"items": [{"id": "c1"}, "c2"]},
        {"items": [{"id": "a"}, {"id": "b"}, {"id": "c"}]},
        {"items": {"c1": {}}},
        {"items": [], "next": "here"},
        {"items": [], "next": ["p2"]},
        {"items": [], "total": -1},
        {"items": [], "total": "9"},
        {},
        [],
    ],
)
async def test_a_list_that_is_none_goes_round_or_does_not_listen_is_bad(upstream, document):
    spec = upstream.load(CRM)
    upstream.says(200, document)
    what = addressed(spec, Verb.LIST, "/customers")
    with pytest.raises(BadAnswer):
        await upstream.adapter.page(what, what.work, Run("here"))


@pytest.mark.parametrize("position", ["p2", "-1", "1e3", "²"])
async def test_a_position_of_another_kind_of_paging_is_not_sent(upstream, position):
    spec = upstream.load(ROUNDUP)
    what = addressed(spec, Verb.LIST, "/issue")
    with pytest.raises(NotSent):
        await upstream.adapter.page(what, what.work, Run(position))
