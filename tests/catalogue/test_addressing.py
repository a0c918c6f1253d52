"""Step 3: what a call asks, by the catalogue alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.catalogue import Catalogue
from gateway.words.access import ResourceRef
from gateway.words.errors import Refused
from gateway.words.resource import UpdateMode
from gateway.words.work import Create, Delete, Forward, List, Read, Send, Update
from tests.catalogue.builders import NOON, SHOP, call, changed, principal, refusal, shop

JSON = "application/json"


def test_a_read_names_its_record_and_goes_on_as_it_came(catalogue: Catalogue) -> None:
    asker = principal("service")
    what = catalogue.address(
        call("GET", "/shop/buyers/b_1?lang=zh", accept_language="zh", cookie="a=b"), asker
    )
    assert what.work == Read(to=Forward("/buyers/b_1", "lang=zh", (("accept-language", "zh"),)), head=False)
    assert what.ref == ResourceRef("shop", "buyer", "b_1")
    assert (what.access.request, what.access.action, what.access.purpose) == (
        "req_1",
        "buyer:read",
        "service",
    )
    assert (what.access.principal, what.access.time) == (asker, NOON)
    assert (what.upstream.name, what.route.name, what.resource.name) == ("shop", "read-buyer", "buyer")


def test_head_is_addressed_as_get(catalogue: Catalogue) -> None:
    one = catalogue.address(call("HEAD", "/shop/buyers/b_1"), principal("service"))
    many = catalogue.address(call("HEAD", "/shop/buyers"), principal("service"))
    assert one.work == Read(to=Forward("/buyers/b_1"), head=True)
    assert one.access.action == "buyer:read"
    assert isinstance(many.work, List)
    assert many.work.head


def test_a_sub_resource_names_its_parent(catalogue: Catalogue) -> None:
    parent = ResourceRef("shop", "buyer", "b_1")
    one = catalogue.address(call("GET", "/shop/buyers/b_1/orders/%E9%BE%99%407"), principal("service"))
    many = catalogue.address(call("GET", "/shop/buyers/b_1/orders"), principal("service"))
    assert one.ref == ResourceRef("shop", "order", "龙@7", parent)
    assert one.work.to.path == "/buyers/b_1/orders/%E9%BE%99%407"
    assert many.ref == ResourceRef("shop", "order", None, parent)


def test_a_literal_segment_wins_over_an_id(catalogue: Catalogue) -> None:
    post = catalogue.address(
        call("POST", "/shop/buyers/import", b"{}", content_type=JSON), principal("service")
    )
    get = catalogue.address(call("GET", "/shop/buyers/import"), principal("service"))
    assert (post.route.name, post.access.action, post.ref.record) == ("search-buyers", "buyer:import", None)
    assert (get.route.name, get.ref.record) == ("read-buyer", "import")


@pytest.mark.parametrize(
    ("method", "target", "kind", "extra"),
    [
        ("POST", "/shop/buyers", Create, {}),
        ("POST", "/shop/buyers/b_1/orders", Send, {}),
        ("PUT", "/shop/buyers/b_1", Update, {"mode": UpdateMode.REPLACE}),
        ("PATCH", "/shop/buyers/b_1", Update, {"mode": UpdateMode.MERGE}),
    ],
)
def test_a_change_holds_the_record_as_a_draft(
    catalogue: Catalogue, method: str, target: str, kind: type, extra: dict[str, object]
) -> None:
    body = b'{"data":{"unit":"north"}}' if kind is Send else b'{"unit":"north"}'
    work = catalogue.address(call(method, target, body, content_type=JSON), principal("service")).work
    assert type(work) is kind
    assert isinstance(work, Create | Update)
    assert work.draft.inside() == {"unit": "north"}
    assert {name: getattr(work, name) for name in extra} == extra


@pytest.mark.parametrize(
    "target",
    [
        "/shop",
        "/shop/",
        "/shop/buyers/",
        "/shop/buyer",
        "/shopx/buyers",
        "/shop/buyers/b_1/",
        "/",
        "/shop/buyers/b_1/orders/o/x",
        "/Shop/buyers",
        "/shop/BUYERS",
        "/shop/buyers/%7Bid%7D",
        "/shop/buyers/b.1",
        "/shop/buyers/%E9%BE%99",
        f"/shop/buyers/{'b' * 201}",
    ],
)
def test_what_no_route_fits_is_not_found(catalogue: Catalogue, target: str) -> None:
    assert refusal(catalogue, call("GET", target)) == ("not-found", {})


def test_a_method_that_is_not_listed_is_told_which_are(catalogue: Catalogue) -> None:
    assert refusal(catalogue, call("DELETE", "/shop/buyers")) == (
        "method-not-listed",
        {"allow": "GET, HEAD, POST"},
    )
    assert refusal(catalogue, call("TRACE", "/shop/buyers/b_1"))[0] == "method-not-listed"
    assert refusal(catalogue, call("HEAD", "/shop/buyers/b_1/orders/o_1/x"))[0] == "not-found"
    assert refusal(catalogue, call("get", "/shop/buyers"))[0] == "method-not-listed"


@pytest.mark.parametrize(
    "record",
    [
        "a/b",
        "a\\b",
        "a\x00",
        "a\nb",
        "a\x7f",
        "a\x85",
        "a\u2028b",
        ".",
        "..",
        "",
        "%2e",
        "a\ud800",
        "o" * 201,
    ],
)
def test_no_id_has_slashes_dots_alone_or_control_characters(catalogue: Catalogue, record: str) -> None:
    good = call("GET", "/shop/buyers/b_1/orders/o_1")
    assert catalogue.address(good, principal("service")).ref.record == "o_1"
    odd = replace(good, segments=(*good.segments[:-1], record))
    assert refusal(catalogue, odd) == ("not-found", {})


@pytest.mark.parametrize("record", ["01", "٣", "1.0", "-1", "1e3", "admin", "00", "9" * 20])
def test_a_number_has_one_spelling(tmp_path: Path, record: str) -> None:
    numbers = shop(tmp_path, changed("id_form: token", "id_form: number"))
    good = call("GET", "/shop/buyers/10")
    assert numbers.address(good, principal("service")).ref.record == "10"
    assert refusal(numbers, replace(good, segments=("shop", "buyers", record))) == ("not-found", {})
    as_parent = call("GET", "/shop/buyers/10/orders/o")
    assert refusal(numbers, replace(as_parent, segments=("shop", "buyers", record, "orders", "o"))) == (
        "not-found",
        {},
    )


@pytest.mark.parametrize(
    "path",
    [
        "/sh%6Fp/buyers/b_1",
        "/shop/b%75yers/b_1",
        "/shop/buyers%2Fb_1",
        "shop/buyers/b_1",
        "/shop//b_1",
        "/shop/buyers/b_1/orders",
        "xshop/buyers/b_1",
    ],
)
def test_segments_that_are_not_the_path_are_not_decided_on(catalogue: Catalogue, path: str) -> None:
    assert refusal(catalogue, replace(call("GET", "/shop/buyers/b_1"), path=path)) == ("not-found", {})


def test_the_purpose_is_the_one_named_or_the_only_one(catalogue: Catalogue) -> None:
    plain, named = call("GET", "/shop/buyers"), call("GET", "/shop/buyers", gatehouse_purpose="audit")
    assert catalogue.address(plain, principal("service")).access.purpose == "service"
    assert catalogue.address(named, principal("service", "audit")).access.purpose == "audit"
    assert catalogue.address(plain, principal()).access.purpose is None
    assert refusal(catalogue, plain, principal("service", "audit")) == (
        "purpose-missing",
        {"header": "gatehouse-purpose"},
    )
    assert refusal(catalogue, named, principal("service")) == ("purpose-not-held", {})
    assert refusal(catalogue, named, principal()) == ("purpose-not-held", {})


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "application/jsonx",
        "application/json; profile=x",
        "application/json, text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/json; charset=gbk",
        "application/json;",
        "",
    ],
)
def test_a_body_that_is_not_said_to_be_json_is_refused(catalogue: Catalogue, kind: str | None) -> None:
    headers = {} if kind is None else {"content_type": kind}
    assert refusal(catalogue, call("POST", "/shop/buyers", b"{}", **headers)) == (
        "media-type",
        {"expected": JSON},
    )


@pytest.mark.parametrize(
    "kind", [JSON, "application/json; charset=utf-8", 'Application/JSON ; charset="UTF-8"']
)
def test_a_body_said_to_be_json_is_taken(catalogue: Catalogue, kind: str) -> None:
    what = call("POST", "/shop/buyers", b"{}", content_type=kind)
    assert isinstance(catalogue.address(what, principal("service")).work, Create)


def test_a_patch_is_told_both_types_that_it_takes(catalogue: Catalogue) -> None:
    code, params = refusal(catalogue, call("PATCH", "/shop/buyers/b_1", b"{}", content_type="text/plain"))
    assert (code, params) == ("media-type", {"expected": f"{JSON} or application/merge-patch+json"})


@pytest.mark.parametrize("name", ["if-none-match", "if-modified-since", "if-unmodified-since", "if-range"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_guard_that_would_not_be_kept_is_refused(catalogue: Catalogue, method: str, name: str) -> None:
    place = "/shop/buyers" if method == "POST" else "/shop/buyers/b_1"
    sent = {} if method == "DELETE" else {"body": b"{}", "content_type": JSON}
    what = call(method, place, **sent, **{name.replace("-", "_"): '"1"'})
    assert refusal(catalogue, what) == ("header-malformed", {"header": name})


def test_a_reads_conditions_are_dropped(catalogue: Catalogue) -> None:
    what = call("GET", "/shop/buyers/b_1", if_none_match='"1"')
    assert catalogue.address(what, principal("service")).work.to.headers == ()


def test_a_merge_patch_is_taken_by_patch_only(catalogue: Catalogue) -> None:
    kind = "application/merge-patch+json"
    assert catalogue.address(
        call("PATCH", "/shop/buyers/b_1", b"{}", content_type=kind), principal("service")
    )
    assert refusal(catalogue, call("PUT", "/shop/buyers/b_1", b"{}", content_type=kind))[0] == "media-type"
    assert refusal(catalogue, call("POST", "/shop/buyers", b"{}", content_type=kind))[0] == "media-type"


def test_an_encoded_body_is_refused(catalogue: Catalogue) -> None:
    what = call("POST", "/shop/buyers", b"{}", content_type=JSON, content_encoding="gzip")
    assert refusal(catalogue, what)[0] == "media-type"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'"a"', b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b"[" * 60]
)
def test_a_body_that_is_no_one_object_is_refused(catalogue: Catalogue, body: bytes) -> None:
    assert refusal(catalogue, call("POST", "/shop/buyers", body, content_type=JSON)) == ("body-malformed", {})


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"data":[]}', b'{"data":{},"more":1}', b'{"Data":{}}', b'{"data":{"a":1},"@op":"action"}'],
)
def test_nothing_may_stand_beside_the_record_in_a_body(catalogue: Catalogue, body: bytes) -> None:
    what = call("POST", "/shop/buyers/b_1/orders", body, content_type=JSON)
    assert refusal(catalogue, what) == ("body-malformed", {})


def test_a_body_above_the_routes_bound_is_refused(catalogue: Catalogue) -> None:
    exact = b'{"unit":"' + b"x" * 53 + b'"}'
    assert len(exact) == 64
    assert catalogue.address(call("POST", "/shop/buyers", exact, content_type=JSON), principal("service"))
    assert refusal(catalogue, call("POST", "/shop/buyers", exact + b" ", content_type=JSON)) == (
        "body-too-large",
        {"limit": 64},
    )


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/shop/buyers"),
        ("GET", "/shop/buyers/b_1"),
        ("DELETE", "/shop/buyers/b_1"),
        ("HEAD", "/shop/buyers"),
    ],
)
def test_a_body_where_none_means_anything_is_refused(catalogue: Catalogue, method: str, target: str) -> None:
    assert refusal(catalogue, call(method, target, b"{}", content_type=JSON)) == (
        "body-malformed",
        {"expected": "no body"},
    )


def test_a_condition_is_one_entity_tag(catalogue: Catalogue) -> None:
    def condition(value: str | None, method: str = "DELETE") -> str | None:
        headers = {} if value is None else {"if_match": value}
        work = catalogue.address(call(method, "/shop/buyers/b_1", **headers), principal("service")).work
        assert isinstance(work, Delete)
        return work.condition

    assert condition('"7"') == '"7"'
    assert condition('W/"7"') == 'W/"7"'
    assert condition("*") is None
    assert condition(None) is None
    for wrong in ("7", '"7', '"7","8"', '"a b"', '"ä"', "", '"' + "x" * 255 + '"'):
        what = call("DELETE", "/shop/buyers/b_1", if_match=wrong)
        assert refusal(catalogue, what) == ("header-malformed", {"header": "if-match"})


def test_an_update_keeps_its_condition(catalogue: Catalogue) -> None:
    what = call("PUT", "/shop/buyers/b_1", b"{}", content_type=JSON, if_match='"3"')
    work = catalogue.address(what, principal("service")).work
    assert isinstance(work, Update)
    assert work.condition == '"3"'


def test_no_refusal_repeats_a_value(catalogue: Catalogue) -> None:
    secret = "zhang-wei-13812345678"
    for what in (
        call("GET", f"/shop/buyers?limit={secret}"),
        call("GET", f"/shop/buyers?{secret}=1"),
        call("GET", "/shop/buyers", gatehouse_purpose=secret),
        call("POST", "/shop/buyers", secret.encode(), content_type=JSON),
        call("POST", "/shop/buyers", b"{}", content_type=secret),
        call("DELETE", "/shop/buyers/b_1", if_match=secret),
        call("GET", f"/shop/{secret}"),
    ):
        with pytest.raises(Refused) as caught:
            catalogue.address(what, principal("service"))
        assert secret not in f"{caught.value!r} {caught.value} {dict(caught.value.params)}"


def test_a_catalogue_finds_its_resources(catalogue: Catalogue) -> None:
    order = catalogue.resource("shop", "order")
    assert order is not None
    assert order.parent == "buyer"
    assert catalogue.resource("shop", "basket") is None
    assert catalogue.resource("stock", "order") is None


def test_the_longest_prefix_is_the_upstreams(tmp_path: Path) -> None:
    deep = shop(tmp_path, changed("prefix: /shop", "prefix: /bank/shop", SHOP))
    assert (
        deep.address(call("GET", "/bank/shop/buyers/b_1"), principal("service")).work.to.path == "/buyers/b_1"
    )
    assert refusal(deep, call("GET", "/bank/buyers/b_1")) == ("not-found", {})
