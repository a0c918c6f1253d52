"""What a catalogue file may say; everything else is a problem with its file, its line and what to do."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gateway.catalogue import load
from gateway.words.errors import Misconfigured
from gateway.words.resource import (
    Credential,
    FieldClass,
    IdForm,
    Idempotency,
    Mask,
    PageRule,
    ParamType,
    ParamUse,
    SubjectRule,
    UpdateMode,
    Verb,
    Versioning,
)
from tests.catalogue.builders import HOSTS, SHOP, changed, problems, shop, write

# name: (text to replace, its replacement, text whose line is named, what the problem says)
WRONG = {
    "an unknown key": ("connect_seconds: 1.5", "conect_seconds: 1.5", "conect_seconds", "did you mean 'connect_seconds'?"),
    "an unknown key of a field": ("{class: internal, fact: unit}", "{class: internal, facts: unit}", "facts:", "did you mean 'fact'?"),
    "a missing key": ("prefix: /shop\n", "", "upstream: shop", "the file has no 'prefix'"),
    "a doubled key": ("prefix: /shop", "prefix: /shop\nprefix: /other", "/other", "'prefix' stands twice (first in line 2)"),
    "an anchor": ("prefix: /shop", "prefix: &p /shop", "&p", "an anchor or alias"),
    "a merge": ("{class: internal, fact: unit}", "{<<: {class: internal}}", "<<", "a merge (<<)"),
    "a tag": ("prefix: /shop", "prefix: !!str /shop", "!!str", "a tag (!…)"),
    "an object's tag": ("prefix: /shop", "prefix: !!python/name:os.system x", "!!python", "a tag (!…)"),
    "a second document": ("upstream: shop", "upstream: shop\n---", "---", "a second document"),
    "a directive": ("upstream: shop", "%YAML 1.1\n---\nupstream: shop", "---", "a YAML directive"),
    "no YAML": ("prefix: /shop", "prefix: [/shop", "base:", "this is not YAML"),
    "a list where names belong": ("headers: {x-tenant: bank}", "headers: [a]", "headers:", "is not a mapping"),
    "a reserved prefix": ("prefix: /shop", "prefix: /v1", "/v1", "reserved for the gateway"),
    "a prefix below a reserved one": ("prefix: /shop", "prefix: /console/x", "/console/x", "reserved for the gateway"),
    "a prefix that is no path": ("prefix: /shop", "prefix: /sh%6Fp", "/sh%6Fp", "is not a plain segment"),
    "a prefix with dots": ("prefix: /shop", "prefix: /a/../shop", "/a/..", "is not a plain segment"),
    "the control plane's name": ("upstream: shop", "upstream: gatehouse", "gatehouse", "is the gateway's own name"),
    "a host that is not allowed": ("shop.example:8443/api", "other.example/api", "other.example", "'other.example:443', which is not in the list"),
    "an allowed host by another port": ("shop.example:8443/api", "shop.example:9443/api", "9443", "not in the list of allowed hosts"),
    "a password in the base": ("https://shop", "https://a:b@shop", "https://", "holds a user or password"),
    "a query in the base": (":8443/api", ":8443/api?x=1", "https://", "has a query"),
    "dots in the base": (":8443/api", ":8443/../api", "https://", "a path that is not plain"),
    "another scheme": ("https://shop", "ftp://shop", "ftp://", "is no http or https address"),
    "a literal credential": ("from: env:SHOP_TOKEN", "from: hunter2hunter2", "credential:", "never the secret itself"),
    "a credential in a forwarding header": ("{from: env:SHOP_TOKEN}", "{from: env:A, header: x-forwarded-for}", "env:A", "cannot hold a credential"),
    "a fixed cookie": ("{x-tenant: bank}", "{cookie: a}", "cookie", "cannot be fixed"),
    "a method override": ("[accept-language]", "[x-http-method-override]", "override", "never passes"),
    "a condition of the caller's": ("[accept-language]", "[if-none-match]", "if-none-match", "never passes"),
    "a cookie back": ("[etag]", "[set-cookie]", "set-cookie", "never passes"),
    "no seconds": ("connect_seconds: 1.5", "connect_seconds: soon", "soon", "is not a number of seconds"),
    "too many seconds": ("connect_seconds: 1.5", "connect_seconds: 601", "601", "is not a number of seconds"),
    "a name in capitals": ("  buyer:\n", "  Buyer:\n", "Buyer:", "is no name for a resource"),
    "no subject": ("    subject: itself\n", "", "  buyer:", "resource 'buyer' has no 'subject'"),
    "sealed fields of nobody": ("subject: itself", "subject: none", "subject: none", "each is sealed under a customer's key"),
    "a word for no subject": ("subject: itself", "subject: self", "subject: self", "write 'itself'"),
    "a subject in a sealed field": ("at: /buyer}", "at: /text}", "at: /text", "which is sealed"),
    "a subject in no field": ("at: /buyer}", "at: /byer}", "at: /byer", "did you mean '/buyer'?"),
    "a subject that is no customer": ("{resource: buyer, at: /buyer}", "{resource: order, at: /buyer}", "resource: order, at", "is no customer"),
    "a subject through nothing": ("at: /buyer}", "at: /buyer, through: basket}", "through", "leads to no customer"),
    "sealed without a key class": ("sealed: profile", "sealed: true", "sealed: true", "names no key class"),
    "personal and not sealed": ("sealed: profile, ", "", "/name:", "personal class 'identity' and not sealed"),
    "public and sealed": ("/at: {class: public}", "/at: {class: public, sealed: profile}", "/at:", "does not go with class 'public'"),
    "a sealed link": ("/at: {class: public}", "/at: {class: link, sealed: profile}", "/at:", "does not go with class 'link'"),
    "sealed and set by the server": ("mask: name, ", "mask: name, server_set: true, ", "/name:", "does not go with sealed"),
    "a personal fact": ("mask: name, ", "mask: name, fact: name, ", "/name:", "on a personal or sealed field"),
    "a sealed fact": ("/score: {class: internal}", "/score: {class: internal, sealed: profile, fact: s}", "/score:", "on a personal or sealed field"),
    "a fact of many places": ("/lines/*/id: {class: internal}", "/lines/*/id: {class: internal, fact: line}", "/lines/*/id", "on a field with '*'"),
    "a fact named twice": ("fact: tags", "fact: unit", "/tags:", "'unit' has a field already"),
    "an unknown class": ("/score: {class: internal}", "/score: {class: intern}", "/score:", "did you mean 'internal'?"),
    "an unknown mask": ("mask: name,", "mask: nam,", "/name:", "did you mean 'name'?"),
    "a field without class": ("/score: {class: internal}", "/score: {}", "/score:", "has no 'class'"),
    "no date": ("2027-01-31", "2027-02-30", "2027-02-30", "'2027-02-30' is not a date"),
    "a date of another form": ("2027-01-31", "20270131", "20270131", "is not a text"),
    "adoption of what is not sealed": ("/score: {class: internal}", "/score: {class: internal, clear_until: 2027-01-31}", "/score:", "about a sealed field"),
    "a pattern without slash": ("/score:", "score:", " score:", "does not begin with '/'"),
    "a bad escape": ("/score:", "/sc~2ore:", "sc~2ore", "'~' stands for itself"),
    "an empty step": ("/score:", "/score/:", "/score/:", "has an empty step"),
    "two fields of one place": ("/lines/*/id: {class: internal}", "/lines/*/id: {class: internal}\n      /lines/one/id: {class: internal}", "/lines/one/id", "claim the same place"),
    "a field within a field": ("/score: {class: internal}", "/unit/code: {class: internal}", "/unit/code", "claim the same place"),
    "elements that nothing tells apart": (", element_id: id}", "}", "/lines/*/text", "within elements that nothing tells apart"),
    "an element id that is no field": ("element_id: id}", "element_id: no}", "element_id: no", "'no' is not an unsealed field"),
    "an element id without elements": ("/score: {class: internal}", "/score: {class: internal, element_id: id}", "/score:", "for a member of a list's elements"),
    "versioning in a body without place": ("    version_at: /meta/version\n", "", "versioning: body", "without 'version_at'"),
    "a version's place without use": ("versioning: etag", "versioning: etag\n    version_at: /v", "version_at: /v", "only for 'versioning: body'"),
    "idempotency without lookup": ("    lookup: /by-key/{key}\n", "", "idempotency: header", "has no 'lookup'"),
    "a lookup without key": ("/by-key/{key}", "/by-key/it", "/by-key/it", "'{key}' exactly once"),
    "a lookup by part of a value": ("?text={key}", "?text=a{key}", "?text=a", "not a whole value"),
    "a search by a field in clear": ("lookup_field: /text", "lookup_field: /buyer", "lookup_field", "is not a sealed field"),
    "a lookup without idempotency": ("    idempotency: header\n", "", "lookup: /by-key", "has no use without idempotency"),
    "a read target without id": ("read: /buyers/{id}", "read: /buyers", "read: /buyers", "has no '{id}'"),
    "a read target without parent": ("read: /buyers/{parent}/orders/{id}", "read: /orders/{id}", "read: /orders", "where the resource has a parent"),
    "a parent that is not there": ("parent: buyer", "parent: byer", "parent: byer", "did you mean 'buyer'?"),
    "a total within the items": ("total: /total}", "total: /items/0}", "/items/0", "stands within the items"),
    "a personal frame": ("/links/self: link", "/links/self: contact", "/links/self", "only public, internal and link"),
    "a frame within the record": ("{/links/self: link}", "{/data/name: public}", "/data/name", "within what is listed as fields"),
    "an id that is sealed": ("id: /data/id,", "id: /data/text,", "read-order:", "is sealed"),
    "a route of no resource": ("does: send}", "does: send}\n  x: {request: GET /x, resource: byer, does: list}", "x: {request", "did you mean 'buyer'?"),
    "HEAD as a route": ("does: send}", "does: send}\n  x: {request: HEAD /buyers, resource: buyer, does: list}", "x: {request", "HEAD is answered and decided wherever GET is"),
    "a method for nothing": ("does: send}", "does: send}\n  x: {request: TRACE /buyers, resource: buyer, does: list}", "x: {request", "is no method of a route"),
    "a create by PUT": ('"PUT /buyers/{id}", resource: buyer, does: update', '"PUT /buyers/x", resource: buyer, does: create', "replace-buyer", "that is POST"),
    "a read by POST": ("request: GET /buyers/{id}", "request: POST /buyers/{id}", "request: POST /buyers/{id}", "that is GET"),
    "a read of no record": ("request: GET /buyers/{id}", "request: GET /buyers/one", "GET /buyers/one", "names no record by '{id}'"),
    "a create of one record": ("request: POST /buyers\n", "request: POST /buyers/{id}\n", "POST /buyers/{id}", "names one record by '{id}'"),
    "an unknown placeholder": ('"DELETE /buyers/{id}"', '"DELETE /buyers/{name}"', "{name}", "is none of {id}, {parent}"),
    "a placeholder within a segment": ('"DELETE /buyers/{id}"', '"DELETE /buyers/x{id}"', "x{id}", "is none of {id}, {parent}"),
    "a path after the id": ('"DELETE /buyers/{id}"', '"DELETE /buyers/{id}/x"', "{id}/x", "goes on after '{id}'"),
    "a template without parent": ('"POST /buyers/{parent}/orders"', '"POST /orders"', "send-order", "has no '{parent}'"),
    "a template with a parent too many": ('"DELETE /buyers/{id}"', '"DELETE /x/{parent}/buyers/{id}"', "delete-buyer", "has '{parent}'"),
    "an encoded literal": ("GET /buyers\n", "GET /b%75yers\n", "b%75yers", "is not a plain segment"),
    "an action about another resource": ('"buyer:import"', '"order:import"', "order:import", "is about another resource"),
    "two routes of one path": ("POST /buyers/import", "POST /buyers", "search-buyers", "fit the same path"),
    "two routes of one path by a placeholder": (
        "request: GET /buyers/{id}\n", "request: GET /buyers/{id}\n    resource: buyer\n    does: read\n  me:\n    request: GET /buyers/{id}\n", "me:\n    request", "fit the same path"),
    "a list without page": ("    page: {limit: n, position: from}\n", "", "list-buyers:", "is a list without 'page'"),
    "a page by cursor without next": ("page: {limit: size, position: page, first: 1, size: 20, bound: 100}", "page: {limit: size, position: page}", "position: page}", "the answer has no 'next'"),
    "a bound below a page": ("size: 20, bound: 100", "size: 20, bound: 10", "bound: 10}", "is less than one page"),
    "a filter by a sealed field": ("unit: {use: filter, field: /unit}", "name: {use: filter, field: /name}", "field: /name", "is sealed"),
    "a filter by no field": ("unit: {use: filter, field: /unit}", "unit: {use: filter, field: /unti}", "/unti", "did you mean '/unit'?"),
    "a sort by a sealed field": ("names: {at: /at, unit: /unit}", "names: {at: /at, name: /name}", "sort:", "is sealed"),
    "a selection of no field": ("{name: /name, unit: /unit}", "{nam: /nam}", "/nam}", "is no field of buyer"),
    "an unknown use": ("limit: {use: limit}", "limit: {use: limits}", "limits", "did you mean 'limit'?"),
    "an unknown comparison": ("op: prefix}", "op: begins}", "begins", "'begins' is not known"),
    "a prefix of a number": ("op: ge, type: integer", "op: prefix, type: integer", "score[ge]", "is about texts"),
    "an order of booleans": ("active: {use: filter, field: /active, type: boolean}", "active: {use: filter, field: /active, type: boolean, op: ge}", "active: {use", "has no meaning for true and false"),
    "a flag without values": ("parameters: {lang: {use: pass, values: [zh, en]}}", "parameters: {lang: {use: pass}}", "{lang: {use: pass}}", "passes without 'values'"),
    "a filter where nothing is listed": ("parameters: {lang: {use: pass, values: [zh, en]}}", "parameters: {unit: {use: filter, field: /unit}}", "parameters: {unit", "which only a list has"),
    "a key of another use": ("limit: {use: limit}", "limit: {use: limit, field: /unit}", "limit: {use: limit, f", "does not go with use 'limit'"),
    "a caller's parameter that pages": ("lang: {use: pass, values: [zh, en]}\n  read", "from: {use: pass, values: [x]}\n  read", "    parameters:", "the gateway's own (page)"),
    "changes of what nobody reads": ("    request: GET /buyers/{id}\n    resource: buyer\n    does: read", "    request: GET /buyers/all\n    resource: buyer\n    does: list\n    page: {limit: n, position: from}", "  buyer:", "which no route reads"),
    "a body's size without body": ("does: delete}", "does: delete, max_body_bytes: 10}", "delete-buyer", "takes no body"),
    "a mode of no update": ("does: delete}", "does: delete, mode: merge}", "delete-buyer", "only for 'does: update'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named_with_file_line_and_advice(tmp_path: Path, name: str) -> None:
    old, new, at, says = WRONG[name]
    text = changed(old, new)
    found = problems(tmp_path, text)
    line = text[: text.index(at)].count("\n") + at.count("\n") + 1
    hits = [problem for problem in found if says in problem]
    assert hits, found
    assert any(problem.startswith(f"shop.yaml:{line}: ") for problem in hits), (line, found)
    assert all(";" in problem for problem in found)


def test_all_mistakes_are_named_and_not_only_the_first(tmp_path: Path) -> None:
    text = changed(
        "sealed: profile",
        "sealed: true",
        changed("prefix: /shop", "prefix: /v1", changed("op: prefix}", "op: x}")),
    )
    assert [problem.split(":")[1] for problem in problems(tmp_path, text)] == ["2", "20", "57"]


def test_a_literal_credential_is_not_repeated(tmp_path: Path) -> None:
    found = problems(tmp_path, changed("from: env:SHOP_TOKEN", "from: hunter2hunter2"))
    assert found
    assert "hunter2" not in "".join(found)


def test_two_files_may_not_share_a_name_or_a_prefix(tmp_path: Path) -> None:
    write(tmp_path, SHOP, "a.yaml")
    write(tmp_path, changed("prefix: /shop", "prefix: /shop/more"), "b.yaml")
    with pytest.raises(Misconfigured) as caught:
        load(tmp_path, allowed_hosts=HOSTS)
    assert [problem.partition("; ")[0] for problem in caught.value.problems] == [
        "b.yaml:1: the file: upstream 'shop' is described already (a.yaml:2)",
        "b.yaml:2: the file: prefix and that of 'shop' (a.yaml:2) overlap",
    ]


def test_prefixes_that_only_begin_alike_are_two(tmp_path: Path) -> None:
    write(tmp_path, SHOP, "a.yaml")
    write(
        tmp_path,
        changed("prefix: /shop", "prefix: /shopping", changed("upstream: shop", "upstream: other")),
        "b.yaml",
    )
    assert load(tmp_path, allowed_hosts=HOSTS).prefixes == ("/shop", "/shopping")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "1: the file is empty"),
        (b"\xff\xfe", "1: the file is not UTF-8"),
        ("\ufeffupstream: x".encode(), "1: the file begins with a byte order mark"),
        (b"a: \x01", "1: the file holds characters"),
        (b"[" * 30 + b"]" * 30, "1: nested deeper than 20"),
        (b"[" * 50_000, "1: nested deeper than 20"),
        (b"? [a]\n: 1", "1: a key that is a list"),
        (b"just text", "1: the file is not a mapping"),
        (b"#" * 1_048_577, "1: the file is larger"),
    ],
)
def test_what_is_no_catalogue_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(Misconfigured) as caught:
        load(tmp_path, allowed_hosts=HOSTS)
    assert caught.value.problems[0].startswith("x.yaml:" + says)


def test_a_folder_that_is_empty_or_absent_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(Misconfigured):
            load(folder, allowed_hosts=HOSTS)


def test_a_file_with_another_ending_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    write(tmp_path, SHOP)
    write(tmp_path, SHOP, "more.yml")
    with pytest.raises(
        Misconfigured, match=r"more\.yml:1: files that end in \.yml are not read; name it more\.yaml"
    ):
        load(tmp_path, allowed_hosts=HOSTS)


def test_the_digest_is_of_the_content_and_not_of_its_layout(tmp_path: Path) -> None:
    plain = shop(tmp_path).digest
    commented = shop(tmp_path, "# a comment\n" + changed("prefix: /shop", 'prefix:   "/shop"')).digest
    other = shop(tmp_path, changed("fact: tags", "fact: labels")).digest
    assert plain.startswith("sha256:")
    assert len(plain) == 71
    assert commented == plain
    assert other != plain


def test_every_word_of_a_catalogue_is_read(tmp_path: Path) -> None:
    upstream = shop(tmp_path).upstreams["shop"]
    assert upstream.prefix == "/shop"
    assert upstream.base == "https://shop.example:8443/api"
    assert upstream.credential == Credential("env:SHOP_TOKEN", "authorization", "Bearer")
    assert upstream.headers == (("x-tenant", "bank"),)
    assert (upstream.connect_seconds, upstream.answer_seconds, upstream.max_answer_bytes) == (
        1.5,
        15.0,
        8_388_608,
    )
    buyer, order = upstream.resources["buyer"], upstream.resources["order"]
    assert (buyer.subject, buyer.id_form, buyer.id_public) == (SubjectRule("buyer"), IdForm.TOKEN, False)
    assert (buyer.versioning, buyer.idempotency, buyer.lookup) == (
        Versioning.ETAG,
        Idempotency.HEADER,
        "/by-key/{key}",
    )
    name = buyer.spec("/name")
    assert name is not None
    assert (name.cls, name.sealed, name.key_class) == (FieldClass.IDENTITY, True, "profile")
    assert (name.mask, name.clear_until) == (Mask.NAME, date(2027, 1, 31))
    assert [f.fact for f in buyer.fields if f.fact] == ["unit", "tags"]
    assert [f.pattern for f in buyer.fields if f.server_set] == ["/id"]
    assert (order.subject, order.parent) == (SubjectRule("buyer", "/buyer"), "buyer")
    assert (order.versioning, order.version_at) == (Versioning.BODY, "/meta/version")
    assert (order.idempotency, order.lookup_field) == (Idempotency.SEARCH, "/text")
    routes = {route.name: route for route in upstream.routes}
    one, many = routes["read-order"].shape, routes["list-orders"].shape
    assert (one.root, one.id, one.body_root, dict(one.frame)) == (
        "/data",
        "/data/id",
        "/data",
        {"/links/self": FieldClass.LINK},
    )
    assert (many.items, many.item_root, many.id) == ("/data", "/attributes", "/id")
    assert routes["list-orders"].page == PageRule("size", "page", 1, 20, 100)
    assert routes["list-buyers"].page == PageRule("n", "from", None)
    assert routes["list-orders"].fixed == (("expand", "1"),)
    assert [routes[n].mode for n in ("replace-buyer", "change-buyer", "read-buyer")] == [
        UpdateMode.REPLACE,
        UpdateMode.MERGE,
        None,
    ]
    assert (routes["send-order"].verb, routes["send-order"].action) == (Verb.SEND, "order:send")
    assert routes["search-buyers"].action == "buyer:import"
    assert routes["read-buyer"].request_headers == {"accept-language"}
    params = {param.name: param for param in routes["list-buyers"].params}
    assert (params["score[ge]"].op, params["score[ge]"].type) == ("ge", ParamType.INTEGER)
    assert params["fields"].use is ParamUse.SELECT
    assert params["sort"].names == {"at": "/at", "unit": "/unit"}
