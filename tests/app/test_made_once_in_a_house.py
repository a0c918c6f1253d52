"""Keys of callers in a whole house: real policy, catalogue, bindings and state; records below records; credentials that change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from gateway import demo
from gateway.app import House, open_house, sweep, utc_now
from gateway.credentials import Wish
from gateway.idempotency.tables import IDEMPOTENCY_KEY
from gateway.identity.demo import DemoIssuer
from gateway.identity.store import all_keys
from gateway.rooms import Reply
from gateway.settings import read
from gateway.words.errors import Code, GatehouseError, Unidentified
from gateway.words.principal import RoleHeld
from tests.app.asking import ask
from tests.campaign.faults.estate import operator

SHANGHAI = "branch:shanghai"


@dataclass
class Desk:
    """A house with the demo's credentials, and a clock that a test moves."""

    house: House
    keys: Mapping[str, str]
    issuer: DemoIssuer
    clock: Clock

    async def ask(
        self, who: str, method: str, path: str, once: str, document: Any = None, **headers: str
    ) -> Reply:
        body = b"" if document is None else orjson.dumps(document)
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        given = {"content_type": kind, "idempotency_key": once, **headers}
        return await ask(self.house, method, path, self.keys.get(who, who), body, **given)

    async def refused(self, *given: Any, **headers: str) -> GatehouseError:
        with pytest.raises(GatehouseError) as refusal:
            await self.ask(*given, **headers)
        return refusal.value

    async def customer(self, once: str, **change: Any) -> Reply:
        wanted = {"name": "Lin Example", "unit": SHANGHAI, "level": "standard", "owner": "app:nobody"}
        return await self.ask("supervisor", "POST", "/crm/customers", once, wanted | change)

    async def manager(self, unit: str) -> str:
        """The text of a new key of one application, for one branch."""
        wish = Wish(
            "app:managers",
            frozenset({RoleHeld("role:manager", unit)}),
            frozenset({"service"}),
            utc_now() + timedelta(days=1),
        )
        return (await self.house.keys.issue(operator(), lambda: wish)).text

    async def forwarded(self) -> int:
        entries = [orjson.loads(e.bytes) for e in await self.house.log.entries(0, 1000)]
        return len([e for e in entries if e["kind"] == "intent" and e["resource"]["upstream"] == "crm"])


@dataclass
class Clock:
    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings = read({"GATEHOUSE_HOME": str(tmp_path / "home"), "GATEHOUSE_PORT": "0"})
    issuer, clock = demo.prepare(settings), Clock()
    async with open_house(settings, clock=clock, issuers=(issuer.terms(),)) as house:
        yield Desk(house, await demo.credentials(house), issuer, clock)


def told(reply: Reply) -> tuple[int, Any, str | None]:
    return reply.status, orjson.loads(reply.body), dict(reply.headers).get("location")


async def test_what_was_made_is_found_again_by_the_gateways_own_binding_and_shown_where_it_is(
    desk: Desk,
) -> None:
    made = [await desk.customer("c") for _ in range(2)]
    customer = told(made[0])[1]["id"]
    thread = {"customer_id": customer, "title": "a question", "status": "open", "unit": SHANGHAI}
    threads = [await desk.ask("agent", "POST", "/crm/threads", "t", thread) for _ in range(2)]
    path = f"/crm/threads/{told(threads[0])[1]['id']}/messages"
    message = {"author_kind": "staff", "author": "app:demo-agent", "body": "an answer", "unit": SHANGHAI}
    sent = [await desk.ask("agent", "POST", path, "m", message) for _ in range(2)]
    for first, again in (made, threads, sent):
        assert told(first) == told(again)
        assert told(first)[0] == 201
        assert dict(first.headers)["etag"] == dict(again.headers)["etag"]
        assert "gatehouse-replay" in dict(again.headers)
    assert await desk.forwarded() == 3
    # From now on the customer is a VIP of somebody else's: for the agent he is not there, nor is what hangs on him.
    vip = await desk.ask("supervisor", "PATCH", f"/crm/customers/{customer}", "vip", {"level": "vip"})
    assert vip.status == 200
    hidden = await desk.refused("agent", "POST", path, "m", message)
    assert (hidden.code, hidden.params) == (Code.NOT_FOUND, {})
    unnamed = await desk.refused("agent", "POST", "/crm/threads", "t", thread)
    strange = await desk.refused(
        "agent", "POST", "/crm/threads", "t2", {**thread, "customer_id": "cus_absent"}
    )
    assert (unnamed.code, unnamed.params) == (strange.code, strange.params)
    assert await desk.forwarded() == 4


async def test_a_deleted_record_is_decided_on_by_the_facts_that_its_intent_recorded(desk: Desk) -> None:
    customer = told(await desk.customer("c"))[1]["id"]
    thread = {
        "customer_id": customer,
        "title": "a question",
        "status": "open",
        "unit": SHANGHAI,
        "tags": ["a", "b"],
    }
    made = told(await desk.ask("supervisor", "POST", "/crm/threads", "t", thread))[1]
    path = f"/crm/threads/{made['id']}"
    await desk.ask("supervisor", "PATCH", path, "close", {"status": "closed"})
    manager, elsewhere = [await desk.manager(unit) for unit in (SHANGHAI, "branch:beijing")]
    deleted = [await desk.ask(manager, "DELETE", path, "d") for _ in range(2)]
    assert [(r.status, r.body) for r in deleted] == [(204, b"")] * 2
    assert "gatehouse-replay" in dict(deleted[1].headers)
    # The same application with a role elsewhere only: by the facts of then it would not be his to see, and is not now.
    hidden = await desk.refused(elsewhere, "DELETE", path, "d")
    absent = await desk.refused(elsewhere, "DELETE", f"{path}x", "d2")
    assert (hidden.code, hidden.params) == (absent.code, absent.params) == (Code.NOT_FOUND, {})


async def test_a_revoked_credential_learns_nothing_and_a_renewed_one_goes_on(desk: Desk) -> None:
    made = await desk.customer("c")
    held = await desk.house.stores.state.read(all_keys)
    await desk.house.keys.revoke(
        operator(), next(k.id for k in held if k.application == "app:demo-supervisor")
    )
    with pytest.raises(Unidentified):
        await desk.customer("c")
    (desk.house.settings.home / "demo" / "credentials.json").unlink()
    desk.keys = await demo.credentials(desk.house)
    assert told(await desk.customer("c")) == told(made)
    assert await desk.forwarded() == 1


async def test_a_key_belongs_to_the_person_too(desk: Desk) -> None:
    def acting(person: str) -> dict[str, str]:
        token = desk.issuer.mint(person, "app:demo-desk", 15, now=desk.clock())
        return {"gatehouse_person": token, "gatehouse_purpose": "service"}

    customer = told(await desk.customer("c"))[1]["id"]
    note = {"note": "called back"}
    path = f"/crm/customers/{customer}"
    replies = [await desk.ask("desk", "PATCH", path, "n", note, **acting("li.wei")) for _ in range(2)]
    assert [("gatehouse-replay" in dict(r.headers)) for r in replies] == [False, True]
    # Another person, the same application, the same key and request: nobody told him of hers.
    others = await desk.ask("desk", "PATCH", path, "n", note, **acting("zhang.min"))
    assert "gatehouse-replay" not in dict(others.headers)


async def test_a_key_ends_after_a_day_and_is_swept(desk: Desk) -> None:
    first = await desk.customer("c")
    desk.clock.ahead = timedelta(hours=23, minutes=59)
    assert told(await desk.customer("c")) == told(first)
    desk.clock.ahead = timedelta(hours=24, minutes=1)
    again = await desk.customer("c")
    assert told(again)[1]["id"] != told(first)[1]["id"]
    assert await desk.forwarded() == 2
    desk.clock.ahead = timedelta(hours=49)
    await sweep(desk.house)
    state = desk.house.stores.state
    assert await state.read(lambda c: c.execute(select(IDEMPOTENCY_KEY)).all()) == []
