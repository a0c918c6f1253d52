"""A system that was there before the gateway: customers and their threads in clear, over HTTP, with ETags that it insists on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tests.campaign.secrecy.raw import Heard, raw_server, say

CATALOGUE = """
upstream: old
prefix: /old
base: http://127.0.0.1:{port}
connect_seconds: 0.2
answer_seconds: 1
request_headers: []
response_headers: [etag]
resources:
  customer:
    subject: itself
    id_form: token
    ids_public: false
    versioning: etag
    idempotency: none
    read: /customers/{{id}}
    fields:
      /id: {{class: public, server_set: true}}
      /name: {{class: identity, sealed: profile, mask: name, clear_until: {until}}}
      /phone: {{class: contact, sealed: profile, mask: phone, clear_until: {until}}}
      /phones: {{class: contact, sealed: profile, mask: phone, clear_until: {until}}}
      /contacts/*/id: {{class: internal}}
      /contacts/*/kind: {{class: internal}}
      /contacts/*/text: {{class: contact, sealed: profile, mask: free_text, element_id: id, clear_until: {until}}}
      /level: {{class: internal}}
      /unit: {{class: internal, fact: unit}}
  thread:
    subject: {{resource: customer, at: /customer}}
    id_form: token
    ids_public: false
    versioning: etag
    idempotency: none
    read: /threads/{{id}}
    fields:
      /id: {{class: public, server_set: true}}
      /customer: {{class: internal}}
      /title: {{class: free_text, sealed: messages, mask: free_text, clear_until: {until}}}
      /level: {{class: internal}}
      /unit: {{class: internal, fact: unit}}
routes:
  read: {{request: "GET /customers/{{id}}", resource: customer, does: read}}
  replace: {{request: "PUT /customers/{{id}}", resource: customer, does: update}}
  change: {{request: "PATCH /customers/{{id}}", resource: customer, does: update}}
  create: {{request: POST /customers, resource: customer, does: create}}
  remove: {{request: "DELETE /customers/{{id}}", resource: customer, does: delete}}
  create-thread: {{request: POST /threads, resource: thread, does: create}}
  remove-thread: {{request: "DELETE /threads/{{id}}", resource: thread, does: delete}}
  read-thread: {{request: "GET /threads/{{id}}", resource: thread, does: read}}
  replace-thread: {{request: "PUT /threads/{{id}}", resource: thread, does: update}}
  change-thread: {{request: "PATCH /threads/{{id}}", resource: thread, does: update}}
"""

Answers = Callable[[], int | None]


def _as_asked() -> int:
    return 200


@dataclass
class OldSystem:
    """What it holds, and every change that reached it. says: asked at each change; 200: done and answered, None: done and never
    answered, another status: not done and answered so (202 too). versioned: it insists on If-Match."""

    heard: Heard
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    changes: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    says: Answers = _as_asked
    versioned: bool = True

    @property
    def host(self) -> str:
        return self.heard.host

    def catalogue(self, until: date) -> str:
        text = CATALOGUE.format(port=self.heard.port, until=until)
        return text if self.versioned else text.replace("versioning: etag", "versioning: none")

    def put(self, path: str, **members: Any) -> None:
        """Writes a record there, behind everybody's back."""
        self.documents[path] = {**members, "id": path.rpartition("/")[2]}
        self.versions[path] = self.versions.get(path, 0) + 1

    def answer(self, head: bytes, body: bytes) -> bytes | None:
        first, *lines = head.decode().split("\r\n")
        method, path, _ = first.split()
        path = path.lstrip("/")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if path not in self.documents:
            return say(404, b"{}")
        if method == "GET":
            return self._told(path)
        sent = json.loads(body)
        self.changes.append((method, path))
        self.bodies.append(sent)
        status = self.says()
        if status not in (200, None):
            return say(status, b"{}")
        if self.versioned and headers.get("if-match") != f'"{self.versions[path]}"':
            return say(412, b"{}")
        old = self.documents[path] if method == "PATCH" else {}
        merged = {name: value for name, value in {**old, **sent}.items() if value is not None}
        self.put(path, **merged)
        return None if status is None else self._told(path)

    def _told(self, path: str) -> bytes:
        return say(200, json.dumps(self.documents[path]).encode(), f'ETag: "{self.versions[path]}"')


@asynccontextmanager
async def old_system() -> AsyncIterator[OldSystem]:
    """Serves one for a `with` block."""
    system: list[OldSystem] = []
    async with raw_server(lambda head, body: system[0].answer(head, body)) as heard:
        system.append(OldSystem(heard))
        yield system[0]
