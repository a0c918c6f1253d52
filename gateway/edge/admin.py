"""The admin door: `/metrics`, `/healthz`, `/readyz` on a listener of their own, and nothing else. No credential, no entry.

What is said here holds no personal value, but it tells how much is going on: the address is for operators' networks, and the data
port never answers `/metrics`. Its own requests are not counted: a scrape is nobody's request.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.edge.answer import Answer, answered
from gateway.edge.asgi import Receive, Scope, Send, send_answer, start_and_stop
from gateway.observe import MEDIA_TYPE, Series, event, place_of, render
from gateway.text import Language
from gateway.text.problems import problem
from gateway.wire.target import Target
from gateway.words.errors import Code, GatehouseError, Refused
from gateway.words.ids import new_id

Standing = Callable[[], Awaitable[tuple[bool, Mapping[str, Any]]]]
"""Gives whether everything that serving needs is there, and the document that says it piece by piece."""
Collected = Callable[[], Awaitable[Sequence[Series]]]
"""Gives every instrument as it stands now."""
_METHODS: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Inside:
    """What there is to see of a process, or of several that serve as one."""

    collected: Collected
    standing: Standing


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


class Admin:
    """The ASGI callable of the admin listener, behind the same protocol as every listener."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            await start_and_stop(receive, send)
            return
        request_id = new_id("req")
        answer: Answer
        try:
            answer = await self._answer(scope["gatehouse.target"], scope["method"])
        except GatehouseError as error:
            answer = problem(error, Language.ENGLISH, request_id)
        except Exception as error:  # noqa: BLE001 - the outermost door: a defect is answered 500 and logged, and nothing goes on
            kind, at = place_of(error)
            event("defect", logging.ERROR, request=request_id, error=kind, at=at)
            answer = problem(GatehouseError(Code.INTERNAL), Language.ENGLISH, request_id)
        await send_answer(send, answered(answer, request_id))

    async def _answer(self, target: Target, method: str) -> Answer:
        if target.path not in ("/metrics", "/healthz", "/readyz"):
            raise Refused(Code.NOT_FOUND)
        if method not in _METHODS:
            raise Refused(Code.METHOD_NOT_LISTED, allow=", ".join(_METHODS))
        if target.query:
            raise Refused(Code.PARAMETER_UNKNOWN)
        if target.path == "/metrics":
            return _Said(200, (("content-type", MEDIA_TYPE),), render(await self._inside.collected()))
        if target.path == "/healthz":
            return _json(200, {"alive": True})
        ready, document = await self._inside.standing()
        return _json(200 if ready else 503, document)


def _json(status: int, document: Mapping[str, Any]) -> _Said:
    return _Said(status, (("content-type", "application/json"),), orjson.dumps(document))
