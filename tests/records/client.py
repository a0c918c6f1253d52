"""Speaks HTTP to the embedded upstream in-process: one call, one answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gateway.records.app import Application


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def etag(self) -> str:
        return self.headers["etag"]

    @property
    def problem(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return str(self.json["type"]).removeprefix("urn:records:problem:")


class Client:
    """`headers` name with underscores; a body that is not bytes goes as JSON, with its media type unless one is given."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def call(self, method: str, target: str, body: object = None, **headers: str) -> Answer:
        path, _, query = target.partition("?")
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named.setdefault("content-type", "application/json")
        parts = [raw[:7], raw[7:]]
        sent: list[Any] = []

        async def receive() -> Any:
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in named.items()],
        }
        await self._application(scope, receive, send)
        start, end = sent
        found = {k.decode(): v.decode() for k, v in start["headers"]}
        assert method == "HEAD" or int(found["content-length"]) == len(end["body"])
        return Answer(start["status"], found, end["body"])

    async def get(self, target: str) -> Answer:
        return await self.call("GET", target)

    async def post(self, target: str, body: object, **headers: str) -> Answer:
        return await self.call("POST", target, body, **headers)

    async def put(self, target: str, body: object, tag: str) -> Answer:
        return await self.call("PUT", target, body, if_match=tag)

    async def patch(self, target: str, body: object, tag: str) -> Answer:
        return await self.call(
            "PATCH", target, body, if_match=tag, content_type="application/merge-patch+json"
        )

    async def made(self, target: str, body: object) -> dict[str, Any]:
        answer = await self.post(target, body)
        assert answer.status == 201, answer.body
        return dict(answer.json)
