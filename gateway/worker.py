"""One process of several that serve on one port: what its parent hands it, and its end of the pipe between them.

A line of JSON each way. The parent asks `{"ask": 7, "what": "collected"}` and is told `{"to": 7, "said": …}`, or says `{"what": "stop"}`;
the worker says `{"ready": true}` once it serves. The pipe is the tie of life too: it ends when its parent does, however that ended,
and a worker without a parent finishes what it began and ends. Nothing of anybody's passes through it: counts, states, a digest.
"""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.edge import Inside
from gateway.observe import event, packed, place_of
from gateway.words.errors import Misconfigured

OPTION: Final = "--worker"
"""What the parent's own command line has in addition when it starts a worker."""
COLLECTED, STANDING, STOP = "collected", "standing", "stop"
MAX_LINE_BYTES: Final = 4 * 1024 * 1024
_HANDED: Final = re.compile(r"([1-9][0-9]{0,3}):(run_[0-9a-z]{26}):([0-9]{1,6}):([0-9]{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Handed:
    """What a worker is handed: its number, the id of the start that all workers are of, and two file descriptors."""

    number: int
    run: str
    link: int
    bound: int

    @classmethod
    def read(cls, text: str) -> Handed:
        """Gives what `written` gave. Raises Misconfigured."""
        found = _HANDED.fullmatch(text)
        if found is None:
            raise _not_for_people()
        return cls(int(found[1]), found[2], int(found[3]), int(found[4]))

    @property
    def written(self) -> str:
        """The option's value."""
        return f"{self.number}:{self.run}:{self.link}:{self.bound}"


def _not_for_people() -> Misconfigured:
    return Misconfigured(
        f"{OPTION} is what `gatehouse run --workers N` hands to the processes that it starts: leave it away"
    )


class Worker:
    """This process, where it is one of several. bound: the port's socket, which all of them have.

    Raises Misconfigured where the descriptors are not what a parent hands over.
    """

    def __init__(self, handed: Handed) -> None:
        self.number, self.run = handed.number, handed.run
        try:
            self.bound = socket.socket(fileno=handed.bound)
            self._link = socket.socket(fileno=handed.link)
        except OSError as error:
            raise _not_for_people() from error
        for inherited in (self.bound, self._link):
            inherited.setblocking(False)
            inherited.set_inheritable(False)
        self._inside: Inside | None = None
        self._stop: Callable[[], None] = _as_by_a_signal
        self._writer: asyncio.StreamWriter | None = None
        self._answering: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def attending(self) -> AsyncIterator[None]:
        """Attends to the parent while inside. A parent that says stop, or is gone, ends this process: in order where it serves."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._link, limit=MAX_LINE_BYTES)
        listening = asyncio.create_task(self._listen(reader))
        try:
            yield
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
            self._writer.close()

    def serves(self, inside: Inside, stop: Callable[[], None]) -> None:
        """Tells the parent that this process serves. From now on it is told what it asks, and `stop` is how it ends."""
        self._inside, self._stop = inside, stop
        self._say({"ready": True})

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                asked = orjson.loads(line)
                if asked["what"] == STOP:
                    break
                task = asyncio.create_task(self._answer(asked["ask"], asked["what"]))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
        self._stop()

    async def _answer(self, number: int, what: str) -> None:
        if self._inside is None:
            return
        try:
            said: Any
            if what == COLLECTED:
                said = packed(await self._inside.collected())
            else:
                said = (await self._inside.standing())[1]
        except Exception as error:  # noqa: BLE001 - its parent shows a worker that does not answer; what it serves goes on
            kind, at = place_of(error)
            event("loop-failed", logging.ERROR, component="worker", error=kind, at=at)
            return
        self._say({"to": number, "said": said})

    def _say(self, what: dict[str, Any]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(orjson.dumps(what) + b"\n")


def _as_by_a_signal() -> None:
    """Before it serves: what was begun is cancelled and closed, as SIGTERM does it."""
    signal.raise_signal(signal.SIGTERM)
