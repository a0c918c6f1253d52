"""Requests through the edge's door to the control plane, as raw ASGI: what the door makes of them is what is tested."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gateway.edge import Dispatcher, Door
from gateway.observe import Metrics
from gateway.rooms import Reply
from gateway.wire.target import canonical
from gateway.words.access import Call


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        return str(self.json["type"]).removeprefix("urn:gatehouse:problem:")


class NoCorridor:
    """The data plane is not reached from here."""

    async def answer(self, call: Call) -> Reply:
        raise AssertionError(f"the corridor was reached by {call.method}")


@dataclass
class Client:
    """Speaks to one dispatcher."""

    dispatcher: Dispatcher
    metrics: Metrics

    @classmethod
    def of(cls, control: Any) -> Client:
        metrics = Metrics()
        return cls(Dispatcher(Door(NoCorridor(), metrics), control, tuple), metrics)

    async def __call__(
        self,
        method: str,
        target: str,
        key: str | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Said:
        lines = {"host": "127.0.0.1"} | ({"authorization": f"Bearer {key}"} if key else {}) | (headers or {})
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if data:
            lines.setdefault("content-type", "application/json")
        path, _, query = target.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 8080),
            "state": {},
            "gatehouse.target": canonical(target.encode()),
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.dispatcher(scope, receive, send)
        start, *bodies = sent
        said = {name.decode(): value.decode() for name, value in start["headers"]}
        return Said(start["status"], said, b"".join(part.get("body", b"") for part in bodies))
