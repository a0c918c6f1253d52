"""An upstream whose every answer the test writes, reached in-process and over HTTP; and two catalogue entries by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import uvicorn

from gateway.upstream import Adapter, AllowedHosts, AsgiTransport, Places
from gateway.words.access import Access, ResourceRef
from gateway.words.draft import Draft
from gateway.words.principal import Party, Principal
from gateway.words.record import SealedChange
from gateway.words.resource import (
    Credential,
    FieldClass,
    FieldSpec,
    Idempotency,
    PageRule,
    ResourceSpec,
    RouteSpec,
    Shape,
    UpdateMode,
    UpstreamSpec,
    Verb,
    Versioning,
)
from gateway.words.work import Addressed, Create, Delete, Forward, List, Query, Read, Update

JSON = ("content-type", "application/json")


@dataclass
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    names: list[str]
    body: bytes


@dataclass
class Upstream:
    """Gives its answers in turn, the last one again and again. `answers`: status, document or bytes, headers."""

    answers: list[tuple[int, Any, tuple[tuple[str, str], ...]]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    adapter: Adapter = None
    places: Places = None
    base: str = ""

    def says(self, status: int, document: Any = None, *headers: tuple[str, str]) -> None:
        self.answers.append((status, document, headers))

    def load(self, spec: UpstreamSpec) -> UpstreamSpec:
        """Makes the spec the loaded one, at this upstream's address."""
        path = "" if self.base == "embedded:" else spec.base
        spec = replace(spec, base=self.base + path)
        self.places.load([spec])
        return spec

    async def __call__(self, scope, receive, send) -> None:
        query = scope["query_string"].decode("latin-1")
        names = [k.decode() for k, _ in scope["headers"]]
        headers = {k.decode(): v.decode("latin-1") for k, v in scope["headers"]}
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        self.asked.append(Asked(scope["method"], target, headers, names, body))
        status, document, said = self.answers[min(len(self.asked), len(self.answers)) - 1]
        raw = (
            document
            if isinstance(document, bytes)
            else b""
            if document is None
            else json.dumps(document).encode()
        )
        if document is not None and not any(name == "content-type" for name, _ in said):
            said = (JSON, *said)
        encoded = [(k.encode(), v.encode("latin-1")) for k, v in said]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": raw})


@asynccontextmanager
async def in_process() -> AsyncIterator[Upstream]:
    upstream = Upstream(base="embedded:")
    upstream.places = Places(
        environment={"CRM": "s3cret"}, allowed=AllowedHosts([]), embedded=AsgiTransport(upstream)
    )
    upstream.adapter = Adapter(upstream.places)
    try:
        yield upstream
    finally:
        await upstream.places.close()


@asynccontextmanager
async def over_http() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    config = uvicorn.Config(
        upstream, host="127.0.0.1", port=0, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    task = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    upstream.base = f"http://127.0.0.1:{port}"
    upstream.places = Places(environment={"CRM": "s3cret"}, allowed=AllowedHosts([f"127.0.0.1:{port}"]))
    upstream.adapter = Adapter(upstream.places)
    try:
        yield upstream
    finally:
        await upstream.places.close()
        server.should_exit = True
        await task


# ── catalogue entries ────────────────────────────────────────────────────────────────────────────────────────────

CUSTOMER = ResourceSpec(
    upstream="crm",
    name="customer",
    fields=(
        FieldSpec("/id", FieldClass.INTERNAL, server_set=True),
        FieldSpec("/name", FieldClass.IDENTITY, sealed=True, key_class="profile"),
        FieldSpec("/self", FieldClass.LINK, server_set=True),
        FieldSpec("/orders/*/link", FieldClass.LINK, server_set=True),
    ),
    subject=None,
    id_public=True,
    versioning=Versioning.ETAG,
    version_at=None,
    idempotency=Idempotency.HEADER,
    lookup="/by-key/{key}",
    lookup_field=None,
    read_target="/customers/{id}",
)
MESSAGE = replace(
    CUSTOMER, name="message", fields=(FieldSpec("/body", FieldClass.MESSAGE_BODY, sealed=True, key_class="messages"),),
    parent="thread", versioning=Versioning.NONE, read_target="/threads/{parent}/messages/{id}",
)  # fmt: skip

PASSING = frozenset(
    {"etag", "location", "link", "x-quota", "set-cookie"}
)  # the last one never passes, listed or not


def route(verb: Verb, method: str, *template: str, resource: str = "customer", **options: Any) -> RouteSpec:
    return RouteSpec(
        name=f"{resource}-{verb}",
        upstream="crm",
        method=method,
        template=template,
        resource=resource,
        verb=verb,
        shape=options.pop("shape", Shape()),
        action=f"{resource}:{verb}",
        response_headers=PASSING,
        request_headers=frozenset(
            {
                "accept-language",
                "cookie",
                "x-forwarded-for",
                "x-flag",
                "authorization",
                "if-none-match",
                "content-type",
                "x-fixed",
            }
        ),
        **options,
    )


LISTING = Shape(items="/items", next="/next", total="/total")
CRM_ROUTES = (
    route(Verb.READ, "GET", "customers", "{id}"),
    route(Verb.LIST, "GET", "customers", shape=LISTING, page=PageRule("limit", "cursor", None, size=2)),
    route(Verb.CREATE, "POST", "customers"),
    route(Verb.UPDATE, "PATCH", "customers", "{id}", mode=UpdateMode.MERGE),
    route(Verb.DELETE, "DELETE", "customers", "{id}"),
)
CRM = UpstreamSpec(
    name="crm",
    prefix="/crm",
    base="",
    credential=Credential("env:CRM"),
    headers=(("x-fixed", "always"),),
    connect_seconds=2,
    answer_seconds=2,
    max_answer_bytes=50_000,
    routes=CRM_ROUTES,
    resources={"customer": CUSTOMER, "message": MESSAGE},
)

ISSUE = replace(
    CUSTOMER,
    name="issue",
    fields=(FieldSpec("/title", FieldClass.FREE_TEXT, sealed=True, key_class="messages"), FieldSpec("/status", FieldClass.INTERNAL)),
    versioning=Versioning.BODY,
    version_at="/data/@etag",
    idempotency=Idempotency.SEARCH,
    lookup="/issue?title={key}&@fields=title",
    lookup_field="/title",
    read_target="/issue/{id}?@verbose=1",
)  # fmt: skip
ONE_ISSUE = Shape(
    root="/data/attributes",
    id="/data/id",
    frame={"/data/id": FieldClass.INTERNAL, "/data/type": FieldClass.PUBLIC, "/data/link": FieldClass.LINK},
)
ISSUES = Shape(
    items="/data/collection",
    id="/id",
    total="/data/@total_size",
    frame={"/link": FieldClass.LINK},
    item_root="",
)
ROUNDUP_ROUTES = (
    route(Verb.READ, "GET", "issue", "{id}", resource="issue", shape=ONE_ISSUE, fixed=(("@verbose", "1"),)),
    route(
        Verb.LIST, "GET", "issue", resource="issue", shape=ISSUES, fixed=(("@fields", "title,status"),),
        page=PageRule("@page_size", "@page_index", 1, size=2),
    ),
    route(Verb.CREATE, "POST", "issue", resource="issue", shape=ONE_ISSUE),
    route(Verb.UPDATE, "PATCH", "issue", "{id}", resource="issue", shape=ONE_ISSUE, mode=UpdateMode.MERGE),
    route(Verb.DELETE, "DELETE", "issue", "{id}", resource="issue", shape=ONE_ISSUE),
)  # fmt: skip
ROUNDUP = replace(
    CRM,
    prefix="/desk",
    base="/rest/data",
    headers=(("x-requested-with", "rest"),),
    routes=ROUNDUP_ROUTES,
    resources={"issue": ISSUE},
)

WHO = Principal(Party("app:test"), None, frozenset({"support"}), ())


def addressed(
    spec: UpstreamSpec,
    verb: Verb,
    path: str,
    record: str | None = None,
    *,
    resource: str = "",
    raw_query: str = "",
    headers: tuple[tuple[str, str], ...] = (),
    parent: ResourceRef | None = None,
    query: Query | None = None,
) -> Addressed:
    resource = resource or next(iter(spec.resources))
    found = next(r for r in spec.routes if r.verb is verb and r.resource == resource)
    to = Forward(path, raw_query, headers)
    work = {
        Verb.READ: lambda: Read(to),
        Verb.LIST: lambda: List(to, query or Query()),
        Verb.CREATE: lambda: Create(to, Draft({})),
        Verb.UPDATE: lambda: Update(to, Draft({}), UpdateMode.MERGE),
        Verb.DELETE: lambda: Delete(to),
    }[verb]()
    ref = ResourceRef("crm", resource, record, parent)
    access = Access("req_1", WHO, found.action, "support", ref, datetime(2026, 11, 21, tzinfo=UTC))
    return Addressed(access, work, spec, found, spec.resources[resource])


def sealed(document: dict[str, Any], marker: str | None = "mark-1") -> SealedChange:
    return SealedChange(document, tuple(f"/{k}" for k in document), {}, False, None, marker)
