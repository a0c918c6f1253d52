"""What passes over the socket of a running gateway, seen by who asks: the operations' names, and the question. gateway/local.py answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.words.errors import Code, Misconfigured, Refused

SOCKET: Final = "gatehouse.sock"
"""Its name in the home folder."""
TAIL, REPLAY = "audit.tail", "audit.replay"
EXPLAIN, WHO_CAN, WHAT_CAN = "policy.explain", "policy.who-can", "policy.what-can"
ACTIVATE, APPROVE, HISTORY = "policy.activate", "policy.approve", "policy.history"
FREEZES, LIFT = "freezes.list", "freezes.lift"
PORTS: Final = "ports"
"""Asks on which ports the process listens."""
_MAX_ANSWER_BYTES = 64 * 1024 * 1024


async def ask(home: Path, operation: str, **given: Any) -> Any:
    """Asks the running process. Raises Misconfigured when none listens, Refused when it said no."""
    try:
        reader, writer = await asyncio.open_unix_connection(home / SOCKET, limit=_MAX_ANSWER_BYTES)
    except OSError as error:
        raise Misconfigured(
            "no gateway is running on this home folder: start it with `gatehouse run` or `gatehouse demo`"
        ) from error
    writer.write(orjson.dumps({"do": operation, **given}) + b"\n")
    await writer.drain()
    answer = orjson.loads(await reader.readline())
    writer.close()
    if "refused" in answer:
        raise Refused(Code(answer["refused"]))
    return answer["done"]
