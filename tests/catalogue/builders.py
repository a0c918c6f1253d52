"""One small whole catalogue file to change one thing in, and calls as the edge makes them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.catalogue import Catalogue, load
from gateway.wire.target import canonical
from gateway.words.access import Call
from gateway.words.errors import Misconfigured, Refused
from gateway.words.principal import Party, Principal

HOSTS = frozenset({"shop.example:8443"})
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

SHOP = """\
upstream: shop
prefix: /shop
base: https://shop.example:8443/api
credential: {from: env:SHOP_TOKEN}
headers: {x-tenant: bank}
connect_seconds: 1.5
alike_seconds: 0.05
request_headers: [accept-language]
response_headers: [etag]
resources:
  buyer:
    subject: itself
    id_form: token
    versioning: etag
    idempotency: header
    lookup: /by-key/{key}
    read: /buyers/{id}
    list_answer: {items: /items, next: /next, total: /total}
    fields:
      /id: {class: public, server_set: true}
      /name: {class: identity, sealed: profile, mask: name, clear_until: 2027-01-31}
      /unit: {class: internal, fact: unit}
      /tags: {class: internal, fact: tags}
      /score: {class: internal}
      /active: {class: internal}
      /at: {class: public}
  order:
    parent: buyer
    subject: {resource: buyer, at: /buyer}
    versioning: body
    version_at: /meta/version
    idempotency: search
    lookup: /orders?text={key}
    lookup_field: /text
    read: /buyers/{parent}/orders/{id}
    record_answer: {record: /data, id: /data/id, around: {/links/self: link}, body: /data}
    list_answer: {items: /data, item_record: /attributes}
    fields:
      /id: {class: public, server_set: true}
      /buyer: {class: internal}
      /text: {class: free_text, sealed: orders}
      /lines/*/id: {class: internal}
      /lines/*/text: {class: free_text, sealed: orders, element_id: id}
routes:
  list-buyers:
    request: GET /buyers
    resource: buyer
    does: list
    page: {limit: n, position: from}
    parameters:
      limit: {use: limit}
      cursor: {use: cursor}
      count: {use: count}
      sort: {use: sort, names: {at: /at, unit: /unit}}
      unit: {use: filter, field: /unit}
      unit[in]: {use: filter, field: /unit, op: in, values: [north, south]}
      unit[prefix]: {use: filter, field: /unit, op: prefix}
      tag: {use: filter, field: /tags, op: contains}
      score[ge]: {use: filter, field: /score, op: ge, type: integer}
      active: {use: filter, field: /active, type: boolean}
      at[lt]: {use: filter, field: /at, op: lt, type: time}
      lang: {use: pass, values: [zh, en]}
  read-buyer:
    request: GET /buyers/{id}
    resource: buyer
    does: read
    parameters: {lang: {use: pass, values: [zh, en]}}
  create-buyer:
    request: POST /buyers
    resource: buyer
    does: create
    max_body_bytes: 64
  replace-buyer: {request: "PUT /buyers/{id}", resource: buyer, does: update}
  change-buyer: {request: "PATCH /buyers/{id}", resource: buyer, does: update}
  delete-buyer: {request: "DELETE /buyers/{id}", resource: buyer, does: delete}
  search-buyers: {request: POST /buyers/import, resource: buyer, does: create, action: "buyer:import"}
  list-orders:
    request: GET /buyers/{parent}/orders
    resource: order
    does: list
    fixed: {expand: "1"}
    page: {limit: size, position: page, first: 1, size: 20, bound: 100}
  read-order: {request: "GET /buyers/{parent}/orders/{id}", resource: order, does: read}
  send-order: {request: "POST /buyers/{parent}/orders", resource: order, does: send}
"""


def write(folder: Path, text: str, name: str = "shop.yaml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def shop(tmp_path: Path, text: str = SHOP) -> Catalogue:
    return load(write(tmp_path, text), allowed_hosts=HOSTS)


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(Misconfigured) as caught:
        shop(tmp_path, text)
    return caught.value.problems


def changed(old: str, new: str, text: str = SHOP) -> str:
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
    return text.replace(old, new)


def principal(*purposes: str) -> Principal:
    return Principal(Party("app:desk"), None, frozenset(purposes), ("api-key:key_1",))


def call(method: str, target: str, body: bytes = b"", **headers: str) -> Call:
    """Headers are given as `if_match="…"`."""
    at = canonical(target.encode())
    return Call(
        id="req_1",
        method=method,
        path=at.path,
        segments=at.segments,
        raw_query=at.raw_query,
        query=at.query,
        headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()),
        body=body,
        peer="127.0.0.1",
        received=NOON,
    )


def refusal(
    catalogue: Catalogue, what: Call, who: Principal | None = None
) -> tuple[str, dict[str, str | int]]:
    with pytest.raises(Refused) as caught:
        catalogue.address(what, who or principal("service"))
    return caught.value.code.value, dict(caught.value.params)
