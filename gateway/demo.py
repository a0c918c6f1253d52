"""The demonstration: sets up everything under the home folder, loads invented people through the corridor, serves.

Nothing here is a way around anything: keys are issued by the service, every sample record passes the gate and leaves its entries.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from gateway.app import House, utc_now
from gateway.corridor.desk import Asker
from gateway.credentials import Wish
from gateway.gate import Gate
from gateway.identity.demo import KEY_FILE, DemoIssuer
from gateway.keys import create_key_file
from gateway.machine import make_home
from gateway.records import Sample, sample
from gateway.rooms import Reply
from gateway.settings import Settings
from gateway.words.access import Call
from gateway.words.errors import Code, Misconfigured, Refused, Unidentified
from gateway.words.ids import new_id
from gateway.words.json import JsonObject
from gateway.words.principal import Party, Principal

LIFETIME = timedelta(days=90)
RENEWED_BEFORE = timedelta(days=7)
TOGETHER = 64
"""Sample records that are created at once."""
_LOOKS, _PAUSE_SECONDS = 60, 0.5
PURPOSE = "maintenance"
MOST = 200
"""Invented customers; fewer for whoever is in a hurry."""
PERSON, DESK, PERSON_MINUTES = "li.wei", "app:demo-desk", 15
"""Who the desk acts for, and for how long its token is taken."""


@dataclass(frozen=True, slots=True)
class DemoKey:
    """One demo credential: who holds it and what for."""

    name: str
    application: str
    purposes: frozenset[str]


SHANGHAI = "branch:shanghai"
# What each may do stands in policy.csv, by the application's name; the keys hold no roles of their own.
KEYS = (
    DemoKey("agent", "app:demo-agent", frozenset({"service"})),
    DemoKey("supervisor", "app:demo-supervisor", frozenset({"service"})),
    DemoKey("auditor", "app:demo-auditor", frozenset({"audit"})),
    DemoKey("desk", DESK, frozenset({"service", "complaint"})),
    DemoKey("admin", "app:demo-admin", frozenset({"maintenance"})),
)


class AsSystem:
    """Step 2 for our own jobs: the process itself is the proof. Fits rooms.Identifier."""

    def __init__(self, name: str, purposes: Iterable[str]) -> None:
        self._principal = Principal(Party(f"system:{name}"), None, frozenset(purposes), ("process",))

    async def identify(self, call: Call) -> Principal:  # noqa: ARG002 - a call of our own proves nothing and need not
        """Gives the system principal."""
        return self._principal

    async def give(self) -> Principal:
        """The same, for the desk."""
        return self._principal


def prepare(settings: Settings) -> DemoIssuer:
    """Makes the home folder, which none else may write into, the key file (0600) and the demo's own issuer of person tokens.

    Repeating changes nothing.
    """
    make_home(settings.home)
    if not settings.keys.exists():
        create_key_file(settings.keys)
    # `make run` makes it for its environment before us, with the mode that the user's umask gives.
    if (mode := settings.home.stat().st_mode) & 0o022:
        settings.home.chmod(stat.S_IMODE(mode) & ~0o022)
    folder = settings.home / "demo"
    folder.mkdir(exist_ok=True, mode=0o700)
    return DemoIssuer.open(folder, settings.audience)


def person_token(settings: Settings, now: Callable[[], datetime] = utc_now) -> tuple[str, datetime]:
    """Gives a token for the desk's person, and its end. Needs the demonstration's folder alone, whatever runs beside.

    Raises Misconfigured where no demonstration was set up.
    """
    folder = settings.home / "demo"
    if not (folder / KEY_FILE).exists():
        raise Misconfigured(f"there is no demonstration in {settings.home}: `gatehouse demo` sets one up")
    # The token counts whole seconds.
    made = now().replace(microsecond=0)
    token = DemoIssuer.open(folder, settings.audience).mint(PERSON, DESK, PERSON_MINUTES, now=made)
    return token, made + timedelta(minutes=PERSON_MINUTES)


async def credentials(
    house: House, now: Callable[[], datetime] = utc_now, keys: Sequence[DemoKey] = KEYS
) -> Mapping[str, str]:
    """Gives the keys' texts by name, issued on first use and again before they end, or where one no longer holds (somebody tried
    revoking it). Kept in demo/credentials.json, 0600."""
    path = house.settings.home / "demo" / "credentials.json"
    kept: dict[str, dict[str, str]] = json.loads(path.read_bytes()) if path.exists() else {}
    operator = AsSystem("operator", {PURPOSE})
    for key in keys:
        known = kept.get(key.name)
        same = known is not None and known.get("application") == key.application
        lasts = known is not None and datetime.fromisoformat(known["ends"]) > now() + RENEWED_BEFORE
        if known is not None and same and lasts and await _holds(house, known["key"]):
            continue
        ends = now() + LIFETIME
        wish = Wish(key.application, frozenset(), key.purposes, ends)
        issued = await house.keys.issue(Asker(new_id("req"), operator.give, PURPOSE), lambda w=wish: w)  # type: ignore[misc]  # bound at once
        kept[key.name] = {"application": key.application, "key": issued.text, "ends": ends.isoformat()}
        _write(path, orjson.dumps(kept, option=orjson.OPT_INDENT_2))
    return {name: entry["key"] for name, entry in kept.items()}


async def _holds(house: House, text: str) -> bool:
    """Tells whether a key is one that the gateway would take now."""
    call = Call(
        id=new_id("req"),
        method="GET",
        path="/",
        segments=(),
        raw_query="",
        query=(),
        headers=(("authorization", f"Bearer {text}"),),
        body=b"",
        peer="process",
        received=utc_now(),
    )
    try:
        await house.identity.identify(call)
    except Unidentified:
        return False
    return True


async def load_sample(
    house: House, progress: Callable[[int, int], None], wanted: Sample | None = None, *, customers: int = MOST
) -> bool:
    """Creates the invented people, their threads and messages through the gate; False when they were there already.

    Goes on where an interrupted run stopped: what was made is noted in demo/sample.json after each batch.
    """
    loader = Loader(house.gate, house.settings.home / "demo" / "sample.json")
    if loader.finished:
        return False
    await loader.load(wanted or sample_of(customers), progress)
    return True


def sample_of(customers: int) -> Sample:
    """Gives the sample with so many customers, and threads and messages as many as they would have."""
    return sample(customers=customers, threads=customers * 3 // 2, messages=customers * 10)


class Loader:
    """Creates records through the corridor as `system:seeder`, some at once, and remembers which id each got.

    Each create names its sample's own id as its idempotency key: of a batch that was cut off nothing is made a second time.
    """

    def __init__(self, gate: Gate, note: Path) -> None:
        self._gate = dataclasses.replace(gate, identifier=AsSystem("seeder", {PURPOSE}))
        self._note = note
        self._ids: dict[str, str] = {}
        self._sizes = (0, 0)
        self.finished = False
        if note.exists():
            noted = json.loads(note.read_bytes())
            self._ids, self.finished = noted["ids"], noted["finished"]

    async def load(self, wanted: Sample, progress: Callable[[int, int], None]) -> None:
        """Creates what is not there yet: customers, then threads, then messages."""
        self._sizes = len(wanted.customers), len(wanted.threads)
        total = len(wanted.customers) + len(wanted.threads) + len(wanted.messages)
        plan: Sequence[tuple[Sequence[JsonObject], Callable[[JsonObject], str]]] = (
            (wanted.customers, lambda _: "/crm/customers"),
            (wanted.threads, lambda _: "/crm/threads"),
            (wanted.messages, lambda record: f"/crm/threads/{self._ids[str(record['thread_id'])]}/messages"),
        )
        for records, target in plan:
            missing = [record for record in records if str(record["id"]) not in self._ids]
            for start in range(0, len(missing), TOGETHER):
                batch = missing[start : start + TOGETHER]
                made = await asyncio.gather(*(self._create(target(r), r) for r in batch))
                self._ids |= {str(r["id"]): made_id for r, made_id in zip(batch, made, strict=True)}
                self._keep()
                progress(len(self._ids), total)
        self.finished = True
        self._keep()

    async def _create(self, path: str, record: JsonObject) -> str:
        body = {
            name: value for name, value in record.items() if name not in ("id", "created_at", "thread_id")
        }
        if "customer_id" in body:
            body["customer_id"] = self._ids[str(body["customer_id"])]
        if path.endswith("/messages"):
            body.pop("customer_id")
        call = Call(
            id=new_id("req"),
            method="POST",
            path=path,
            segments=tuple(path[1:].split("/")),
            raw_query="",
            query=(),
            headers=(("content-type", "application/json"), ("idempotency-key", str(record["id"]))),
            body=orjson.dumps({k: v for k, v in body.items() if v is not None}),
            peer="process",
            received=utc_now(),
        )
        reply = await self._answered(call)
        location = dict(reply.headers).get("location", "")
        return location.rsplit("/", 1)[-1] or str(orjson.loads(reply.body)["id"])

    async def _answered(self, call: Call) -> Reply:
        """Gives the answer. A create that was cut off is open until it was looked for upstream; that is waited for, within reason."""
        for _ in range(_LOOKS):
            try:
                return await self._gate.answer(call)
            except Refused as error:
                if error.code is not Code.IDEMPOTENCY_KEY_IN_USE:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
        return await self._gate.answer(call)

    def _keep(self) -> None:
        noted = {
            "finished": self.finished,
            "customers": self._sizes[0],
            "threads": self._sizes[1],
            "ids": self._ids,
        }
        _write(self._note, orjson.dumps(noted))


def _write(path: Path, data: bytes) -> None:
    """Replaces a private file whole: a kill leaves the old one or the new one."""
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    beside.replace(path)


@dataclass(frozen=True, slots=True)
class Example:
    """One invented customer whom all three may read, and one of his threads."""

    customer: str
    thread: str | None


async def example(house: House) -> Example:
    """Gives a customer of the Shanghai branch who is no VIP, from the sample's own notes."""
    note = json.loads((house.settings.home / "demo" / "sample.json").read_bytes())
    noted = note["ids"]
    # The same people and threads; two thousand messages take a while to invent. Older notes name no sizes: all were loaded.
    people = sample(
        customers=note.get("customers", MOST), threads=note.get("threads", MOST * 3 // 2), messages=0
    )
    customer = next(c for c in people.customers if c["unit"] == SHANGHAI and c["level"] == "standard")
    thread = next((t for t in people.threads if t["customer_id"] == customer["id"]), None)
    return Example(noted[customer["id"]], noted[thread["id"]] if thread else None)


def lines(base: str, keys: Mapping[str, str], issuer: DemoIssuer, shown: Example) -> list[str]:
    """Gives the example lines: each begins with `curl ` and works when pasted."""
    customer = f"{base}/crm/customers/{shown.customer}"
    made = [
        f"curl -s -H 'Authorization: Bearer {keys[name]}' '{customer}'"
        for name in ("agent", "supervisor", "auditor")
    ]
    made.append(f"curl -s -H 'Authorization: Bearer {keys['agent']}' '{base}/crm/customers?limit=3'")
    if shown.thread is not None:
        made.append(
            f"curl -s -H 'Authorization: Bearer {keys['agent']}' '{base}/crm/threads/{shown.thread}/messages?limit=5'"
        )
    made.append(
        f"curl -s -X PATCH -H 'Authorization: Bearer {keys['supervisor']}' -H 'Content-Type: application/merge-patch+json' "
        f"-d '{{\"level\":\"gold\"}}' '{customer}'"
    )
    made.append(f"curl -s -X DELETE -H 'Authorization: Bearer {keys['agent']}' '{customer}'")
    token = issuer.mint(PERSON, DESK, PERSON_MINUTES, now=utc_now())
    made.append(
        f"curl -s -H 'Authorization: Bearer {keys['desk']}' -H 'Gatehouse-Purpose: service' -H 'Gatehouse-Person: {token}' '{customer}'"
    )
    return made
