"""Asks a house in this process, as the edge would hand a request on."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.app import House
from gateway.rooms import Reply
from gateway.wire.target import canonical
from gateway.words.access import Call
from gateway.words.ids import new_id


async def ask(house: House, method: str, target: str, key: str, body: bytes = b"", **headers: str) -> Reply:
    """Gives the corridor's reply. Raises what it raises."""
    read = canonical(target.encode(), max_bytes=8192)
    sent = {"authorization": f"Bearer {key}"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return await house.gate.answer(
        Call(
            id=new_id("req"),
            method=method,
            path=read.path,
            segments=read.segments,
            raw_query=read.raw_query,
            query=read.query,
            headers=tuple(sent.items()),
            body=body,
            peer="127.0.0.1",
            received=datetime.now(UTC),
        )
    )
