"""A gateway in a process of its own with people planted in it, and every sink of it gathered for the search."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from gateway.asking import ask
from tests.campaign.secrecy.client import Client
from tests.campaign.secrecy.echoing import handler
from tests.campaign.secrecy.folders import everything, folder
from tests.campaign.secrecy.house import serving, settings
from tests.campaign.secrecy.lives import Book
from tests.campaign.secrecy.needles import Found, Search
from tests.campaign.secrecy.people import Person
from tests.campaign.secrecy.raw import Heard, raw_server
from tests.campaign.secrecy.shelf import CATALOGUE
from tests.campaign.serving import Gateway, Launcher
from tests.observe.receiver import Receiver, receiving

SABOTAGE = "from tests.campaign.secrecy.sabotage import main; main()"
# What a role sees in clear by the shipped policy; nothing else of anybody may stand in its answers. Who is not listed sees nothing.
SEES = {
    "agent": {"name", "note", "title", "message"},
    "marketer": {"name"},
    "data-protection-officer": {"name", "phone", "email", "address", "birth_date"},
    "auditor": set(),
    "security-admin": set(),
}
SEES_ALL = "all"


@dataclass
class Planted:
    """One such gateway. at: a folder in which nothing lies but what it wrote (its home, its temporary files, its crash output)."""

    at: Path
    aside: Path
    people: tuple[Person, ...]
    heard: Heard
    keys: dict[str, str]
    launcher: Launcher
    gateway: Gateway
    collector: Receiver
    book: Book = field(default_factory=Book)
    exported: list[bytes] = field(default_factory=list)
    scraped: list[bytes] = field(default_factory=list)
    crashed: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.at / "home"

    def fail(self, room: str) -> None:
        """Makes a room raise from now on; none for the empty name."""
        beside = self.aside / "control.new"
        beside.write_text(room)
        beside.replace(self.aside / "control")

    def files(self) -> list[Path]:
        """Gives everything that it wrote, except core files."""
        return sorted(p for p in self.at.rglob("*") if p.is_file() and not p.name.startswith("core"))

    def keep_what_crashed(self) -> None:
        """Keeps what the next start will tidy away: write-ahead logs, shared memory, temporary files."""
        for path in self.files():
            if path.suffix != ".sqlite":
                self.crashed.append((f"{path.relative_to(self.at)} after the crash", path.read_bytes()))

    def client(self) -> Client:
        return Client(self.gateway.base)

    async def scrape(self) -> None:
        """Asks the admin port for all that it says, and for what it does not."""
        # The data port's line is the first.
        listening = [line for line in self.gateway.logs if '"event":"listening"' in line]
        address = json.loads(listening[-1])["listener"]
        async with Client(f"http://{address}") as client:
            for target in ("/metrics", "/readyz", "/healthz", f"/{self.people[0].phone}"):
                said = await client.ask("GET", target, headers={"x-who": self.people[0].phone})
                self.scraped.append(said.head + said.body)

    def _entries(self, after: int) -> Any:
        return asyncio.run(ask(self.home, "audit.tail", limit=500, after=after))

    async def export(self) -> None:
        """Reads all entries as the command line does, through the running gateway, and what operators see of it."""
        await self.scrape()
        after = 0
        while True:
            given = await asyncio.to_thread(self._entries, after)
            if not given["entries"]:
                return
            self.exported += [orjson.dumps(entry) for entry in given["entries"]]
            if len(given["entries"]) < 500:
                return
            after = given["entries"][-1]["seq"]


@contextlib.asynccontextmanager
async def planted(
    at: Path, people: tuple[Person, ...], *, leaks: Sequence[str] = ()
) -> AsyncIterator[Planted]:
    """Starts one for a `with` block. Its keys are issued before, by the service, as an operator does."""
    aside, own = at / "aside", at / "own"
    for place in (aside, own / "tmp"):
        place.mkdir(parents=True)
    async with contextlib.AsyncExitStack() as stack:
        heard = await stack.enter_async_context(raw_server(handler(people)))
        collector = stack.enter_context(receiving())
        rules = everything(
            "role:manager", "echo/customer", "service", "public", "internal", "identity", "contact"
        )
        described = CATALOGUE.format(name="echo", port=heard.port)
        policies = folder(aside / "policies", catalogues={"echo": described}, rules=rules)
        chosen = settings(own / "home", policies=policies, upstream_hosts=heard.host)
        async with serving(chosen) as opened:
            keys = opened.keys
        (own / "home.keys.json").rename(aside / "keys.json")
        environment = {
            "GATEHOUSE_POLICIES": str(policies),
            "GATEHOUSE_UPSTREAM_HOSTS": heard.host,
            "GATEHOUSE_SUMMARY_SECONDS": "1",
            # Every request is kept, whoever sends it, and everything goes out to where operators look.
            "GATEHOUSE_ADMIN_PORT": "0",
            "GATEHOUSE_OTLP_ENDPOINT": collector.base,
            "GATEHOUSE_OTLP_SECONDS": "1",
            "GATEHOUSE_TRACE_RATIO": "1",
            "GATEHOUSE_TRACE_PEERS": "127.0.0.1",
            "CAMPAIGN_CONTROL": str(aside / "control"),
            "CAMPAIGN_METRICS": str(aside / "metrics.txt"),
            "CAMPAIGN_LEAKS": ",".join(leaks),
            "TMPDIR": str(own / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        launcher = Launcher(own / "home", environment, ("run",), SABOTAGE)
        gateway = await asyncio.to_thread(launcher.start)
        made = Planted(own, aside, people, heard, keys, launcher, gateway, collector)
        try:
            yield made
        finally:
            if made.gateway.process.poll() is None:
                made.gateway.kill()


def values(people: Sequence[Person], book: Book) -> dict[str, str]:
    """Gives all that is looked for, by `number.what`."""
    found = {f"{p.number}.{name}": value for p in people for name, value in p.values().items()}
    return found | book.ids


def sinks(planted: Planted) -> Iterator[tuple[str, bytes]]:
    """Gives every sink with all that is in it. SQLite files twice: their bytes, and each cell by itself."""
    yield "stdout", "\n".join(planted.gateway.lines).encode()
    yield "stderr", "\n".join(planted.gateway.logs).encode()
    if (planted.aside / "metrics.txt").exists():
        yield "metrics", (planted.aside / "metrics.txt").read_bytes()
    yield "admin port", b"\n".join(planted.scraped)
    yield "spans", b"\n".join(body for path, body in planted.collector.raw if path == "/v1/traces")
    yield (
        "exported metrics",
        b"\n".join(body for path, body in planted.collector.raw if path == "/v1/metrics"),
    )
    yield "collector's heads", b"\n".join(planted.collector.heads)
    yield from planted.crashed
    files = planted.files()
    yield from ((str(path.relative_to(planted.at)), path.read_bytes()) for path in files)
    for path in (p for p in files if p.suffix == ".sqlite"):
        yield f"{path.relative_to(planted.at)} cells", b"\n".join(_cells(path))
    yield "upstream", b"\n".join(planted.heard.requests)
    yield "exported entries", b"\n".join(planted.exported)
    for who in SEES:
        yield f"answers to {who}", _answers(planted, lambda asker, status, w=who: asker == w and status < 400)
    yield "errors", _answers(planted, lambda _, status: status >= 400)


def cores(planted: Planted) -> list[Path]:
    """Gives the core files: the memory of a process, where everything is in clear."""
    return sorted(planted.at.glob("**/core*"))


def _answers(planted: Planted, pick: Any) -> bytes:
    told = planted.book.answers
    return b"\n".join(said.head + said.body for who, _, said in told if pick(who, said.status))


def _cells(path: Path) -> Iterator[bytes]:
    connection = sqlite3.connect(path, timeout=30)
    connection.text_factory = bytes
    tables = [
        row[0].decode() for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    for table in tables:
        for row in connection.execute(f'SELECT * FROM "{table}"'):
            yield from (cell for cell in row if isinstance(cell, bytes))
    connection.close()


def search(planted: Planted) -> list[Found]:
    """Gives every value that stands in a sink where it may not.

    What may: a record's id in the embedded upstream's own database, in the path of a request for it, and in the answer to
    whoever may read the record; what a role sees in clear in its own answers.
    """
    looked = Search(values(planted.people, planted.book))
    found = []
    for sink, data in sinks(planted):
        for one in looked.find(sink, data):
            what = one.label.partition(".")[2]
            if what.endswith(" id") and (
                sink.startswith(("home/records.sqlite", "answers to ")) or sink == "upstream"
            ):
                continue
            if sink.startswith("answers to ") and what in SEES[sink.removeprefix("answers to ")]:
                continue
            found.append(one)
    return found
