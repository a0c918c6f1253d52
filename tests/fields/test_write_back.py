"""Laws of change, over random documents, disclosures and write views: to read and write back is to change nothing."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from gateway.words.errors import Refused
from gateway.words.json import Json, JsonObject, Pattern
from gateway.words.record import ClosedRecord
from gateway.words.resource import ResourceSpec, UpdateMode
from tests.fields.conftest import CUSTOMER, LINKS, THREAD, Disclosure, World, put, replace

ROUNDS = 1_000 if os.environ.get("GATEHOUSE_PROOF") else 30


def some_value(dice: random.Random) -> Json:
    return dice.choice(
        [
            None,
            True,
            False,
            0,
            1,
            1.0,
            -7,
            2.5,
            "",
            "张伟",
            "138 1234 5678",
            "x" * 40,
            [],
            [1, "a"],
            {},
            {"a": [None]},
            "a*b",
        ]
    )


def plain_value(dice: random.Random) -> Json:
    """What a field that is not sealed takes: nothing that holds an object."""
    return next(v for v in iter(lambda: some_value(dice), object()) if not isinstance(v, dict))


def some_customer(dice: random.Random) -> JsonObject:
    names = ["name", "phone", "email", "vip", "income", "phones", "note"]
    document: JsonObject = {name: some_value(dice) for name in names if dice.random() < 0.6}
    document |= {name: plain_value(dice) for name in ("unit", "tags") if dice.random() < 0.6}
    if dice.random() < 0.6:
        document["home"] = {n: plain_value(dice) for n in ("address", "country") if dice.random() < 0.7}
    return {name: value for name, value in document.items() if not (name == "home" and value == {})}


def some_thread(dice: random.Random) -> JsonObject:
    elements: list[Json] = [
        {"id": f"m{i}", **{n: plain_value(dice) for n in ("body", "author") if dice.random() < 0.7}}
        for i in range(dice.randrange(4))
    ]
    steps: list[Json] = [
        {n: plain_value(dice) for n in ("label", "done") if dice.random() < 0.7}
        for _ in range(dice.randrange(3))
    ]
    return {"customer_id": "c1", "title": some_value(dice), "messages": elements, "steps": steps}


def some_link(dice: random.Random) -> Json:
    return dice.choice([*LINKS, "https://their-shop.example/", "/crm/c/1", None, 7])


def at_the_upstream(dice: random.Random, record: ClosedRecord) -> ClosedRecord:
    """What an upstream, or somebody at its database, may have made of a record."""
    fields: dict[str, Any] = dict(record.fields)
    for _ in range(dice.randrange(3)):
        match dice.randrange(8):
            case 0:
                fields["surprise"] = some_value(dice)
            case 1:
                fields["note" if "note" in fields else "title"] = "in clear"
            case 2 if "phone" in fields:
                fields["phone"] = fields.get("name")
            case 3 if isinstance(fields.get("messages"), list) and fields["messages"]:
                fields["messages"] = [*fields["messages"], {"body": "no id"}, dice.choice(fields["messages"])]
            case 4 if isinstance(fields.get("steps"), list):
                fields["steps"] = [*fields["steps"], dice.choice([None, 7, {}, {"odd": 1}])]
            case 5:
                fields["home" if "home" in fields else "messages"] = dice.choice([None, 7, {"door": 1}, []])
            case 7:
                fields["unit" if "name" in fields else "steps"] = dice.choice([some_value(dice), [{"a": 1}]])
            case 6:
                fields["self"] = some_link(dice)
                fields["website"] = some_link(dice)
                fields["papers"] = dice.choice(
                    [[some_link(dice) for _ in range(dice.randrange(4))], some_link(dice)]
                )
                fields["home"] = {"map": some_link(dice)}
    return put(replace(record, fields=fields))


def some_view(dice: random.Random, spec: ResourceSpec) -> dict[Pattern, Disclosure]:
    weights = dice.choice([(9, 1, 1, 1), (1, 1, 1, 1), (1, 5, 1, 1), (1, 0, 0, 6)])
    return {f.pattern: dice.choices(list(Disclosure), weights)[0] for f in spec.fields}


def some_write(dice: random.Random, spec: ResourceSpec) -> list[Pattern]:
    share = dice.choice([0.0, 0.3, 1.0])
    return [f.pattern for f in spec.fields if dice.random() < share]


async def some_record(world: World, dice: random.Random) -> tuple[ResourceSpec, ClosedRecord]:
    if dice.random() < 0.5:
        return CUSTOMER, at_the_upstream(dice, await world.create(CUSTOMER, some_customer(dice)))
    return THREAD, at_the_upstream(dice, await world.create(THREAD, some_thread(dice)))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(4))
async def test_read_and_written_back_nothing_changes(world: World, seed: int) -> None:
    dice = random.Random(seed)
    await world.customer()
    for number in range(ROUNDS):
        spec, record = await some_record(world, dice)
        read, write = some_view(dice, spec), some_write(dice, spec)
        view = await world.view(spec, record, read)
        for mode in UpdateMode:
            change = await world.update(spec, record, view.document, read, write, mode)
            assert change.same, (seed, number, mode)
            assert change.set == ()
            assert change.digests == {}
            assert change.document == ({} if mode is UpdateMode.MERGE else record.fields)


def leaves(value: Json, pattern: str = "") -> dict[str, Json]:
    """Every scalar by place, with elements by their index: enough to compare two documents whose arrays keep their order."""
    if isinstance(value, dict):
        return {k: v for name, inner in value.items() for k, v in leaves(inner, f"{pattern}/{name}").items()}
    if isinstance(value, list):
        return {k: v for i, inner in enumerate(value) for k, v in leaves(inner, f"{pattern}/{i}").items()}
    return {pattern: value}


def pattern_of(place: str, spec: ResourceSpec) -> str | None:
    """The field that a place belongs to."""
    steps = place.split("/")
    for f in spec.fields:
        want = f.pattern.removesuffix("/*").split("/")
        if len(want) <= len(steps) and all(w in ("*", s) for w, s in zip(want, steps, strict=False)):
            return f.pattern
    return None


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_sent_only_what_he_may_write_changes(world: World, seed: int) -> None:
    dice = random.Random(1_000 + seed)
    await world.customer()
    done = 0
    for number in range(ROUNDS):
        spec, record = await some_record(world, dice)
        read, write = some_view(dice, spec), some_write(dice, spec)
        shown = (await world.view(spec, record, read)).document
        sent: dict[str, Any] = dict(shown)
        for _ in range(dice.randrange(1, 3)):
            name = dice.choice(["name", "phone", "unit", "tags", "title", "vip", "home"])
            if dice.random() < 0.3:
                sent.pop(name, None)
            else:
                sent[name] = {"country": some_value(dice)} if name == "home" else some_value(dice)
        for mode in UpdateMode:
            try:
                change = await world.update(spec, record, sent, read, write, mode)
            except Refused:
                continue
            done += 1
            if mode is UpdateMode.MERGE or change.same:
                assert change.same is (change.set == ())
                continue
            before, after = leaves(record.fields), leaves(change.document)
            for place in before.keys() | after.keys():
                if before.get(place) != after.get(place):
                    pattern = pattern_of(place, spec)
                    adopted = place in change.digests and not str(before.get(place)).startswith("gh1:")
                    assert pattern is not None, (seed, number, place)
                    assert pattern in write or adopted, (seed, number, place)
            for name in record.fields.keys() - change.document.keys():
                if spec.spec("/" + name) is not None and record.fields[name] is not None:
                    assert read["/" + name] is Disclosure.CLEAR, (seed, number, name)
    assert done > ROUNDS / 10  # else the law was held by refusing everything
