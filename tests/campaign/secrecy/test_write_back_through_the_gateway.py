"""To read as somebody and to write back what was read changes nothing, for every role; masks, tokens and ciphertexts are no values."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.counts import count, dice
from tests.campaign.secrecy.client import Client, Said
from tests.campaign.secrecy.folders import folder
from tests.campaign.secrecy.house import Opened, entries, serving, settings, sql
from tests.campaign.secrecy.keys import ANYWHERE, ROLES, SHANGHAI, Holder
from tests.campaign.secrecy.people import Person, invent

pytestmark = pytest.mark.campaign

# Who may change what, by the shipped policy; for all others a write-back is refused. A message only by its own author.
MAY_UPDATE = {
    "customer": {"clerk", "agent", "supervisor", "manager", "li.wei", "zhang.min"},
    "thread": {"clerk", "agent", "supervisor", "manager", "li.wei", "zhang.min"},
    "message": {"supervisor", "manager"},
}
PERSONS = ("li.wei", "zhang.min", "wang.fang", "anna.schmidt")
TOKENS = "role:sees-tokens"
TOKEN_RULES = [
    f"p, {TOKENS}, *, crm/customer, {act}, {field}, service, True, allow"
    for act, field in [
        ("customer:read", "-"),
        ("customer:update", "-"),
        ("show:clear", "public"),
        ("show:clear", "internal"),
        *(("show:token", cls) for cls in ("contact", "id_document", "financial")),
        *(("set", cls) for cls in ("contact", "id_document", "financial")),
    ]
]


@dataclass
class Desk:
    """A gateway with records of every kind, and the hand that asks it."""

    opened: Opened
    client: Client
    home: Path
    targets: dict[str, list[str]]
    people: tuple[Person, ...]

    def rows(self) -> list[Any]:
        """Gives every byte that the upstream holds."""
        tables = ("customers", "threads", "messages")
        return [
            row for t in tables for row in sql(self.home / "records.sqlite", f"SELECT * FROM {t} ORDER BY id")
        ]

    def kinds(self) -> Counter[str]:
        return Counter(e["kind"] for e in entries(self.home) if e["action"].split(":")[0] in self.targets)

    async def as_(self, who: str, method: str, target: str, body: Any = None, **headers: str) -> Said:
        """Asks as a role, or as a person at the desk application."""
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        key = self.opened.keys.get(who)
        if key is None:
            key = self.opened.keys["desk"]
            lines["gatehouse-person"] = self.opened.issuer.mint(who, "app:desk", 15, now=datetime.now(UTC))
        return await self.client.ask(method, target, key, body, lines, merge=method == "PATCH")


def odd(person: Person, number: int) -> dict[str, Any]:
    """Gives a customer some of whose fields are null, empty, absent or look like something else."""
    more: list[dict[str, object]] = [
        {},
        {"email": None, "note": ""},
        {"level": "vip", "owner": "agent.lin"},
        {"phone": "call me", "bank_card": "12", "birth_date": "in spring"},
        {"name": "e\u0301" * 3 + person.name, "address": " " + person.address + "\n"},
        {"tags": [], "region": None, "owner": None},
    ]
    return person.customer(**more[number % len(more)])


async def stocked(desk: Desk) -> None:
    for number, person in enumerate(desk.people):
        customer = await _made(desk, "/crm/customers", odd(person, number), "customer")
        unit = {"unit": SHANGHAI, "region": "cn-east"}
        thread = {
            "customer_id": customer,
            "title": person.title,
            "channel": "app",
            "assignee": "agent.lin",
            **unit,
        }
        thread |= {"status": ("open", "closed")[number % 2], "participants": [], "tags": ["renewal"]}
        made = await _made(desk, "/crm/threads", thread, "thread")
        author = ("supervisor", "manager")[number % 2]
        message = {
            "author_kind": "staff",
            "author": ROLES[author].application,
            "body": person.message,
            **unit,
        }
        await _made(desk, f"/crm/threads/{made}/messages", message, "message", author)


async def _made(desk: Desk, target: str, body: dict[str, Any], kind: str, who: str = "all") -> str:
    said = await desk.as_(who, "POST", target, body)
    assert said.status == 201, said.body
    desk.targets[kind].append(f"{target}/{said.json['id']}")
    return str(said.json["id"])


@asynccontextmanager
async def desk(at: Path, number: int) -> AsyncIterator[Desk]:
    holders = {"sees-tokens": Holder("app:holds-tokens", ("service",), ((TOKENS, ANYWHERE),))}
    policies = folder(at / "policies", rules=TOKEN_RULES, roles=[TOKENS])
    chosen = settings(at / "home", policies=policies)
    async with serving(chosen, holders=holders) as opened, opened.client() as client:
        people = invent(number, dice("write back"))
        made = Desk(opened, client, chosen.home, {"customer": [], "thread": [], "message": []}, people)
        await stocked(made)
        yield made


async def test_what_a_role_read_it_can_write_back_and_nothing_changes(tmp_path: Path) -> None:
    done: Counter[str] = Counter()
    async with desk(tmp_path, count(4, 100)) as at:
        before, kinds = at.rows(), at.kinds()
        for told in await asyncio.gather(*(all_of(at, who) for who in [*ROLES, *PERSONS])):
            done += told
        assert at.rows() == before
        assert at.kinds()["intent"] == kinds["intent"]
        assert at.kinds()["outcome"] == kinds["outcome"]
    assert {key.partition(" by ")[2] for key in done if key.startswith("customer unchanged")} == MAY_UPDATE[
        "customer"
    ]
    assert {key.partition(" by ")[2] for key in done if key.startswith("thread unchanged")} == MAY_UPDATE[
        "thread"
    ]
    assert {key.partition(" by ")[2] for key in done if key.startswith("message unchanged")} == MAY_UPDATE[
        "message"
    ]
    totals: Counter[str] = Counter()
    for key, number in done.items():
        totals[key.partition(" by ")[0]] += number
    print(
        f"proof: {len(ROLES)} roles and {len(PERSONS)} persons at the desk, write-backs by PUT and PATCH: {dict(totals)}"
    )


async def all_of(at: Desk, who: str) -> Counter[str]:
    """Writes back every record as one of them, on a connection of his own."""
    async with at.opened.client() as client:
        own = replace(at, client=client)
        return Counter(
            [await written_back(own, who, k, t) for k, targets in at.targets.items() for t in targets]
        )


async def written_back(at: Desk, who: str, kind: str, target: str) -> str:
    """Reads and writes back in each way; gives in words what became of it, the same for every way."""
    read = await at.as_(who, "GET", target)
    if read.status != 200:
        assert read.status in (403, 404), read.body
        blind = await at.as_(who, "PUT", target, {})
        assert blind.status in (403, 404), blind.body
        return f"{kind} unread by {who}"
    seen = read.json
    ways = [
        await at.as_(who, "PUT", target, seen),
        await at.as_(who, "PUT", target, seen, if_match=read.headers["etag"]),
        await at.as_(who, "PATCH", target, seen),
        await at.as_(who, "PATCH", target, {}),
    ]
    statuses = {said.status for said in ways}
    assert len(statuses) == 1, (who, target, [(said.status, said.body) for said in ways])
    if statuses == {200}:
        for said in ways:
            assert said.json == seen
            assert said.headers["etag"] == read.headers["etag"]
        return f"{kind} unchanged by {who}"
    assert statuses == {403}, ways[0].body
    return f"{kind} refused by {who}"


async def test_masks_tokens_and_ciphertexts_are_no_values(tmp_path: Path) -> None:
    refused: Counter[str] = Counter()
    async with desk(tmp_path, count(7, 40)) as at:
        before, intents = at.rows(), at.kinds()["intent"]
        plain = [t for n, t in enumerate(at.targets["customer"]) if n % 6 == 0]
        for one, other in zip(plain, plain[1:] + plain[:1], strict=True):
            for who, body, what in await forgeries(at, one, other):
                for method in ("PATCH", "PUT"):
                    whole = (await at.as_(who, "GET", one)).json if method == "PUT" else {}
                    said = await at.as_(who, method, one, whole | body)
                    assert said.status == 422, (what, who, body, said.body)
                    assert said.code == ("value-refused" if "ciphertext" in what else "mask-submitted"), what
                    refused[what] += 1
            own = (await at.as_("sees-tokens", "GET", one)).json
            assert own["phone"].startswith("tok_")
            assert (await at.as_("sees-tokens", "PUT", one, own)).json == own
        assert at.rows() == before
        assert at.kinds()["intent"] == intents
    print(f"proof: refused 422, nothing changed: {dict(sorted(refused.items()))}")


async def forgeries(at: Desk, one: str, other: str) -> list[tuple[str, dict[str, Any], str]]:
    """Gives who submits what, in place of a value of `one`."""
    masked, others = [(await at.as_("auditor", "GET", t)).json for t in (one, other)]
    tokens, foreign = [(await at.as_("sees-tokens", "GET", t)).json for t in (one, other)]
    columns = "phone, email, name, note"
    file = at.home / "records.sqlite"
    sealed, elses = [
        sql(file, f"SELECT {columns} FROM customers WHERE id = ?", t.rpartition("/")[2])[0]
        for t in (one, other)
    ]
    assert masked["phone"] != others["phone"]
    wanted: list[tuple[str, dict[str, Any], str]] = [
        ("supervisor", {"phone": masked["phone"]}, "own mask where he sees clear"),
        ("supervisor", {"phone": others["phone"]}, "another's mask"),
        ("supervisor", {"name": others["name"] + "*"}, "another's mask"),
        ("agent", {"phone": others["phone"]}, "another's mask where he sees his own mask"),
        ("agent", {"phone": masked["name"]}, "mask of another field"),
        ("agent", {"email": "***"}, "mask of nothing"),
        ("clerk", {"note": "***"}, "mask of free text"),
        ("supervisor", {"phone": masked["id_number"]}, "token where he sees clear"),
        ("supervisor", {"email": foreign["email"]}, "token where he sees clear"),
        ("sees-tokens", {"phone": foreign["phone"]}, "token of another record"),
        ("sees-tokens", {"phone": tokens["email"]}, "token of another field"),
        (
            "sees-tokens",
            {"phone": tokens["phone"][:-1] + ("A" if tokens["phone"][-1] != "A" else "B")},
            "token of nothing",
        ),
        ("sees-tokens", {"phone": "138****0000"}, "mask where he sees a token"),
        ("supervisor", {"phone": sealed[0]}, "ciphertext of its own place"),
        ("supervisor", {"phone": sealed[1]}, "ciphertext of another field"),
        ("supervisor", {"phone": elses[0]}, "ciphertext of another record"),
        ("clerk", {"note": elses[3]}, "ciphertext of another record"),
    ]
    return wanted
