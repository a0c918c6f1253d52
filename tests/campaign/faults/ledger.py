"""An upstream of the campaigns' own, over real HTTP: keeps accounts in memory and notes every change that is forwarded to it.

It never fails unless a test has it so, so whatever is missing from its record was not forwarded, and whatever is in it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import uvicorn

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A change as it arrived. key: a create's Idempotency-Key. sealed: SHA-256 of each ciphertext in it. status: what became of it."""

    method: str
    record: str | None
    key: str | None
    sealed: frozenset[str]
    status: int


@dataclass
class Ledger:
    """accounts: id → record. forwarded: every change that arrived. stood: (id, version) of every state that ever was.

    slow_seconds: how long a change takes, half of it before it is made and half before it is answered. deaf: changes are answered
    500 and not made; mute: they are made and answered 500.
    """

    accounts: dict[str, Record] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    forwarded: list[Forwarded] = field(default_factory=list)
    stood: set[tuple[str, str]] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    address: str = ""
    slow_seconds: float = 0.0
    deaf: bool = False
    mute: bool = False
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        segments = scope["path"].strip("/").split("/")
        document = json.loads(body) if body else {}
        if scope["method"] == "GET":
            status, answer = self._look(segments, parse_qs(scope["query_string"].decode()))
        else:
            await asyncio.sleep(self.slow_seconds / 2)
            status, answer = self._change(scope["method"], segments, document, headers)
            await asyncio.sleep(self.slow_seconds / 2)
        lines = [(b"content-type", b"application/json")] if answer is not None else []
        if answer is not None and "id" in answer:
            lines.append((b"etag", self._etag(answer["id"]).encode()))
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send(
            {"type": "http.response.body", "body": b"" if answer is None else json.dumps(answer).encode()}
        )

    def _look(self, segments: list[str], query: dict[str, list[str]]) -> tuple[int, Record | None]:
        match segments:
            case ["accounts"]:
                names = sorted(self.accounts)
                after = query.get("cursor", [""])[0]
                limit = int(query["limit"][0])
                rest = [name for name in names if name > after]
                following = rest[limit - 1] if len(rest) > limit else None
                items = [self.accounts[name] for name in rest[:limit]]
                return 200, {"items": items, "next": following, "total": len(names)}
            case ["accounts", name] if name in self.accounts:
                return 200, self.accounts[name]
            case ["by-key", key] if self.keys.get(key) in self.accounts:
                return 200, self.accounts[self.keys[key]]
        return 404, None

    def _change(
        self, method: str, segments: list[str], document: Record, headers: dict[str, str]
    ) -> tuple[int, Record | None]:
        name = segments[1] if len(segments) > 1 else None
        key = headers.get("idempotency-key")
        status, answer = (
            (500, None) if self.deaf else self._do(method, name, document, key, headers.get("if-match"))
        )
        texts = [value for value in document.values() if isinstance(value, str)]
        digests = frozenset(hashlib.sha256(text.encode()).hexdigest() for text in texts)
        self.forwarded.append(Forwarded(method, name, key, digests, status))
        return (500, None) if self.mute else (status, answer)

    def _do(
        self, method: str, name: str | None, document: Record, key: str | None, condition: str | None
    ) -> tuple[int, Record | None]:
        if method == "POST":
            assert key is not None
            if key in self.keys:
                return 201, self.accounts[self.keys[key]]
            name = f"acc{next(self.numbers):06d}"
            self.accounts[name] = {"id": name, **document}
            self.keys[key] = name
            self._stand(name)
            return 201, self.accounts[name]
        if name not in self.accounts:
            return 404, None
        if condition != self._etag(name):
            return 412, None
        if method == "DELETE":
            del self.accounts[name]
            self.closed.add(name)
            return 204, None
        self.accounts[name] |= document
        self._stand(name)
        return 200, self.accounts[name]

    def _stand(self, name: str) -> None:
        self.versions[name] = self.versions.get(name, 0) + 1
        self.stood.add((name, self._etag(name)))

    def _etag(self, name: str) -> str:
        return f'"{name}-{self.versions[name]}"'


@asynccontextmanager
async def serving() -> AsyncIterator[Ledger]:
    """Gives an empty ledger that answers at `address` from this event loop."""
    ledger = Ledger()
    config = uvicorn.Config(
        ledger,
        host="127.0.0.1",
        port=0,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=60,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    task = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    ledger.address = f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield ledger
    finally:
        server.should_exit = True
        server.force_exit = True
        await task
