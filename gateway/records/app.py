"""Embedded upstream: its HTTP face. A plain ASGI application: an upstream like any other, reached in-process.

Not Litestar: a handler there costs more than the whole of this (FACTS, "Where the time goes"), and there is nothing to negotiate.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.observe import event
from gateway.records import document, query, work
from gateway.records.kinds import CUSTOMER, MESSAGE, THREAD, Kind
from gateway.records.problem import Problem
from gateway.records.work import Record
from gateway.store import Damaged, Store
from gateway.words.errors import BadAnswer, Unavailable
from gateway.words.ids import new_id
from gateway.words.json import Json

MAX_BODY_BYTES = 2 * 1024 * 1024

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Clock = Callable[[], datetime]

_TAGS = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"(?:[ \t]*,[ \t]*(?:W/)?"[\x21\x23-\x7e]*")*')
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e]*")')
_KEY = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_JSON = frozenset({"application/json"})
_MERGE = frozenset({"application/merge-patch+json", "application/json"})


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    segments: tuple[str, ...]
    query: bytes = field(repr=False)
    headers: Mapping[bytes, bytes] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1").strip(" \t")


@dataclass(frozen=True, slots=True)
class _Place:
    """What a path names: a kind's collection, or one record of it; `parent` is a message's thread."""

    kind: Kind
    parent: str | None
    record: str | None


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: bytes = field(default=b"", repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = ()


class _Gone(Exception):
    """The caller closed the connection before his request was whole; nobody is left to answer."""


def create_records(store: Store, *, clock: Clock = lambda: datetime.now(UTC)) -> Application:
    """Gives the ASGI application over a migrated store. It owns neither the store nor its schema.

    Raises BadAnswer for what it holds and cannot say: a cell that somebody damaged. A list that has such a record on its page is one.
    Promises: a 2xx to a change means durable; 412 means unchanged; no problem document holds a value.
    """
    records = _Records(store, clock)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await records.answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)

    return application


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


class _Records:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._collection = {"GET": self._list, "HEAD": self._list, "POST": self._create}
        self._single = {
            "GET": self._read,
            "HEAD": self._read,
            "PUT": self._change,
            "PATCH": self._change,
            "DELETE": self._delete,
        }

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await self._dispatch(await _request(scope, receive))
        except _Gone:
            return
        except Damaged:
            raise BadAnswer(200) from None  # it is there, and what there is to say of it is no JSON
        except Unavailable:
            reply = _refusal(Problem("unavailable"))
        except Problem as problem:
            reply = _refusal(problem)
        headers = [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _dispatch(self, request: _Request) -> _Reply:
        match request.segments:
            case ("by-key", key):
                return await self._by_key(request, key)
            case ("customers", *rest) if len(rest) < 2:
                place = _Place(CUSTOMER, None, rest[0] if rest else None)
            case ("threads", *rest) if len(rest) < 2:
                place = _Place(THREAD, None, rest[0] if rest else None)
            case ("threads", thread, "messages", *rest) if len(rest) < 2:
                place = _Place(MESSAGE, thread, rest[0] if rest else None)
            case _:
                raise Problem("not-found")
        handlers = self._collection if place.record is None else self._single
        handler = handlers.get(request.method)
        if handler is None:
            raise Problem("method", allow=", ".join(handlers))
        if handler != self._list and request.query:
            raise Problem("parameter-unknown")
        try:
            return await handler(request, place)
        except Damaged:
            event("record-damaged", logging.ERROR, resource=place.kind.name)
            raise

    async def _by_key(self, request: _Request, key: str) -> _Reply:
        if request.method not in ("GET", "HEAD"):
            raise Problem("method", allow="GET, HEAD")
        if request.query:
            raise Problem("parameter-unknown")
        kind, record = await self._store.read(lambda c: work.by_key(c, _key(key)))
        return _json(200, {"type": kind, "record": record}, _tag(record))

    async def _list(self, request: _Request, place: _Place) -> _Reply:
        listing = query.parse(request.query, place.kind, place.parent or "")
        rows, after, total = await self._store.scan(lambda c: work.page(c, place.kind, listing, place.parent))
        answer: dict[str, Any] = {
            "items": rows,
            "next": None if after is None else query.cursor_of(listing, after),
        }
        if total is not None:
            answer["total"] = total
        if listing.places:
            answer["places"] = [query.cursor_of(listing, query.place_of(row, listing.sorts)) for row in rows]
        return _json(200, answer)

    async def _create(self, request: _Request, place: _Place) -> _Reply:
        given = _body(request, _JSON)
        key = request.header(b"idempotency-key")
        if key is not None:
            _key(key)
        kind, now = place.kind, self._clock()
        implied = await self._store.read(
            lambda c: work.implied(c, kind, given.get("customer_id"), place.parent)
        )
        fields = document.created(kind, given, implied, now)
        moment = document.instant(now)
        own = {"id": new_id(kind.prefix), "version": 1, "created_at": moment, "updated_at": moment}
        new = {name: own[name] if name in own else fields[name] for name in kind.fields}
        record, fresh = await self._store.write(lambda c: work.create(c, kind, new, key))
        location = f"/{'/'.join(request.segments)}/{record['id']}".encode("ascii")
        return _json(201 if fresh else 200, record, _tag(record), (b"location", location))

    async def _read(self, _request: _Request, place: _Place) -> _Reply:
        record = await self._current(place)
        return _json(200, record, _tag(record))

    async def _change(self, request: _Request, place: _Place) -> _Reply:
        given = _body(request, _JSON if request.method == "PUT" else _MERGE)
        current = await self._expected(request, place)
        make = document.replaced if request.method == "PUT" else document.merged
        values = make(place.kind, given, current)
        if all(current[name] == value for name, value in values.items()):
            return _json(200, current, _tag(current))
        version = current["version"] + 1
        values = {**values, "version": version, "updated_at": document.instant(self._clock())}
        if not await self._store.write(
            lambda c: work.change(c, place.kind, current["id"], current["version"], values)
        ):
            raise Problem("changed")
        changed = {**current, **values}
        return _json(200, changed, _tag(changed))

    async def _delete(self, request: _Request, place: _Place) -> _Reply:
        current = await self._expected(request, place)
        if not await self._store.write(
            lambda c: work.remove(c, place.kind, current["id"], current["version"])
        ):
            raise Problem("changed")
        return _Reply(204)

    async def _current(self, place: _Place) -> Record:
        record = await self._store.read(lambda c: work.find(c, place.kind, place.record or "", place.parent))
        if record is None:
            raise Problem("not-found")
        return record

    async def _expected(self, request: _Request, place: _Place) -> Record:
        """Gives the record, if it is the one that If-Match names (RFC 9110 section 13.1.1, strong comparison)."""
        condition = request.header(b"if-match")
        if condition is None:
            raise Problem("condition-missing")
        if condition != "*" and not _TAGS.fullmatch(condition):
            raise Problem("condition")
        current = await self._current(place)
        strong = {tag for weak, tag in _TAG.findall(condition) if not weak}
        if condition != "*" and f'"{current["version"]}"' not in strong:
            raise Problem("changed")
        return current


async def _request(scope: Scope, receive: Receive) -> _Request:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise Problem("too-large")
        parts.append(part)
        if not message.get("more_body", False):
            break
    # The raw path: our ids and keys need no escaping, so that a path that has any names nothing here.
    raw = scope["raw_path"]
    path = raw.decode("ascii", "replace").removeprefix(scope.get("root_path", ""))
    return _Request(
        scope["method"],
        tuple(path.removeprefix("/").split("/")) if path.startswith("/") else (),
        scope.get("query_string", b""),
        dict(scope["headers"]),
        b"".join(parts),
    )


def _body(request: _Request, types: frozenset[str]) -> dict[str, Json]:
    media, _, parameters = (request.header(b"content-type") or "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media.strip().lower() not in types or charset not in ("", "charset=utf-8"):
        raise Problem("media-type")
    return document.parse(request.body)


def _key(given: str) -> str:
    if not _KEY.fullmatch(given):
        raise Problem("key")
    return given


def _tag(record: Record) -> tuple[bytes, bytes]:
    return (b"etag", f'"{record["version"]}"'.encode("ascii"))


def _json(status: int, value: object, *headers: tuple[bytes, bytes]) -> _Reply:
    return _Reply(status, orjson.dumps(value), ((b"content-type", b"application/json"), *headers))


def _refusal(problem: Problem) -> _Reply:
    headers = [(b"content-type", b"application/problem+json")]
    if problem.allow is not None:
        headers.append((b"allow", problem.allow.encode("ascii")))
    return _Reply(problem.status, orjson.dumps(problem.document()), tuple(headers))
