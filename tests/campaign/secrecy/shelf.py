"""An upstream of our own that keeps what it is given, as it is given, in a SQLite file: JSON documents and ETags, over HTTP."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.campaign.secrecy.raw import Heard, raw_server, say

CATALOGUE = """
upstream: {name}
prefix: /{name}
base: http://127.0.0.1:{port}
request_headers: []
response_headers: [etag]
resources:
  customer:
    subject: itself
    id_form: token
    versioning: etag
    idempotency: none
    read: /customers/{{id}}
    fields:
      /id: {{class: public, server_set: true}}
      /name: {{class: identity, sealed: profile, mask: name}}
      /phone: {{class: contact, sealed: profile, mask: phone}}
      /unit: {{class: internal, fact: unit}}
      /contacts/*/id: {{class: internal}}
      /contacts/*/text: {{class: contact, sealed: profile, mask: free_text, element_id: id}}
routes:
  read: {{request: "GET /customers/{{id}}", resource: customer, does: read}}
  create: {{request: POST /customers, resource: customer, does: create}}
  replace: {{request: "PUT /customers/{{id}}", resource: customer, does: update}}
  change: {{request: "PATCH /customers/{{id}}", resource: customer, does: update}}
  remove: {{request: "DELETE /customers/{{id}}", resource: customer, does: delete}}
"""


@dataclass
class Shelf:
    """One running upstream. file: its database."""

    file: Path
    heard: Heard

    @property
    def host(self) -> str:
        return self.heard.host

    def catalogue(self, name: str) -> str:
        return CATALOGUE.format(name=name, port=self.heard.port)

    def document(self, record: str) -> dict[str, Any]:
        """Gives what lies in the database."""
        with closing(sqlite3.connect(self.file)) as connection:
            (text,) = connection.execute("SELECT document FROM records WHERE id = ?", (record,)).fetchone()
        found: dict[str, Any] = json.loads(text)
        return found

    def put(self, record: str, document: dict[str, Any]) -> None:
        """Changes it there, behind everybody's back."""
        with closing(sqlite3.connect(self.file)) as connection:
            connection.execute(
                "INSERT OR REPLACE INTO records VALUES (?, 1, ?)", (record, json.dumps(document))
            )
            connection.commit()


@asynccontextmanager
async def shelf(file: Path) -> AsyncIterator[Shelf]:
    """Serves one for a `with` block."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, version INTEGER, document TEXT)"
        )
        async with raw_server(lambda head, body: _answer(connection, head, body)) as heard:
            yield Shelf(file, heard)


def _answer(connection: sqlite3.Connection, head: bytes, body: bytes) -> bytes:
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split()
    record = target.partition("?")[0].rpartition("/")[2]
    given = json.loads(body) if body else None
    if method == "POST":
        (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
        return _keep(connection, f"c{count + 1}", 1, {**given, "id": f"c{count + 1}"}, 201)
    row = connection.execute("SELECT version, document FROM records WHERE id = ?", (record,)).fetchone()
    if row is None:
        return _say(404, {"gone": True})
    version, document = row[0], json.loads(row[1])
    if method == "PUT":
        return _keep(connection, record, version + 1, {**given, "id": record})
    if method == "PATCH":
        return _keep(connection, record, version + 1, {**document, **given})
    if method == "DELETE":
        connection.execute("DELETE FROM records WHERE id = ?", (record,))
        connection.commit()
        return _say(204, None)
    return _say(200, document, version)


def _keep(
    connection: sqlite3.Connection, record: str, version: int, document: dict[str, Any], status: int = 200
) -> bytes:
    connection.execute(
        "INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (record, version, json.dumps(document))
    )
    connection.commit()
    return _say(status, document, version)


def _say(status: int, document: Any, version: int | None = None) -> bytes:
    body = b"" if document is None else json.dumps(document).encode()
    return say(status, body, *([f'ETag: "{version}"'] if version is not None else []))
