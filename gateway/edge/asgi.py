"""The shapes of ASGI 3 that the control plane's door uses, and answers as its messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from gateway.edge.answer import Answered, lines_of

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gone(Exception):
    """The client left, or was sent away, before its request was complete: there is nobody to answer."""


async def send_answer(send: Send, made: Answered) -> None:
    """Sends one answer. To a HEAD the server leaves the content away and keeps the header lines (RFC 9110 section 9.3.2)."""
    await send({"type": "http.response.start", "status": made.status, "headers": lines_of(made)})
    await send({"type": "http.response.body", "body": made.body, "more_body": False})


async def start_and_stop(receive: Receive, send: Send) -> None:
    """Answers the server's start and stop, for an application that needs neither."""
    for done in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
        await receive()
        await send({"type": done})


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
