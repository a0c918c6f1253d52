"""The files that we ship: they load, say what the design says, fit the schema for editors, and the schema fits the loader."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue import Catalogue, load
from gateway.catalogue.keys import SECTIONS
from gateway.records.kinds import CUSTOMER, FROM_CUSTOMER, KINDS
from gateway.wire.yaml import canonical, read
from gateway.words.resource import PERSONAL, Idempotency, Verb, Versioning
from gateway.words.work import List
from tests.catalogue.builders import SHOP, call, principal

ROOT = Path(__file__).parents[2]
CRM = ROOT / "policies" / "catalogue"
ROUNDUP = ROOT / "examples" / "roundup" / "policies" / "catalogue"
SCHEMA: dict[str, Any] = json.loads((CRM / "catalogue.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def crm() -> Catalogue:
    return load(CRM, allowed_hosts=frozenset())


@pytest.fixture(scope="module")
def roundup() -> Catalogue:
    return load(ROUNDUP, allowed_hosts=frozenset({"127.0.0.1:8917"}))


def test_the_embedded_store_is_mounted_with_all_its_routes(crm: Catalogue) -> None:
    upstream = crm.upstreams["crm"]
    assert (upstream.prefix, upstream.base, upstream.credential) == ("/crm", "embedded:", None)
    listed = {f"{route.method} /{'/'.join(route.template)} {route.action}" for route in upstream.routes}
    assert listed == {
        f"{method} {path} {resource}:{action}"
        for resource, many in (
            ("customer", "/customers"),
            ("thread", "/threads"),
            ("message", "/threads/{parent}/messages"),
        )
        for method, path, action in (
            ("GET", many, "list"),
            ("POST", many, "send" if resource == "message" else "create"),
            ("GET", many + "/{id}", "read"),
            ("PUT", many + "/{id}", "update"),
            ("PATCH", many + "/{id}", "update"),
            ("DELETE", many + "/{id}", "delete"),
        )
    }


def test_every_personal_field_is_sealed_and_no_other(crm: Catalogue, roundup: Catalogue) -> None:
    sealed = {
        f"{r.name}{f.pattern} {f.key_class}"
        for r in crm.upstreams["crm"].resources.values()
        for f in r.fields
        if f.sealed
    }
    assert sealed == {
        "customer/name profile",
        "customer/phone profile",
        "customer/email profile",
        "customer/id_number profile",
        "customer/bank_card profile",
        "customer/address profile",
        "customer/birth_date profile",
        "customer/note profile",
        "thread/title messages",
        "message/body messages",
    }
    for catalogue in (crm, roundup):
        for upstream in catalogue.upstreams.values():
            for resource in upstream.resources.values():
                assert all(f.sealed == (f.cls in PERSONAL) for f in resource.fields)


def test_the_embedded_store_knows_every_field_that_is_listed_and_the_other_way_round(crm: Catalogue) -> None:
    for name, kind in KINDS.items():
        resource = crm.upstreams["crm"].resources[name]
        assert {field.pattern.removeprefix("/") for field in resource.fields} == set(kind.fields)
        own = {field.name for field in kind.fields.values() if field.own}
        own |= set() if kind is CUSTOMER else set(FROM_CUSTOMER)
        assert {field.pattern.removeprefix("/") for field in resource.fields if field.server_set} == own


def test_the_embedded_store_sorts_by_what_a_list_sorts_by(crm: Catalogue) -> None:
    for route in crm.upstreams["crm"].routes:
        for param in route.params:
            assert {p.removeprefix("/") for p in param.names.values()} <= KINDS[route.resource].sortable


def test_a_list_of_the_embedded_store_takes_both_spellings_of_brackets(crm: Catalogue) -> None:
    for spelled in ("level[in]=a,b", "level%5Bin%5D=a,b"):
        work = crm.address(call("GET", f"/crm/customers?{spelled}"), principal("service")).work
        assert isinstance(work, List)
        assert work.query.uses == {"/level"}
        assert work.to.raw_query == spelled


def test_writes_to_the_embedded_store_are_conditional_and_found_again(crm: Catalogue) -> None:
    for resource in crm.upstreams["crm"].resources.values():
        assert (resource.versioning, resource.idempotency) == (Versioning.ETAG, Idempotency.HEADER)
        assert resource.lookup == "/by-key/{key}"


@pytest.mark.parametrize(
    "target",
    [
        "/tracker/msg/1/content",
        "/tracker/issue/1/@poe",
        "/tracker/user/anna",
        "/tracker/user/01",
        "/tracker/user/1/password",
        "/tracker/file/1",
        "/tracker/user/username=anna",
        "/tracker",
        "/tracker/user/%D9%A1",
    ],
)
def test_roundups_other_addresses_lead_nowhere(roundup: Catalogue, target: str) -> None:
    from_one = call("GET", target)
    with pytest.raises(Exception, match="not-found"):
        roundup.address(from_one, principal("service"))


def test_roundup_is_asked_for_listed_fields_only(roundup: Catalogue) -> None:
    upstream = roundup.upstreams["roundup"]
    for route in upstream.routes:
        fixed = dict(route.fixed)
        if route.verb in (Verb.READ, Verb.LIST):
            asked = {f"/{name}" for name in fixed["@fields"].split(",")}
            assert asked <= {field.pattern for field in upstream.resources[route.resource].fields}
            read = upstream.resources[route.resource].read_target
            assert f"@fields={fixed['@fields']}" in read
            assert f"@verbose={fixed['@verbose']}" in read


@pytest.mark.parametrize(
    "path", [CRM / "crm.yaml", ROUNDUP / "roundup.yaml", None], ids=["crm", "roundup", "shop"]
)
def test_a_file_that_loads_fits_the_schema(path: Path | None) -> None:
    text = SHOP if path is None else path.read_text(encoding="utf-8")
    assert faults(canonical(read(text)), SCHEMA, "") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("prefix: /shop", "prfix: /shop"),
        ("sealed: profile", "sealed: true"),
        ("use: sort", "use: sorts"),
        ("does: send", "does: post"),
        ("from: env:SHOP_TOKEN", "from: secret"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(old: str, new: str) -> None:
    assert faults(canonical(read(SHOP.replace(old, new))), SCHEMA, "") != []


def test_the_schema_and_the_loader_know_the_same_keys() -> None:
    known = {"upstream": set(SCHEMA["properties"])}
    known |= {name: set(section["properties"]) for name, section in SCHEMA["$defs"].items()}
    assert known == {name: set(keys) for name, keys in SECTIONS.items()}


def test_every_key_is_explained_in_the_docs() -> None:
    text = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    missing = {key for keys in SECTIONS.values() for key in keys if f"`{key}`" not in text}
    assert missing == set()


def faults(value: object, schema: dict[str, Any], at: str) -> list[str]:
    """Gives where a value breaks a schema: the few words of JSON Schema that ours uses, and an error for any other."""
    known = {
        "$schema",
        "$id",
        "$defs",
        "title",
        "description",
        "type",
        "enum",
        "anyOf",
        "$ref",
        "pattern",
        "properties",
        "required",
        "additionalProperties",
        "propertyNames",
        "items",
        "minLength",
        "uniqueItems",
        "minimum",
        "maximum",
        "exclusiveMinimum",
    }
    assert set(schema) <= known, set(schema) - known
    if "$ref" in schema:
        return faults(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], at)
    if "anyOf" in schema:
        return [] if any(not faults(value, one, at) for one in schema["anyOf"]) else [at]
    if "enum" in schema:
        return [] if value in schema["enum"] else [at]
    match schema["type"], value:
        case "object", dict():
            return _object_faults(value, schema, at)
        case "array", list():
            return [fault for item in value for fault in faults(item, schema["items"], at)]
        case "string", str():
            return [] if re.search(schema.get("pattern", ""), value) else [at]
        case ("integer", int()) | ("number", int() | float()) if not isinstance(value, bool):
            low = schema.get("minimum", schema.get("exclusiveMinimum"))
            return [] if low <= value <= schema["maximum"] else [at]
        case "boolean", bool():
            return []
    return [at]


def _object_faults(value: dict[str, Any], schema: dict[str, Any], at: str) -> list[str]:
    found = [f"{at}/{key}" for key in schema.get("required", []) if key not in value]
    for key, inner in value.items():
        below = schema.get("properties", {}).get(key, schema["additionalProperties"])
        if below is False or not re.search(schema.get("propertyNames", {}).get("pattern", ""), key):
            found.append(f"{at}/{key}")
        else:
            found += faults(inner, below, f"{at}/{key}")
    return found
