"""What stands below, or would be about, a record of another branch: with the shipped policy and the embedded store."""

from pathlib import Path

import orjson

from gateway import demo
from gateway.app import House, open_house
from gateway.records import Sample, sample
from gateway.settings import read
from gateway.text import Language
from gateway.text.problems import problem
from gateway.words.errors import GatehouseError
from tests.app.asking import ask

OWN = "branch:shanghai"


async def told(
    house: House, key: str, target: str, body: dict[str, object] | None = None
) -> tuple[int, bytes]:
    """What the demo's agent is answered; a refusal as the door would write it, under one request's id."""
    return await answered(house, "GET" if body is None else "POST", key, target, body)


async def patched(house: House, key: str, target: str, body: dict[str, object]) -> tuple[int, bytes]:
    return await answered(house, "PATCH", key, target, body)


async def answered(
    house: House, method: str, key: str, target: str, body: dict[str, object] | None
) -> tuple[int, bytes]:
    sent = {} if body is None else {"content_type": "application/json"}
    raw = b"" if body is None else orjson.dumps(body)
    try:
        reply = await ask(house, method, target, key, raw, **sent)
    except GatehouseError as error:
        refused = problem(error, Language.ENGLISH, "req_same")
        return refused.status, refused.body
    return reply.status, reply.body


async def test_another_branchs_thread_and_customer_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    chosen = read({"GATEHOUSE_HOME": str(tmp_path), "GATEHOUSE_PORT": "0"})
    demo.prepare(chosen)
    people = sample(customers=9, threads=9, messages=9)
    async with open_house(chosen) as house:
        key = (await demo.credentials(house))["agent"]
        await demo.load_sample(house, lambda done, total: None, people)
        ids = orjson.loads((tmp_path / "demo" / "sample.json").read_bytes())["ids"]
        thread = ids[next(t for t in people.threads if t["unit"] != OWN)["id"]]
        customer = ids[next(c for c in people.customers if c["unit"] != OWN)["id"]]
        own = ids[next(c for c in people.customers if c["unit"] == OWN and c["level"] == "standard")["id"]]
        for path in (f"/crm/threads/{thread}", f"/crm/customers/{customer}"):
            assert (await told(house, key, path))[0] == 404
        message = {"body": "out of reach", "unit": OWN, "author": "app:demo-agent", "author_kind": "staff"}
        for body in (None, message):
            answers = [
                await told(house, key, f"/crm/threads/{t}/messages", body) for t in (thread, "thr_none")
            ]
            assert answers[0] == answers[1]
            assert answers[0][0] == 404
        made = {"title": "t", "unit": OWN, "status": "open", "channel": "phone"}
        answers = [
            await told(house, key, "/crm/threads", made | {"customer_id": c}) for c in (customer, "cus_none")
        ]
        assert answers[0] == answers[1]
        assert answers[0][0] == 422
        assert (await told(house, key, "/crm/threads", made | {"customer_id": own}))[0] == 201
        assert await house.log.open_intents() == []


async def test_staff_send_as_themselves_and_nobody_speaks_for_a_customer(tmp_path: Path) -> None:
    chosen = read({"GATEHOUSE_HOME": str(tmp_path), "GATEHOUSE_PORT": "0"})
    demo.prepare(chosen)
    people = sample(customers=9, threads=9, messages=0)
    async with open_house(chosen) as house:
        keys = await demo.credentials(house)
        await demo.load_sample(house, lambda done, total: None, people)
        ids = orjson.loads((tmp_path / "demo" / "sample.json").read_bytes())["ids"]
        plain = {c["id"] for c in people.customers if c["unit"] == OWN and c["level"] == "standard"}
        thread = ids[next(t for t in people.threads if t["customer_id"] in plain)["id"]]
        place = f"/crm/threads/{thread}/messages"
        own = {"body": "hi", "unit": OWN, "author": "app:demo-agent", "author_kind": "staff"}
        for forged in ({"author_kind": "customer", "author": "customer"}, {"author": "app:demo-supervisor"}):
            assert (await told(house, keys["agent"], place, own | forged))[0] == 403
        for missing in ("author_kind", "author", "unit", "body"):
            status, body = await told(
                house, keys["agent"], place, {k: v for k, v in own.items() if k != missing}
            )
            assert (status, orjson.loads(body)["params"]) == (422, {"field": f"/{missing}"})
        assert (await told(house, keys["agent"], place, own))[0] == 201
        sent = await told(house, keys["supervisor"], place, own | {"author": "app:demo-supervisor"})
        target = f"{place}/{orjson.loads(sent[1])['id']}"
        for forged in ({"author": "app:demo-agent"}, {"author_kind": "customer"}):
            assert (await patched(house, keys["supervisor"], target, forged))[0] == 403
        assert (await patched(house, keys["supervisor"], target, {"body": "hello"}))[0] == 200


def _talking(people: Sample) -> set[object]:
    return {thread["customer_id"] for thread in people.threads}


async def test_what_belongs_to_a_hidden_vip_is_hidden_with_him(tmp_path: Path) -> None:
    chosen = read({"GATEHOUSE_HOME": str(tmp_path), "GATEHOUSE_PORT": "0"})
    demo.prepare(chosen)
    people = sample(customers=30, threads=60, messages=120)
    first = next(c for c in people.customers if c["unit"] == OWN and c["id"] in _talking(people))
    first["level"] = "vip"
    async with open_house(chosen) as house:
        keys = await demo.credentials(house)
        await demo.load_sample(house, lambda done, total: None, people)
        ids = orjson.loads((tmp_path / "demo" / "sample.json").read_bytes())["ids"]
        thread = next(t for t in people.threads if t["customer_id"] == first["id"])
        place, his = f"/crm/threads/{ids[thread['id']]}", ids[thread["customer_id"]]
        message = next(m for m in people.messages if m["thread_id"] == thread["id"])
        own = {"body": "hi", "unit": OWN, "author": "app:demo-agent", "author_kind": "staff"}
        for target in (place, f"{place}/messages", f"{place}/messages/{ids[message['id']]}"):
            assert (await told(house, keys["agent"], target))[0] == 404
            assert (await told(house, keys["supervisor"], target))[0] == 200
        assert (await told(house, keys["agent"], f"{place}/messages", own))[0] == 404
        assert (await patched(house, keys["agent"], place, {"title": "t"}))[0] == 404
        for key, listed in ((keys["agent"], False), (keys["supervisor"], True)):
            answer = orjson.loads((await told(house, key, "/crm/threads?limit=500"))[1])
            assert (his in {item["customer_id"] for item in answer["items"]}) is listed
        plain = {c["id"] for c in people.customers if c["unit"] == OWN and c["level"] == "standard"}
        seen = next(t for t in people.threads if t["customer_id"] in plain)
        target, customer = f"/crm/threads/{ids[seen['id']]}", f"/crm/customers/{ids[seen['customer_id']]}"
        assert (await told(house, keys["agent"], target))[0] == 200
        for name, value in (("tags", "x"), ("tags", 5), ("tags", [1]), ("level", {})):
            status, body = await patched(house, keys["supervisor"], customer, {name: value})
            assert (status, orjson.loads(body)["params"]) == (422, {"field": f"/{name}"})
        assert (await patched(house, keys["supervisor"], customer, {"level": "vip"}))[0] == 200
        assert (await told(house, keys["agent"], target))[0] == 404
