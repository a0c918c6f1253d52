"""A whole gateway in this process, on a real socket: opened, served, closed, and opened again on the same home folder."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import demo
from gateway.app import House, open_house, serve
from gateway.edge import Server
from gateway.identity.demo import DemoIssuer
from gateway.observe import configure
from gateway.settings import Settings, read
from tests.campaign.secrecy.client import Client
from tests.campaign.secrecy.keys import DESK, EVERYTHING, ROLES, Holder, issue


@dataclass
class Opened:
    """A gateway that serves. keys: by role's name, and `all`. lines: its log so far. admin: its admin port, where it has one."""

    house: House
    base: str
    keys: dict[str, str]
    issuer: DemoIssuer
    stream: io.StringIO = field(repr=False)
    admin: str = ""
    _lines: list[dict[str, Any]] = field(default_factory=list, repr=False)
    _read: int = 0

    def client(self) -> Client:
        return Client(self.base)

    @property
    def lines(self) -> list[dict[str, Any]]:
        end = self.stream.tell()
        self.stream.seek(self._read)
        self._lines += [json.loads(line) for line in self.stream.read(end - self._read).splitlines()]
        self._read = end
        self.stream.seek(end)
        return self._lines

    def alarms(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == "alarm"]


def settings(home: Path, **more: object) -> Settings:
    """Gives settings for that home, on a free port."""
    given = {"HOME": str(home), "PORT": "0", "STOP_SECONDS": "5"} | {
        k.upper(): str(v) for k, v in more.items()
    }
    return read({f"GATEHOUSE_{name}": value for name, value in given.items()})


@asynccontextmanager
async def serving(
    chosen: Settings,
    *,
    holders: Mapping[str, Holder] = {},
    environment: Mapping[str, str] = os.environ,
) -> AsyncIterator[Opened]:
    """Serves for a `with` block. Keys are issued at the first opening of a home and kept beside it for the next."""
    stream = io.StringIO()
    restore = configure(stream=stream)
    issuer = demo.prepare(chosen)
    try:
        async with open_house(
            chosen, issuers=(issuer.terms(),), environment=environment, demonstration=True
        ) as house:
            keys = await _keys(house, {**ROLES, "desk": DESK, "all": EVERYTHING, **holders})
            started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
            task = asyncio.ensure_future(serve(house, started=started.set_result))
            await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
            server = started.result()
            bases = [f"http://{host}:{port}" for host, port in server.addresses]
            try:
                yield Opened(house, bases[0], keys, issuer, stream, admin=bases[-1])
            finally:
                server.stop()
                await task
    finally:
        restore()


async def _keys(house: House, holders: dict[str, Holder]) -> dict[str, str]:
    kept = house.settings.home.with_name(house.settings.home.name + ".keys.json")
    given: dict[str, str] = json.loads(kept.read_text()) if kept.exists() else {}
    missing = {name: holder for name, holder in holders.items() if name not in given}
    if missing:
        given |= await issue(house, missing)
        kept.write_text(json.dumps(given))
    return given


def sql(file: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Runs one statement in a SQLite file as somebody who owns it, through a connection of his own."""
    with closing(sqlite3.connect(file, timeout=30)) as connection:
        rows = connection.execute(statement, values).fetchall()
        connection.commit()
        return rows


def entries(home: Path) -> list[dict[str, Any]]:
    """Gives every entry of the log in order, each with the bodies of its record parts under `parts`."""
    found = [
        json.loads(body) for (body,) in sql(home / "audit.sqlite", "SELECT body FROM entries ORDER BY seq")
    ]
    parts: dict[int, list[Any]] = {}
    for seq, body in sql(home / "audit.sqlite", "SELECT seq, body FROM parts ORDER BY seq, n"):
        parts.setdefault(seq, []).append(json.loads(body))
    for entry in found:
        entry["parts"] = parts.get(entry["seq"], [])
    return found


def part_of(home: Path, ref: str) -> dict[str, Any]:
    """Gives the one record part of the entry that an `Audit-Ref` names."""
    (found,) = parts_of(home, ref)
    return found


def parts_of(home: Path, ref: str) -> list[dict[str, Any]]:
    """Gives every record part of the entry that an `Audit-Ref` names."""
    seq = int(ref.partition(":")[0])
    return [
        json.loads(body)
        for (body,) in sql(home / "audit.sqlite", "SELECT body FROM parts WHERE seq = ? ORDER BY n", seq)
    ]
