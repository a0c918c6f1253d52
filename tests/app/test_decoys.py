"""Whoever touches a decoy is answered as if it were none, and frozen behind the answer: on every process, until somebody lifts it."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from audit import AuditEvent, Kind, LogUnavailable, RecordPart
from gateway import demo
from gateway.app import House, open_house, settle, utc_now
from gateway.control import ControlDeps, create_control
from gateway.corridor.desk import Asker
from gateway.corridor.settle import SYSTEM
from gateway.credentials import Wanted, Wish
from gateway.demo import AsSystem
from gateway.identity import SECRET_BYTES, ClientShown, Identity, freezes_that_hold, write_key_text
from gateway.records import sample
from gateway.rooms import Reply
from gateway.settings import read
from gateway.text import Language
from gateway.text.problems import problem
from gateway.words.access import Call
from gateway.words.control import CONTROL_UPSTREAM, FREEZE_MAKE
from gateway.words.errors import Code, Denied, GatehouseError, Refused, Unidentified
from gateway.words.ids import new_id
from gateway.words.record import AlarmKind
from tests.app.asking import ask
from tests.control.client import Client

POLICIES = Path(__file__).resolve().parents[2] / "policies"
FEW = sample(customers=6, threads=6, messages=6)


@dataclass
class Baited:
    house: House
    keys: dict[str, str]
    ids: list[str]  # the customers that an auditor sees, as a list gives them

    async def bait(self, *ids: str, resource: str = "crm/customer") -> None:
        """Makes decoys of these records, as an administrator would."""
        file = self.house.settings.policies / "decoys.yaml"
        file.write_text(f"decoys:\n  {resource}: {json.dumps(list(ids))}\n")
        os.utime(file, ns=(1, len(ids)))
        before = self.house.bundles.digest
        await self.house.bundles.watch(self.house.held)
        assert self.house.bundles.digest != before

    async def read(
        self, who: str, record: str, key: str = "auditor", **headers: str
    ) -> Reply | GatehouseError:
        return await self.asked("GET", f"/crm/customers/{record}", key, **headers)

    async def asked(
        self, method: str, target: str, key: str = "auditor", body: bytes = b"", **headers: str
    ) -> Reply | GatehouseError:
        try:
            return await ask(self.house, method, target, self.keys.get(key, key), body, **headers)
        except GatehouseError as error:
            return error

    async def frozen(self) -> list[str]:
        """Who is frozen, once what is under way has ended."""
        for _ in range(3):
            await asyncio.sleep(0)
        await self.house.gate.traps.close()  # type: ignore[attr-defined]  # the house's own waits for its tasks
        return [one.who for one in await self.house.stores.state.scan(freezes_that_hold)]

    async def actions(self) -> list[tuple[str, str]]:
        found = [orjson.loads(e.bytes) for e in await self.house.log.entries(0, 5000)]
        return [(one["kind"], one["action"]) for one in found]

    def alarms(self) -> int:
        return sum(alarm.kind is AlarmKind.DECOY_TOUCHED for alarm in self.house.alarms.recent())


@pytest.fixture
async def baited(tmp_path: Path) -> AsyncIterator[Baited]:
    shutil.copytree(POLICIES, tmp_path / "policies")
    chosen = read(
        {
            "GATEHOUSE_HOME": str(tmp_path / "home"),
            "GATEHOUSE_POLICIES": str(tmp_path / "policies"),
            "GATEHOUSE_PORT": "0",
            "GATEHOUSE_PUBLIC_URL": "https://gateway.example",
        }
    )
    issuer = demo.prepare(chosen)
    async with open_house(chosen, issuers=(issuer.terms(),), demonstration=True) as house:
        keys = dict(await demo.credentials(house))
        await demo.load_sample(house, lambda done, total: None, FEW)
        listed = await ask(house, "GET", "/crm/customers?limit=50", keys["auditor"])
        yield Baited(house, keys, [item["id"] for item in json.loads(listed.body)["items"]])


def operator() -> Asker:
    return Asker(new_id("req"), AsSystem("operator", {"maintenance"}).give, "maintenance")


def told(error: Reply | GatehouseError) -> tuple[int, list[str], bytes]:
    """What the answer is, but for which request it was and where its entry stands."""
    assert isinstance(error, GatehouseError)
    answer = problem(error, Language.ENGLISH, "req_x")
    return answer.status, [name for name, _ in answer.headers], answer.body


async def test_a_read_of_a_decoy_is_answered_as_before_and_its_key_is_frozen(baited: Baited) -> None:
    decoy, other = baited.ids[:2]
    before = await baited.read("auditor", decoy)
    await baited.bait(decoy)
    fence = baited.house.held.now.fence
    reply = await baited.read("auditor", decoy)
    assert isinstance(before, Reply)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (before.status, before.body)
    assert [name for name, _ in reply.headers] == [name for name, _ in before.headers]
    (who,) = await baited.frozen()
    assert who.startswith("key_")
    assert baited.alarms() == 1
    assert (await baited.actions())[-3:] == [
        ("served", "customer:read"),
        ("intent", "freeze:make"),
        ("outcome", "freeze:make"),
    ]
    assert baited.house.held.now.fence == fence + 1
    assert isinstance(await baited.read("auditor", other), Unidentified)
    assert isinstance(await baited.read("admin", other, "admin"), Denied)  # others are not


async def test_a_frozen_key_is_refused_like_one_that_never_was(baited: Baited) -> None:
    await baited.bait(baited.ids[0])
    text = baited.keys["auditor"]
    await baited.read("auditor", baited.ids[0])
    assert await baited.frozen()
    unknown = write_key_text(new_id("key"), os.urandom(SECRET_BYTES))[0]
    answers = [told(await baited.read("", baited.ids[1], key)) for key in (text, unknown)]
    assert answers[0] == answers[1]
    assert answers[0][0] == 401
    # It is not even looked at: what an unknown key costs is all that it costs.
    assert baited.house.identity.strangers.take() == {"key-unknown": 2}


@pytest.mark.parametrize("record", ["absent", "hidden"])
async def test_what_is_not_there_or_not_his_is_a_decoy_all_the_same(baited: Baited, record: str) -> None:
    # The demonstration's agent sees customers of Shanghai alone.
    shown = await baited.asked("GET", "/crm/customers?limit=50", "agent")
    assert isinstance(shown, Reply)
    his = {item["id"] for item in json.loads(shown.body)["items"]}
    hidden = [one for one in baited.ids if one not in his]
    decoy, other = hidden[:2] if record == "hidden" else ("no-such-1", "no-such-2")
    await baited.bait(decoy)
    like = await baited.read("agent", other, "agent")
    assert await baited.frozen() == []
    touched = await baited.read("agent", decoy, "agent")
    assert told(touched) == told(like)
    assert told(touched)[0] == 404
    assert len(await baited.frozen()) == 1
    assert baited.alarms() == 1


async def test_a_list_freezes_where_it_would_show_one_and_not_where_it_passes_over_it(baited: Baited) -> None:
    shown = await baited.asked("GET", "/crm/customers?limit=50", "agent")
    assert isinstance(shown, Reply)
    his = [item["id"] for item in json.loads(shown.body)["items"]]
    (hidden, *_) = [one for one in baited.ids if one not in his]
    await baited.bait(hidden)
    again = await baited.asked("GET", "/crm/customers?limit=50", "agent")
    assert isinstance(again, Reply)
    assert (again.body, await baited.frozen()) == (shown.body, [])
    await baited.bait(his[0], hidden)
    listed = await baited.asked("GET", "/crm/customers?limit=50", "agent")
    assert isinstance(listed, Reply)
    assert listed.body == shown.body
    assert len(await baited.frozen()) == 1


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PATCH", "/crm/customers/{}", b'{"note":"x"}'),
        ("HEAD", "/crm/customers/{}", b""),
        (
            "POST",
            "/crm/threads",
            b'{"customer_id":"{}","title":"t","unit":"branch:shanghai","status":"open","channel":"phone"}',
        ),
    ],
)
async def test_whatever_leads_to_a_decoy_touches_it(
    baited: Baited, method: str, target: str, body: bytes
) -> None:
    decoy = baited.ids[0]
    await baited.bait(decoy)
    sent = body.replace(b"{}", decoy.encode())
    kind = {"content_type": "application/json"} if body else {}
    answer = await baited.asked(
        method, target.replace("{}", decoy), "supervisor", sent, gatehouse_purpose="service", **kind
    )
    assert len(await baited.frozen()) == 1, told(answer) if isinstance(answer, GatehouseError) else answer
    assert baited.alarms() == 1


async def test_what_is_below_a_decoy_touches_it(baited: Baited) -> None:
    listed = await baited.asked("GET", "/crm/threads?limit=1", "agent")
    assert isinstance(listed, Reply)
    thread = json.loads(listed.body)["items"][0]["id"]
    await baited.bait(thread, resource="crm/thread")
    assert isinstance(await baited.asked("GET", f"/crm/threads/{thread}/messages", "agent"), Reply)
    assert len(await baited.frozen()) == 1


async def test_a_person_is_frozen_for_every_application_and_the_desk_serves_the_others(
    baited: Baited,
) -> None:
    house, decoy = baited.house, baited.ids[0]
    token = demo.person_token(house.settings)[0]
    ends = utc_now() + timedelta(days=1)
    wish = Wish(demo.DESK, frozenset(), frozenset({"service"}), ends)
    assert house.tokens is not None
    client = await house.tokens.clients.issue(operator(), lambda: wish)
    call = Call(new_id("req"), "POST", "/oauth/token", ("oauth", "token"), "", (), (), b"", "::1", utc_now())
    wanted = Wanted(ClientShown(client.key.id, client.text, token))
    exchanged = (await house.tokens.tokens.grant(call, wanted)).text
    another = demo.prepare(house.settings)
    colleague = another.mint("zhang.min", demo.DESK, 15, now=utc_now())
    await baited.bait(decoy)
    service = {"gatehouse_purpose": "service"}
    await baited.read("li", "none", exchanged, **service)
    await baited.read("li", decoy, "desk", gatehouse_person=token, **service)
    (who,) = await baited.frozen()
    assert who.startswith("person:")
    assert who.endswith("#li.wei")
    by_token = await baited.read("li", baited.ids[1], "desk", gatehouse_person=token, **service)
    by_exchange = await baited.read("li", baited.ids[1], exchanged, **service)
    assert isinstance(by_token, Refused)
    assert by_token.code is Code.PERSON_UNPROVEN
    assert isinstance(by_exchange, Unidentified)
    with pytest.raises(Refused) as refused:
        await house.tokens.tokens.grant(call, wanted)
    assert refused.value.code is Code.GRANT_REFUSED
    served = await baited.read("zhang", "none", "desk", gatehouse_person=colleague, **service)
    assert isinstance(served, GatehouseError)
    assert served.code is Code.NOT_FOUND


async def test_what_another_process_froze_is_served_to_nobody(baited: Baited) -> None:
    """The row and the fence move; this process's caches do not hear of it."""
    house = baited.house
    await baited.bait(baited.ids[0])
    ruled, rows, frozen = house.held.now, house.identity._keys._row, house.identity._frozen
    await baited.read("auditor", baited.ids[0])
    assert await baited.frozen()
    house.held._now, house.identity._keys._row, house.identity._frozen = ruled, rows, frozen
    house.identity._keys._proven.clear()
    before = len(await house.log.entries(0, 5000))
    assert isinstance(await baited.read("auditor", baited.ids[1]), Unidentified)
    assert len(await house.log.entries(0, 5000)) == before


async def test_of_many_touches_at_once_each_alarms_and_one_freezes(baited: Baited) -> None:
    await baited.bait(*baited.ids[:3])
    await asyncio.gather(*(baited.read("auditor", one) for one in baited.ids[:3] * 4))
    assert len(await baited.frozen()) == 1
    actions = await baited.actions()
    assert actions.count(("intent", "freeze:make")) == 1
    assert baited.alarms() == 12


async def test_it_is_lifted_by_who_has_the_right_and_by_no_other(baited: Baited) -> None:
    house = baited.house
    await baited.bait(baited.ids[0])
    await baited.read("auditor", baited.ids[0])
    (who,) = await baited.frozen()

    def as_(key: str) -> Asker:
        call = Call(
            new_id("req"),
            "POST",
            "/v1/freezes/lift",
            ("v1", "freezes", "lift"),
            "",
            (),
            (("authorization", f"Bearer {baited.keys[key]}"),),
            b"",
            "::1",
            utc_now(),
        )
        return Asker(call.id, lambda: house.identity.identify(call))

    for key in ("agent", "supervisor"):
        with pytest.raises(Denied):
            await house.freezes.lift(as_(key), lambda: who)
        with pytest.raises(Denied):
            await house.freezes.list(as_(key))
    with pytest.raises(Unidentified):
        await house.freezes.lift(as_("auditor"), lambda: who)  # he himself is nobody
    assert [one["who"] for one in (await house.freezes.list(as_("admin"))).items] == [who]
    await house.freezes.lift(as_("admin"), lambda: who)
    assert await baited.frozen() == []
    assert isinstance(await baited.read("auditor", baited.ids[1]), Reply)
    assert (await baited.actions())[-3:-1] == [("intent", "freeze:lift"), ("outcome", "freeze:lift")]
    with pytest.raises(Refused) as gone:
        await house.freezes.lift(as_("admin"), lambda: who)
    assert gone.value.code is Code.NOT_FOUND
    # Frozen anew it is frozen anew.
    await baited.read("auditor", baited.ids[0])
    assert await baited.frozen() == [who]


async def test_what_broke_off_after_its_intent_is_carried_out(baited: Baited) -> None:
    house = baited.house
    part = RecordPart({"verb": "freeze", "reference": "key_x", "subject": None})
    place = {"upstream": CONTROL_UPSTREAM, "type": "freeze"}
    await house.log.append(
        AuditEvent(Kind.INTENT, new_id("req"), SYSTEM, FREEZE_MAKE, resource=place, records=(part,))
    )
    await settle(house, timedelta(0))
    assert await baited.frozen() == ["key_x"]
    assert await house.log.open_intents() == []
    last = orjson.loads((await house.log.entries(0, 5000))[-1].bytes)
    assert last["upstream"] == {"by": "reconciler", "result": "done"}


async def test_a_freeze_that_could_not_be_recorded_is_made_as_soon_as_it_can(
    baited: Baited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.credentials.trapping.AGAIN_SECONDS", 0.01)
    await baited.bait(baited.ids[0])
    append, left = type(baited.house.log).append, [3]

    async def fails(self: Any, event: AuditEvent, **more: Any) -> Any:
        if event.action == FREEZE_MAKE and left[0]:
            left[0] -= 1
            raise LogUnavailable("a test's disk is full")
        return await append(self, event, **more)

    monkeypatch.setattr(type(baited.house.log), "append", fails)
    reply = await baited.read("auditor", baited.ids[0])
    assert isinstance(reply, Reply)
    assert len(await baited.frozen()) == 1
    assert left == [0]


async def test_the_state_refuses_to_forget_a_freeze(baited: Baited) -> None:
    await baited.bait(baited.ids[0])
    await baited.read("auditor", baited.ids[0])
    assert await baited.frozen()
    with sqlite3.connect(baited.house.settings.home / "state.sqlite") as connection:
        for change in (
            "DELETE FROM freezes",
            "UPDATE freezes SET who = 'key_other'",
            "UPDATE freezes SET intent = intent + 1",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(change)


async def test_the_control_plane_lists_and_lifts(baited: Baited) -> None:
    house = baited.house
    await baited.bait(baited.ids[0])
    await baited.read("auditor", baited.ids[0])
    (who,) = await baited.frozen()
    http = Client.of(
        create_control(
            ControlDeps(
                identity=house.identity,
                keys=house.keys,
                freezes=house.freezes,
                log=house.log,
                stores={},
                bundle=lambda: None,
                assertion_keys=b"{}",
                explaining=house.explaining,
                activating=house.activating,
                history=house.history,
            )
        )
    )
    admin = baited.keys["admin"]
    listed = await http("GET", "/v1/freezes", admin)
    assert [one["who"] for one in listed.json["items"]] == [who]
    assert (await http("POST", "/v1/freezes/lift", baited.keys["agent"], {"who": who})).status == 403
    assert (await http("POST", "/v1/freezes/lift", admin, {"who": who, "more": 1})).status == 422
    assert (await http("POST", "/v1/freezes/lift", admin, {"who": who})).status == 204
    assert (await http("POST", "/v1/freezes/lift", admin, {"who": who})).status == 404
    assert (await http("GET", "/v1/freezes", admin)).json["items"] == []
    http.metrics.close()


async def test_nobody_of_the_shipped_folder_walks_into_one() -> None:
    assert not (POLICIES / "decoys.yaml").exists()


def test_what_is_frozen_is_known_before_anything_else_is_read() -> None:
    """A key that was frozen while the rows were read must not be let in by the older answer to who is frozen."""
    source = inspect.getsource(Identity.load)
    assert source.index("freezes_that_hold") < source.index("all_keys")
