"""One keep-alive connection to a gateway, bytes in and bytes out: no library between the test and what was said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

JSON_TYPE = "application/json"
MERGE_TYPE = "application/merge-patch+json"


@dataclass(frozen=True)
class Said:
    """One answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    head: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The problem's code, empty for an answer that is no problem."""
        if self.headers.get("content-type") != "application/problem+json":
            return ""
        return str(self.json["type"]).removeprefix("urn:gatehouse:problem:")


class Client:
    """Asks one after the other; opens its connection anew where the gateway closed it."""

    def __init__(self, base: str, seconds: float = 60) -> None:
        parts = urlsplit(base)
        self._address = (parts.hostname, parts.port)
        self._seconds = seconds
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._pair is not None:
            self._pair[1].close()
            self._pair = None

    async def ask(
        self,
        method: str,
        target: str | bytes,
        key: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        merge: bool = False,
    ) -> Said:
        """Sends one request; a body that is no bytes goes as JSON."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        lines = {"host": "gate.example"}
        if key is not None:
            lines["authorization"] = f"Bearer {key}"
        if body is not None:
            lines["content-type"] = MERGE_TYPE if merge else JSON_TYPE
            lines["content-length"] = str(len(raw))
        lines |= headers or {}
        spelled = target if isinstance(target, bytes) else target.encode("latin-1")
        head = method.encode() + b" " + spelled + b" HTTP/1.1\r\n"
        head += b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in lines.items())
        return await self.raw(head + b"\r\n" + raw, head_only=method == "HEAD")

    async def raw(self, data: bytes, *, head_only: bool = False) -> Said:
        """Sends bytes as they are and gives the answer."""
        fresh = self._pair is None
        try:
            return await asyncio.wait_for(self._once(data, head_only), self._seconds)
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            if fresh:
                raise
            # The gateway had ended the idle connection: nothing of this request was taken.
            return await asyncio.wait_for(self._once(data, head_only), self._seconds)

    async def _once(self, data: bytes, head_only: bool) -> Said:
        if self._pair is None:
            self._pair = await asyncio.open_connection(*self._address, limit=2**20)
        reader, writer = self._pair
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = dict(line.lower().partition(": ")[::2] if ":" in line else (line, "") for line in lines)
        exact = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines}
        status = int(first.split()[1])
        length = 0 if head_only or status in (204, 304) else int(exact.get("content-length", "0"))
        body = await reader.readexactly(length)
        if headers.get("connection") == "close":
            await self.close()
        return Said(status, exact, body, head)
