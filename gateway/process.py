"""A worker as its parent sees it: a process of its own, and the parent's end of the pipe to it."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

import orjson

from gateway.worker import MAX_LINE_BYTES, OPTION, STOP, Handed


class Process:
    """One worker. served: it has said that it serves. serving: it did, and the pipe to it is whole."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._writer = writer
        self._decided = asyncio.Event()
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self.served = self.serving = False
        self._reading = asyncio.create_task(self._read(reader))

    @classmethod
    async def start(cls, number: int, run: str, bound: socket.socket) -> Process:
        """Starts one: this very command line, with what it is handed behind it. Raises OSError where the machine starts none.

        A new program and no fork: threads, locks and random numbers of the parent are not shared.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            handed = Handed(number, run, theirs.fileno(), bound.fileno())
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *sys.orig_argv[1:],
                    OPTION,
                    handed.written,
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(handed.link, handed.bound),
                )
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE_BYTES)
        return cls(process, reader, writer)

    async def begun(self) -> bool:
        """Gives True when it serves, False when it ended before it did."""
        await self._decided.wait()
        return self.served

    async def ended(self) -> int:
        """Gives its exit code; below nought the number of the signal that ended it."""
        return await self._process.wait()

    async def ask(self, what: str, seconds: float) -> Any:
        """Gives what it says. Raises TimeoutError, and ConnectionError where it is gone."""
        if not self.serving:
            raise ConnectionError
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        self._writer.write(orjson.dumps({"ask": number, "what": what}) + b"\n")
        try:
            async with asyncio.timeout(seconds):
                return await self._asked[number]
        finally:
            self._asked.pop(number, None)

    def stop(self) -> None:
        """Asks it to finish what it began and end. Repeating it does no more, nor does a signal that reached it by itself: a service
        manager that sends one to each process of a group would otherwise have sent it its second."""
        if not self._writer.is_closing():
            self._writer.write(orjson.dumps({"what": STOP}) + b"\n")

    def kill(self) -> None:
        """Ends it at once."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                said = orjson.loads(line)
                if "ready" in said:
                    self.served = self.serving = True
                    self._decided.set()
                elif (waiting := self._asked.get(said["to"])) is not None and not waiting.done():
                    waiting.set_result(said["said"])
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
        ):  # gone, a line above the limit, or nothing that a worker says
            pass
        finally:
            self.serving = False
            self._decided.set()
            for waiting in self._asked.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError())
            self._writer.close()
