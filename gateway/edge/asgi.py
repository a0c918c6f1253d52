"""The shapes of ASGI 3 that this door uses, and answers as its messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol, TypeAlias

from gateway.text.problems import SAFE_HEADERS

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_BODILESS = frozenset({204, 304})  # RFC 9110 sections 15.3.5 and 15.4.5


class Answer(Protocol):
    """What a Reply and a Problem have in common."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names in lower case."""
        ...

    @property
    def body(self) -> bytes:
        """The whole content; empty when there is none."""
        ...


class Gone(Exception):
    """The client left, or was sent away, before its request was complete: there is nobody to answer."""


def head_of(answer: Answer, request_id: str) -> list[tuple[bytes, bytes]]:
    """Gives the header lines: the answer's, the safe ones in place of its own, the request's id and the length of the content."""
    ours = [*SAFE_HEADERS, ("gatehouse-request", request_id)]
    if answer.status not in _BODILESS:
        ours.append(("content-length", str(len(answer.body))))
    names = {name for name, _ in ours}
    lines = [*(pair for pair in answer.headers if pair[0] not in names), *ours]
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in lines]


async def send_answer(send: Send, answer: Answer, request_id: str) -> None:
    """Sends one answer. To a HEAD the server leaves the content away and keeps the header lines (RFC 9110 section 9.3.2)."""
    lines = head_of(answer, request_id)
    body = b"" if answer.status in _BODILESS else answer.body
    await send({"type": "http.response.start", "status": answer.status, "headers": lines})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def body_of(receive: Receive) -> bytes:
    """Gives the whole body. The protocol bounds its size and its time, so nothing is counted here. Raises Gone."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return bytes(message.get("body", b""))
    parts = []
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
    raise Gone
