"""What one invented person's records go through: every route, every kind of success, every kind of error, by everybody.

Whatever a caller may send wrongly carries the person's values: in bodies, parameters, paths, headers, credentials, names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.campaign.secrecy.client import JSON_TYPE, Client, Said
from tests.campaign.secrecy.echoing import FAULTS
from tests.campaign.secrecy.people import Person

SEES_MOST = "all"


@dataclass
class Book:
    """Every answer: who got it, of whom it was, what was said. ids: of the records that were made, by whom they are about."""

    answers: list[tuple[str, int, Said]] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(said.status for _, _, said in self.answers)


@dataclass
class Life:
    """One person's hand at one gateway."""

    person: Person
    client: Client
    keys: Mapping[str, str]
    book: Book

    async def ask(
        self, who: str | None, method: str, target: str | bytes, body: Any = None, **headers: str
    ) -> Said:
        """Asks and notes the answer."""
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        key = None if who is None else self.keys.get(who, who)
        merge = method == "PATCH" and "content-type" not in lines
        said = await self.client.ask(method, target, key, body, lines, merge=merge)
        self.book.answers.append((who or "nobody", self.person.number, said))
        return said

    async def make(self, what: str, target: str, body: dict[str, Any]) -> str:
        said = await self.ask(SEES_MOST, "POST", target, body)
        assert said.status == 201, said.body
        self.book.ids[f"{self.person.number}.{what} id"] = made = str(said.json["id"])
        return made

    async def whole(self, *, errors: bool) -> None:
        """All of it, in order; with every kind of error, or only what goes well."""
        customer = await self.make("customer", "/crm/customers", self.person.customer())
        unit = {"unit": "branch:shanghai", "region": "cn-east"}
        thread = {
            "customer_id": customer,
            "title": self.person.title,
            "channel": "app",
            "status": "open",
            **unit,
        }
        talk = await self.make(
            "thread", "/crm/threads", thread | {"assignee": "agent.lin", "participants": []}
        )
        message = {"author_kind": "staff", "author": "app:loader", "body": self.person.message, **unit}
        sent = await self.make("message", f"/crm/threads/{talk}/messages", message)
        targets = (
            f"/crm/customers/{customer}",
            f"/crm/threads/{talk}",
            f"/crm/threads/{talk}/messages/{sent}",
        )
        await self.read_by_all(targets, talk)
        await self.change(targets)
        if errors:
            await self.refused(targets, talk)
            await self.control()
            await self.broken_off()
        await self.delete(targets[1], thread)

    async def read_by_all(self, targets: tuple[str, ...], talk: str) -> None:
        for who in (SEES_MOST, "agent", "auditor", "marketer", "security-admin", "data-protection-officer"):
            for target in targets:
                await self.ask(who, "GET", target)
            await self.ask(who, "HEAD", targets[0])
        for who in ("agent", "auditor"):
            await self.ask(who, "GET", "/crm/customers?limit=2&sort=-created_at")
            await self.ask(who, "GET", f"/crm/threads/{talk}/messages?count=true")

    async def change(self, targets: tuple[str, ...]) -> None:
        person = self.person
        for body in ({"note": person.note}, {"email": None}, {"email": person.email}, {"level": "gold"}):
            await self.ask(SEES_MOST, "PATCH", targets[0], body)
        whole = (await self.ask(SEES_MOST, "GET", targets[0])).json
        await self.ask(SEES_MOST, "PUT", targets[0], whole | {"address": person.address + " "})
        await self.ask(SEES_MOST, "PUT", targets[0], whole | {"address": person.address})
        await self.ask(SEES_MOST, "PATCH", targets[1], {"title": person.title.upper()})
        await self.ask(SEES_MOST, "PATCH", targets[1], {"title": person.title})
        await self.ask(SEES_MOST, "PATCH", targets[2], {"body": person.message * 2})

    async def delete(self, target: str, thread: dict[str, Any]) -> None:
        await self.ask(SEES_MOST, "DELETE", target)
        other = await self.make("other thread", "/crm/threads", {**thread, "status": "closed"})
        assert (await self.ask(SEES_MOST, "DELETE", f"/crm/threads/{other}")).status == 204
        await self.ask(SEES_MOST, "GET", f"/crm/threads/{other}")

    async def refused(self, targets: tuple[str, ...], talk: str) -> None:
        """Everything that a caller can do wrongly, 400 to 431, with this person's values in its place."""
        p, most = self.person, SEES_MOST
        own, name = targets[0], quote(p.name)
        body = json.dumps(p.customer(), ensure_ascii=False).encode()
        # 400
        for broken in (
            body[:-2],
            b'{"name": "x", ' + body[1:],
            body.replace(b"{", b"{" + p.name.encode(), 1),
            p.name.encode("utf-16"),
        ):
            await self.ask(most, "POST", "/crm/customers", broken)
        await self.ask(most, "PATCH", own, json.dumps({"note": [p.note] * 3}).encode() + b"]")
        for query in (
            f"phone={p.phone}",
            f"sort={name}",
            f"cursor={p.phone}",
            f"limit={p.phone}",
            f"{p.phone}=1",
            f"level={name}&level={name}",
        ):
            await self.ask(most, "GET", f"/crm/customers?{query}")
        await self.ask(most, "GET", f"/crm/customers/{name};{p.phone}")
        await self.ask(most, "GET", f"/crm//{p.phone}/../{name}")
        await self.ask(most, "GET", f"/crm/customers/{p.name}".encode())
        await self.ask(most, "GET", own, x_customer=p.email.replace("@", "_") + "\x7f")
        await self.ask(most, "PATCH", own, {"level": "gold"}, if_match=p.phone)
        await self.traced(own)
        # 401, by every way of claiming to be somebody
        await self.ask(None, "POST", "/crm/customers", body)
        for claimed in (p.phone, f"gh_{p.phone}_{p.bank_card}", quote(p.name)):
            await self.ask(claimed, "GET", own)
        await self.ask(most, "GET", own, gatehouse_person=f"{p.phone}.{p.id_number}.{p.bank_card}")
        # 403
        await self.ask("agent", "POST", "/crm/customers", body)
        await self.ask("agent", "PATCH", own, {"phone": p.phone})
        await self.ask("auditor", "PATCH", own, {"name": p.name})
        await self.ask(most, "GET", own, gatehouse_purpose=p.phone)
        # 404, 405
        for target in (
            f"/crm/customers/{p.phone}",
            f"/crm/{name}",
            f"/{name}/{p.phone}",
            f"/crm/threads/{p.phone}/messages/{p.id_number}",
        ):
            await self.ask(most, "GET", target)
            await self.ask(most, "DELETE", target)
        await self.ask(most, "DELETE", "/crm/customers", x_phone=p.phone)
        await self.ask(most, "FROB", own)
        # 409, 412
        thread = {
            "customer_id": p.phone,
            "title": p.title,
            "unit": "branch:shanghai",
            "status": "open",
            "channel": "app",
        }
        await self.ask(most, "POST", "/crm/threads", thread)
        await self.ask(most, "PATCH", f"/crm/threads/{talk}", {"customer_id": f"cus_{p.phone}"})
        await self.ask(most, "PATCH", own, {"level": "vip"}, if_match=f'"{p.phone}"')
        # 413, 414, 415, 431
        if p.number % 10 == 0:
            await self.ask(most, "POST", "/crm/customers", body * (1_200_000 // len(body)))
            await self.ask(most, "GET", own, x_customer=(p.email + ",") * 5_000)
        await self.ask(most, "GET", f"/crm/customers/{p.phone * 900}")
        await self.ask(most, "POST", "/crm/customers", body, content_type=f"text/{p.phone}")
        await self.ask(most, "POST", "/crm/customers", body, content_type=JSON_TYPE, content_encoding=p.phone)
        # 422
        for change in (
            {p.phone: 1},
            {p.name: {p.email: 2}},
            {"name": {p.name: p.name}},
            {"phone": p.phone + "****"},
            {"tags": {p.phone: p.name}},
            {"id": p.phone},
            {"name": [p.name]},
        ):
            await self.ask(most, "PATCH", own, change)
            await self.ask(most, "POST", "/crm/customers", p.customer() | change)

    async def traced(self, target: str) -> None:
        """What tracers of every make send along, with values in place of ids; a listed peer's too."""
        p = self.person
        for headers in (
            {"traceparent": p.phone},
            {"traceparent": f"00-{p.phone}-{p.bank_card}-01"},
            {"traceparent": f"00-{p.phone:g>32}-{p.phone:g>16}-01", "tracestate": f"a={p.email}"},
            {"baggage": f"customer={p.phone}", "b3": p.phone, "x_b3_traceid": p.phone},
            {"x_request_id": p.phone, "x_correlation_id": p.email, "x_amzn_trace_id": f"Root={p.phone}"},
        ):
            await self.ask(SEES_MOST, "GET", target, **headers)
            await self.ask(None, "GET", target, **headers)

    async def control(self) -> None:
        """The control plane's routes, and the ones that are nobody's."""
        p = self.person
        admin = "security-admin"
        wanted = {
            "application": p.name,
            "roles": [{"role": p.phone, "unit": p.email}],
            "purposes": [p.phone],
            "expires": p.birth_date,
        }
        await self.ask(admin, "POST", "/v1/keys", wanted)
        await self.ask(admin, "POST", "/v1/keys", wanted | {"application": "app:x", p.phone: p.name})
        await self.ask(admin, "POST", "/v1/keys", p.name.encode())
        await self.ask(admin, "DELETE", f"/v1/keys/{p.phone}")
        await self.ask(admin, "GET", f"/v1/keys?after={p.phone}&limit={p.phone}")
        await self.ask(admin, "GET", "/v1/keys")
        await self.ask("agent", "GET", "/v1/whoami")
        await self.ask(p.phone, "GET", "/v1/whoami")
        for target in (
            f"/healthz?who={p.phone}",
            f"/v1/{p.phone}",
            f"/schema/{quote(p.name)}",
            f"/oauth/token?{p.phone}",
            f"/console/{p.phone}",
        ):
            await self.ask(None, "GET", target)

    async def broken_off(self) -> None:
        """The upstream goes wrong in each of its ways, on reads, changes and creates."""
        p = self.person
        for number, fault in enumerate(FAULTS):
            await self.ask(SEES_MOST, "GET", f"/echo/customers/{fault}-{p.number}")
            if number % 5 == p.number % 5:
                await self.ask(SEES_MOST, "DELETE", f"/echo/customers/w{fault}-{p.number}")
                contacts = [{"id": f"{fault}-{p.number}", "text": p.address}]
                made = {"name": p.name, "phone": p.phone, "unit": "branch:shanghai", "contacts": contacts}
                await self.ask(SEES_MOST, "POST", "/echo/customers", made)
