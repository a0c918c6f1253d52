"""Applications that call the gateway: connections kept alive, one request at a time each, a seeded mix of work."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SECONDS = 60.0
"""How long an answer may take on a busy machine; a campaign's own faults last less."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer. what: the kind of work that was asked for. phase: what the campaign was doing when it was asked.

    at: when it was whole, in seconds of the machine's monotonic clock.
    """

    what: str
    phase: str
    status: int
    headers: Mapping[str, str]
    body: Any
    at: float = field(default_factory=time.monotonic)

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def request(self) -> str:
        return self.headers["gatehouse-request"]


class Connection:
    """One keep-alive connection to the gateway. `ask` gives None where no whole answer came; `reached`: whether anybody took it."""

    def __init__(self, base: str) -> None:
        self._host, self._port = base.removeprefix("http://").split(":")
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.reached = False

    async def ask(
        self, key: str, method: str, path: str, document: Any = None
    ) -> tuple[int, dict[str, str], Any] | None:
        try:
            async with asyncio.timeout(SECONDS):
                return await self._exchange(self._request(key, method, path, document))
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            self.close()
            return None

    async def leave(self, key: str, method: str, path: str, document: Any = None) -> bool:
        """Asks, and is gone before any answer; False where nobody took the connection."""
        try:
            _, writer = await asyncio.open_connection(self._host, int(self._port))
        except OSError:
            return False
        writer.write(self._request(key, method, path, document))
        await writer.drain()
        await asyncio.sleep(0.05)  # long enough to be read, not to be answered by a slow upstream
        writer.close()
        return True

    def _request(self, key: str, method: str, path: str, document: Any) -> bytes:
        body = b"" if document is None else json.dumps(document).encode()
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", f"Authorization: Bearer {key}"]
        if document is not None:
            lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, str], Any]:
        if self._pair is None:
            self.reached = False
            self._pair = await asyncio.open_connection(self._host, int(self._port))
            self.reached = True
        reader, writer = self._pair
        writer.write(request)
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            self.close()
        document = json.loads(body) if "json" in headers.get("content-type", "") else None
        return int(first.split()[1]), headers, document

    def close(self) -> None:
        if self._pair is not None:
            self._pair[1].close()
            self._pair = None


# What is asked for, by weight. Denials are part of the mix: they must leave evidence as well.
MIX = {"read": 40, "list": 6, "create": 16, "update": 18, "delete": 8, "denied-read": 6, "denied-change": 6}


@dataclass
class Load:
    """What callers share: keys, accounts known to stand, every answer, and how many requests that were taken got none.

    pause_seconds: how long a caller waits after a 503 or no answer. phase: what each answer is noted under.
    held: nobody begins anything new.
    """

    keys: Mapping[str, str]
    dice: random.Random
    base: str = ""
    pause_seconds: float = 0.02
    phase: str = "fair"
    known: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    unanswered: int = 0
    held: bool = False
    ended: bool = False

    async def until_ended(self, callers: int) -> None:
        """Calls on until `ended` is set; where nobody answers, tries again a moment later at what is `base` by then."""
        await asyncio.gather(*(self._caller() for _ in range(callers)))

    async def _caller(self) -> None:
        connection, at = Connection(self.base), self.base
        while not self.ended:
            if at != self.base:
                connection.close()
                connection, at = Connection(self.base), self.base
            if self.held or not await self.once(connection):
                await asyncio.sleep(self.pause_seconds)
        connection.close()

    async def once(self, connection: Connection) -> bool:
        """Asks for one thing; False where no answer came, or none but "later"."""
        what = self.dice.choices(list(MIX), list(MIX.values()))[0]
        if not self.known:
            what = "create"
        key, method, path, document, taken = self._work(what)
        phase = self.phase
        found = await connection.ask(key, method, path, document)
        if found is None:
            self.unanswered += connection.reached
            return False
        answer = Answer(what, phase, *found)
        self.answers.append(answer)
        if (
            answer.good and method == "POST" and answer.body is not None
        ):  # a change that a start overtook shows nothing
            self.known.append(answer.body["id"])
        if taken is not None and not answer.good and answer.status not in (404, 409):
            self.known.append(taken)
        return answer.status != 503

    def _work(self, what: str) -> tuple[str, str, str, Any, str | None]:
        clerk = self.keys["clerk"]
        if what == "list":
            return clerk, "GET", "/ledger/accounts?limit=5", None, None
        if what == "create":
            return clerk, "POST", "/ledger/accounts", self.account(), None
        name = self.dice.choice(self.known)
        path = f"/ledger/accounts/{name}"
        match what:
            case "read":
                return self.keys[self.dice.choice(("clerk", "auditor"))], "GET", path, None, None
            case "update":
                return clerk, "PATCH", path, {"remark": f"called {self.dice.random()}"}, None
            case "delete":
                self.known.remove(name)
                return clerk, "DELETE", path, None, name
            case "denied-read":
                return self.keys["marketer"], "GET", path, None, None
            case _:
                return self.keys["auditor"], "PATCH", path, {"remark": "not mine to write"}, None

    def account(self) -> dict[str, str]:
        return {
            "holder": f"Account Holder {self.dice.randrange(10**9)}",
            "remark": f"opened {self.dice.random()}",
            "unit": "branch:shanghai",
        }

    def good(self, *what: str) -> list[Answer]:
        return [answer for answer in self.answers if answer.good and (not what or answer.what in what)]
