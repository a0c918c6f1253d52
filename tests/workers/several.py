"""A gateway of several workers as its operators meet it: one process to signal, one admin port, one database."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.campaign.faults.estate import GUARDED, Estate, prepare
from tests.campaign.faults.ledger import Ledger, serving
from tests.campaign.serving import Gateway, Launcher
from tests.conftest import PostgresServer
from tests.waiting import until

_SAMPLE = re.compile(r"([a-z_]+)\{([^}]*)\} (\S+)")
_LABEL = re.compile(r'([a-z]+)="([^"]*)"')


@asynccontextmanager
async def prepared(
    folder: Path, server: PostgresServer, slow_seconds: float = 0.0
) -> AsyncIterator[tuple[Ledger, Estate]]:
    """An upstream and a home with its credentials, on a database of their own."""
    database = server.new_database()
    async with serving() as ledger:
        ledger.slow_seconds = slow_seconds
        yield ledger, await prepare(folder / "home", ledger.address, server.dsn(database))
    server.drop_database(database)


@dataclass
class Several:
    """A parent that serves with all of its workers. admin: the base of its admin port."""

    gateway: Gateway
    admin: str

    def said(self, event: str) -> list[dict[str, Any]]:
        return said(self.gateway, event)

    def workers(self) -> dict[int, psutil.Process]:
        """The processes by their numbers."""
        found = {}
        for child in psutil.Process(self.gateway.process.pid).children():
            words = child.cmdline()
            found[int(words[words.index("--worker") + 1].partition(":")[0])] = child
        return found

    async def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample with a label, by name and labels."""
        page = (await self.look("/metrics"))[1]
        return {
            (name, frozenset(_LABEL.findall(labels))): float(value)
            for name, labels, value in _SAMPLE.findall(page)
        }

    async def by_worker(self, name: str, **labels: str) -> dict[str, float]:
        """One series of each process."""
        wanted = set(labels.items())
        return {
            dict(held)["worker"]: value
            for (found, held), value in (await self.metrics()).items()
            if found == name and wanted <= held
        }

    async def standing(self) -> tuple[int, dict[str, Any]]:
        status, text = await self.look("/readyz")
        document: dict[str, Any] = json.loads(text)
        return status, document

    async def look(self, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(_fetch, self.admin + path)

    async def until_ready(self, times: int) -> None:
        """Returns when workers have said so many times that they serve."""
        await until(lambda: len(self.said("worker-ready")) >= times)


def said(gateway: Gateway, event: str) -> list[dict[str, Any]]:
    """The log lines of one event so far."""
    lines = [json.loads(line) for line in tuple(gateway.logs) if line.startswith("{")]
    return [line for line in lines if line.get("event") == event]


async def started(estate: Estate, count: int = 2, *, program: str = GUARDED, **more: str) -> Several:
    """Starts one and returns when all of its workers serve."""
    settings = {**estate.settings, "GATEHOUSE_ADMIN_PORT": "0", **more}
    launcher = Launcher(estate.home, settings, ("run", "--workers", str(count)), program)
    gateway = await asyncio.to_thread(launcher.start)
    async with asyncio.timeout(60):
        while not (found := [line for line in said(gateway, "listening") if "worker" not in line]):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
    several = Several(gateway, f"http://{found[0]['listener']}")
    await several.until_ready(count)
    return several


def _fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
