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
    Idempotency,
    IdForm,
    Mask,
    PageRule,
    ParamType,
    PersonSaid,
    Removal,
    SubjectRule,
    UpdateMode,
    UpstreamTls,
    Verb,
    Versioning,
)
from tests.catalogue.builders import HOSTS, SHOP, changed, problems, shop, write
from tests.catalogue.mistakes import WRONG


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
    assert [problem.split(":")[1] for problem in problems(tmp_path, text)] == ["2", "21", "57"]


def test_a_literal_credential_is_not_repeated(tmp_path: Path) -> None:
    found = problems(tmp_path, changed("from: env:SHOP_TOKEN", "from: hunter2hunter2"))
    assert found
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize("key", ["ca", "certificate", "key"])
def test_a_literal_of_tls_is_not_repeated(tmp_path: Path, key: str) -> None:
    found = problems(tmp_path, changed("headers: {", f"tls: {{{key}: hunter2hunter2}}\nheaders: {{"))
    assert found
    assert "hunter2" not in "".join(found)


def test_an_upstreams_own_terms_are_references(tmp_path: Path) -> None:
    text = changed(
        "headers: {", "tls: {ca: 'file:/a/ca.pem', certificate: 'file:b.pem', key: 'file:b.key'}\nheaders: {"
    )
    assert shop(tmp_path, text).upstreams["shop"].tls == UpstreamTls(
        "file:/a/ca.pem", "file:b.pem", "file:b.key"
    )
    assert shop(tmp_path).upstreams["shop"].tls is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", None),
        ("assertion: false", None),
        ("assertion: true", PersonSaid.PSEUDONYM),
        ("assertion: true\nassertion_person: pseudonym", PersonSaid.PSEUDONYM),
        ("assertion: true\nassertion_person: named", PersonSaid.NAMED),
    ],
)
def test_who_asks_is_said_only_where_it_is_asked_for_and_by_a_name_that_means_nothing(
    tmp_path: Path, words: str, said: PersonSaid | None
) -> None:
    text = changed("headers: {", f"{words}\nheaders: {{")
    assert shop(tmp_path, text).upstreams["shop"].assertion is said


def test_two_files_may_not_share_a_name_or_a_prefix(tmp_path: Path) -> None:
    write(tmp_path, SHOP, "a.yaml")
    write(tmp_path, changed("prefix: /shop", "prefix: /shop/more"), "b.yaml")
    with pytest.raises(Misconfigured) as caught:
        load(tmp_path, allowed_hosts=HOSTS)
    assert [problem.partition("; ")[0] for problem in caught.value.problems] == [
        "b.yaml:1: the file: upstream 'shop' is described already (a.yaml:2)",
        "b.yaml:2: the file: prefix and that of 'shop' (a.yaml:2) overlap",
    ]


def test_a_prefix_above_another_files_overlaps_too(tmp_path: Path) -> None:
    write(tmp_path, changed("prefix: /shop", "prefix: /shop/more"), "a.yaml")
    write(tmp_path, changed("upstream: shop", "upstream: other"), "b.yaml")
    with pytest.raises(Misconfigured, match=r"b\.yaml:2: .* \(a\.yaml:2\) overlap"):
        load(tmp_path, allowed_hosts=HOSTS)


@pytest.mark.parametrize("header", ["x-api-key", "x-auth-token", "x-access-token"])
def test_a_credential_may_stand_in_a_header_that_is_for_one(tmp_path: Path, header: str) -> None:
    text = changed("{from: env:SHOP_TOKEN}", f"{{from: env:A, header: {header}}}")
    credential = shop(tmp_path, text).upstreams["shop"].credential
    assert credential is not None
    assert credential.header == header


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


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("more.YML", "files that end in .YML are not read; name it more.yaml"),
        ("more.YAML", "files that end in .YAML are not read; name it more.yaml"),
        ("more.json", "only files that end in .yaml are read"),
        ("shop.yaml.bak", "only files that end in .yaml are read"),
        ("shop.yaml~", "only files that end in .yaml are read"),
        ("shop", "only files that end in .yaml are read"),
    ],
)
def test_whatever_lies_there_unread_is_named(tmp_path: Path, name: str, says: str) -> None:
    write(tmp_path, SHOP)
    write(tmp_path, SHOP, name)
    with pytest.raises(Misconfigured) as caught:
        load(tmp_path, allowed_hosts=HOSTS)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{name}:1: {says}")


def test_a_folder_within_is_named_and_what_editors_and_mounts_keep_is_not(tmp_path: Path) -> None:
    write(tmp_path, SHOP)
    write(tmp_path, "{}", "catalogue.schema.json")
    write(tmp_path, "x", ".shop.yaml.swp")
    (tmp_path / "..data").mkdir()
    assert "shop" in load(tmp_path, allowed_hosts=HOSTS).upstreams
    (tmp_path / "more").mkdir()
    with pytest.raises(Misconfigured, match="more:1: folders in here are not read"):
        load(tmp_path, allowed_hosts=HOSTS)


def test_the_embedded_store_is_described_once(tmp_path: Path) -> None:
    embedded = changed(
        "base: https://shop.example:8443/api\ncredential: {from: env:SHOP_TOKEN}", 'base: "embedded:"'
    )
    write(tmp_path, embedded)
    assert "shop" in load(tmp_path, allowed_hosts=HOSTS).upstreams
    again = changed("upstream: shop", "upstream: store", changed("prefix: /shop", "prefix: /store", embedded))
    write(tmp_path, again, "store.yaml")
    with pytest.raises(Misconfigured) as caught:
        load(tmp_path, allowed_hosts=HOSTS)
    (problem,) = caught.value.problems
    assert problem.startswith(
        "store.yaml:3: the file: base is the embedded store, which 'shop' (shop.yaml:2)"
    )


@pytest.mark.parametrize(
    "day", ["2027-W01-1", "9999-12-31", "1999-12-31", "2027-02-30", "20270131", "２０27-01-31"]
)
def test_adoption_ends_on_a_day_of_this_century(tmp_path: Path, day: str) -> None:
    (problem,) = problems(tmp_path, changed("clear_until: 2027-01-31", f'clear_until: "{day}"'))
    assert f"clear_until '{day}' is not a date of this century" in problem


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "n", "none", "'null'", "~", "''"])
def test_a_word_that_means_true_or_false_is_no_name(tmp_path: Path, word: str) -> None:
    found = problems(
        tmp_path, changed("/score: {class: internal}", f"/score: {{class: internal, sealed: {word}}}")
    )
    assert any("field '/score': sealed " in problem for problem in found), found
    if word not in ("~", "''"):
        found = problems(
            tmp_path, changed("/score: {class: internal}", f"/score: {{class: internal, fact: {word}}}")
        )
        assert any("field '/score': fact " in problem for problem in found), found


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
    assert upstream.alike_seconds == 0.05
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
    assert params["sort"].names == {"at": "/at", "unit": "/unit"}


@pytest.mark.parametrize(
    ("base", "listed", "passes"),
    [
        ("https://a.example", "a.example:443", True),
        ("http://a.example", "a.example:80", True),
        ("http://a.example", "a.example:443", False),
        ("https://A.Example", "a.example:443", True),
        ("https://a.example", "A.example:443", True),
        ("https://[::1]:8443/api", "[::1]:8443", True),
        ("https://a.b.example", "*.example:443", True),
        ("https://example", "*.example:443", False),
        ("https://a.notexample", "*.example:443", False),
        ("https://a.example:4430", "*.example:443", False),
        ("https://a.example", "*:443", False),
        ("https://a.example", "", False),
    ],
)
def test_a_host_is_reached_only_when_it_is_listed(
    tmp_path: Path, base: str, listed: str, passes: bool
) -> None:
    write(tmp_path, changed("https://shop.example:8443/api", f'"{base}"'))
    if passes:
        assert load(tmp_path, allowed_hosts=frozenset({listed})).upstreams["shop"].base == base
    else:
        with pytest.raises(Misconfigured, match=r"shop\.yaml:3: .* not in the list of allowed hosts"):
            load(tmp_path, allowed_hosts=frozenset({listed}))


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "169.254.43518", "[::ffff:169.254.169.254]",
     "[64:ff9b::a9fe:a9fe]",
     "[2002:a9fe:a9fe::1]", "[fe80::1]", "[fd00:ec2::254]", "0", "0.0.0.0", "[::]", "224.0.0.1", "4294967295"],
)  # fmt: skip
def test_an_address_that_nothing_may_reach_is_refused_when_it_is_loaded_though_it_is_listed(
    tmp_path: Path, host: str
) -> None:
    write(tmp_path, changed("https://shop.example:8443/api", f'"http://{host}:80/latest"'))
    with pytest.raises(Misconfigured, match=r"^shop\.yaml:3: .* nothing may reach whatever is listed"):
        load(tmp_path, allowed_hosts=frozenset({f"{host}:80"}))


@pytest.mark.parametrize(("host", "listed"), [("10.0.0.1", "*.0.0.1:80"), ("0x7f.1", "*.1:80")])
def test_a_private_address_is_listed_as_it_stands_or_refused(tmp_path: Path, host: str, listed: str) -> None:
    write(tmp_path, changed("https://shop.example:8443/api", f'"http://{host}:80"'))
    with pytest.raises(Misconfigured, match=r"^shop\.yaml:3: .* which only a '\*' lists"):
        load(tmp_path, allowed_hosts=frozenset({listed}))
    load(tmp_path, allowed_hosts=frozenset({f"{host}:80"}))


def test_an_odd_upstream_is_described_as_it_is(tmp_path: Path) -> None:
    """It only disables what is deleted, passes over null, keeps a key of ours in a field, knows a value by several names."""
    text = changed(
        "versioning: etag", "versioning: etag\n    present: /buyers?id={id}\n    removal: by_empty"
    )
    text = changed(
        "/unit: {class: internal, fact: unit}",
        "/unit: {class: internal, fact: unit, values: [north, south]}",
        text,
    )
    text = changed(
        "/score: {class: internal}",
        "/score: {class: internal, form: number}\n      /mark: {class: internal, server_set: true}",
        text,
    )
    text = changed(
        "idempotency: header\n    lookup: /by-key/{key}",
        "idempotency: field\n    lookup: /buyers?m={key}\n    lookup_field: /mark",
        text,
    )
    buyer = shop(tmp_path, text).upstreams["shop"].resources["buyer"]
    assert (buyer.present_target, buyer.removal) == ("/buyers?id={id}", Removal.EMPTY)
    assert (buyer.idempotency, buyer.lookup_field) == (Idempotency.FIELD, "/mark")
    by_pattern = {spec.pattern: spec for spec in buyer.fields}
    assert (by_pattern["/unit"].values, by_pattern["/unit"].form) == (("north", "south"), None)
    assert (by_pattern["/score"].values, by_pattern["/score"].form) == ((), IdForm.NUMBER)
    usual = shop(tmp_path / "usual").upstreams["shop"].resources["buyer"]
    assert (usual.present_target, usual.removal) == (None, Removal.NULL)


def test_what_is_there_is_told_by_a_list_that_some_route_reads(tmp_path: Path) -> None:
    text = changed("versioning: body", "versioning: body\n    present: /orders?id={id}")
    assert shop(tmp_path / "listed", text)
    start = text.index("  list-orders:")
    unlisted = text[:start] + text[text.index("  read-order:") :]
    (problem,) = problems(tmp_path / "unlisted", unlisted)
    assert "present is answered as a list, and no route lists this" in problem
