"""Activations under load: each answer is by the bundle that was in force at its place in the log, stock pycasbin decides it the same by
that bundle, and none is refused because another came in force."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway import policy
from gateway.loading import Loaded
from gateway.local import shown
from gateway.replaying import recorded_in
from gateway.words.decision import Facts
from tests.activating.world import CASE
from tests.campaign.counts import count, dice
from tests.campaign.secrecy.client import Said
from tests.campaign.secrecy.folders import folder
from tests.campaign.secrecy.house import Opened, serving, settings
from tests.campaign.secrecy.keys import Holder
from tests.campaign.secrecy.people import invent

pytestmark = pytest.mark.campaign

ROLE = "role:watches"
# By a link: of a list the log does not keep within which unit a credential gave a role.
RULES = [
    f"g, app:watcher, {ROLE}, *",
    f"p, {ROLE}, *, crm/customer, customer:read, -, service, True, allow",
    f"p, {ROLE}, *, crm/customer, show:clear, public, service, True, allow",
    f"p, {ROLE}, *, crm/customer, show:clear, internal, service, True, allow",
]
# Each bundle has some of these; whoever asks is shown another customer by each.
SOME = [
    f"p, {ROLE}, *, crm/customer, show:masked, contact, service, True, allow",
    f"p, {ROLE}, *, crm/customer, show:clear, contact, service, True, allow",
    f"p, {ROLE}, *, crm/customer, show:clear, identity, service, True, allow",
    f"p, {ROLE}, *, crm/customer, show:token, id_document, service, True, allow",
    f"p, {ROLE}, *, crm/customer, customer:list, -, service, True, allow",
    f'p, {ROLE}, *, crm/customer, customer:list, -, service, r.rec.level == "vip", deny',
]
CALLERS = 6
MOMENT = datetime(2026, 11, 2, 10, tzinfo=UTC)
"""No rule here asks for the hour."""
PERSON = invent(1, dice("activations"))[0]


async def test_each_answer_is_by_the_bundle_in_force_at_its_place(tmp_path: Path) -> None:
    rounds, rolls = count(8, 1_000), dice("activations")
    place = folder(tmp_path / "policies", rules=RULES, roles=[ROLE])
    (place / "cases" / "branch.yaml").write_text(CASE)  # the shipped ones take most of a load
    plain = (place / "policy.csv").read_text()
    holders = {"watcher": Holder("app:watcher", ("service",), ())}
    answers: list[Said] = []
    done = asyncio.Event()
    async with serving(
        settings(tmp_path / "home", policies=place, watch_seconds=600), holders=holders
    ) as opened:
        house = opened.house
        async with opened.client() as client:
            made = await client.ask("POST", "/crm/customers", opened.keys["all"], PERSON.customer())
        callers = [asyncio.ensure_future(ask(opened, made.json["id"], answers, done)) for _ in range(CALLERS)]
        took, loaded = [], {house.bundles.digest: house.bundles.now}
        for number in range(rounds):
            chosen = [rule for rule in SOME if rolls.random() < 0.5]
            (place / "policy.csv").write_text(plain + "\n".join([*chosen, f"# {number}", ""]))
            began = time.monotonic()
            await house.bundles.watch(house.held)
            took.append(time.monotonic() - began)
            loaded[house.bundles.digest] = house.bundles.now
            if number % 10 == 0:
                before = len(answers)
                while len(answers) < before + CALLERS:  # noqa: ASYNC110 - they come from other tasks
                    await asyncio.sleep(0.005)
        done.set()
        await asyncio.gather(*callers)
        lines = await every(opened)
    activations = [line["entry"] for line in lines if line["entry"]["action"] == "bundle:activate"]
    assert len(activations) == rounds + 1
    assert {entry["decision"]["reason"] for entry in activations[1:]} <= {"narrow", "waived"}
    assert {answer.status for answer in answers} <= {200, 403}
    decided = hold(answers, lines, loaded)
    assert decided > rounds
    print(
        f"proof: {rounds} activations under load, the slowest {max(took):.2f} s; {len(answers)} answers, each by the bundle in force "
        f"at its place in the log; {decided} decisions, which pycasbin made the same; none refused because of another bundle"
    )


async def ask(opened: Opened, record: str, answers: list[Said], done: asyncio.Event) -> None:
    async with opened.client() as client:
        while not done.is_set():
            for target in (f"/crm/customers/{record}", "/crm/customers?limit=2"):
                answers.append(await client.ask("GET", target, opened.keys["watcher"]))


async def every(opened: Opened) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while some := await opened.house.log.entries(len(found), 1_000):
        found += [shown(e.seq, e.hash, e.bytes, [part.body for part in e.parts]) for e in some]
    return found


def hold(answers: list[Said], lines: list[dict[str, Any]], loaded: dict[str, Loaded]) -> int:
    """Holds each answer against the log, and each of its decisions against pycasbin; gives how many there were."""
    active, digest = {}, ""
    for line in lines:
        if line["entry"]["action"] == "bundle:activate":
            digest = line["entry"]["decision"]["bundle"]
        active[line["seq"]] = digest
    engines = {name: policy.Engine(one.bundle, reference=True) for name, one in loaded.items()}
    decided: Counter[str] = Counter()
    same: set[object] = set()  # the same question of the same bundle need not be asked of pycasbin again
    for answer in answers:
        line = lines[int(answer.headers["audit-ref"].partition(":")[0]) - 1]
        entry = line["entry"]
        named = answer.headers.get("gatehouse-policy", entry["decision"]["bundle"])
        assert named == entry["decision"]["bundle"] == active[line["seq"]]
        assert (answer.status == 403) == (entry["kind"] == "denied")
        by = loaded[named]
        for recorded in recorded_in(line, by):
            if recorded.facts is None and recorded.allowed:
                continue  # a collection as a whole: pycasbin is asked of each of its records
            # Denied whatever a record's facts are, so also of one that has none.
            of_one = replace(recorded, facts=recorded.facts or Facts(), time=MOMENT)
            key = (named, orjson.dumps([entry["action"], line["parts"], entry["decision"]]))
            if key not in same:
                spec = by.catalogue.resource(entry["resource"]["upstream"], entry["resource"]["type"])
                assert spec is not None
                askers = policy.askers_of(by.bundle, of_one)
                made = [policy.decided(engines[named], of_one, asker, spec) for asker in askers]
                assert any(policy.comes_out(one, of_one) for one in made), orjson.dumps(line)
                same.add(key)
            decided[named] += 1
    assert len(decided) > 1
    return sum(decided.values())
