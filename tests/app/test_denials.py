"""A denial is as complete as a grant: decided as early as it can be, and its entry says of whose record."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway import demo
from gateway.app import House, open_house
from gateway.corridor.lists import Lister
from gateway.fields import FieldLens
from gateway.records import sample
from gateway.settings import read
from gateway.upstream import Adapter
from gateway.words.errors import Code, Denied, Unavailable
from gateway.words.told import Cause
from tests.app.asking import ask


@dataclass
class Open:
    """A house with some invented customers."""

    house: House
    keys: dict[str, str]

    async def last(self) -> dict[str, Any]:
        found = (await self.house.log.entries((await self.house.log.head()).seq - 1, 1))[0]
        return orjson.loads(found.bytes) | {"parts": [orjson.loads(part.body) for part in found.parts]}

    async def customers(self, key: str, purpose: str) -> set[str]:
        listed = await ask(
            self.house, "GET", "/crm/customers?limit=50", self.keys[key], gatehouse_purpose=purpose
        )
        return {item["id"] for item in json.loads(listed.body)["items"]}


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    chosen = read({"GATEHOUSE_HOME": str(tmp_path), "GATEHOUSE_PORT": "0"})
    demo.prepare(chosen)
    async with open_house(chosen) as house:
        keys = dict(await demo.credentials(house))
        await demo.load_sample(house, lambda done, total: None, sample(customers=6, threads=1, messages=1))
        yield Open(house, keys)


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", "/crm/customers", b""),
        ("GET", "/crm/customers/{id}", b""),
        ("PATCH", "/crm/customers/{id}", b'{"level": "vip"}'),
    ],
)
async def test_an_application_that_may_ask_for_persons_only_is_denied_before_any_upstream_is_called(
    opened: Open, monkeypatch: pytest.MonkeyPatch, method: str, target: str, body: bytes
) -> None:
    record = min(await opened.customers("auditor", "audit"))

    async def called(*_: object, **__: object) -> None:
        raise AssertionError("an upstream was called")

    for where, name in ((Adapter, "fetch"), (Adapter, "before"), (Lister, "gather")):
        monkeypatch.setattr(where, name, called)
    sent = {"gatehouse_purpose": "service"} | ({"content_type": "application/json"} if body else {})
    with pytest.raises(Denied) as denied:
        await ask(opened.house, method, target.format(id=record), opened.keys["desk"], body, **sent)
    assert (denied.value.code, denied.value.told.cause) == (Code.DENIED, Cause.WHO_OR_WHEN)
    entry = await opened.last()
    assert (entry["kind"], entry["decision"]["allowed"], entry["decision"]["reason"]) == (
        "denied",
        False,
        "rule-denied",
    )
    assert entry["decision"]["rule"].startswith("policy.csv:")


async def test_the_entry_of_a_denial_names_the_data_subject_as_that_of_a_reading_does(opened: Open) -> None:
    for record in sorted(
        await opened.customers("auditor", "audit") - await opened.customers("agent", "service")
    )[:3]:
        target = f"/crm/customers/{record}"
        await ask(opened.house, "GET", target, opened.keys["auditor"], gatehouse_purpose="audit")
        (seen, *_) = (await opened.last())["parts"]
        with pytest.raises(Denied) as denied:
            await ask(opened.house, "GET", target, opened.keys["agent"], gatehouse_purpose="service")
        assert denied.value.code is Code.NOT_FOUND
        entry = await opened.last()
        assert (entry["kind"], entry["parts"][0]["subject"]) == ("denied", seen["subject"])
        assert seen["subject"].startswith("psd_")


async def test_a_denial_has_its_entry_although_nobody_can_say_whose_record_it_is(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = await opened.customers("auditor", "audit") - await opened.customers("agent", "service")

    for error in (Unavailable(Code.NOT_READY), RuntimeError("a defect")):

        async def unable(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(FieldLens, "pseudonym_of", unable)
        with pytest.raises(Denied):
            await ask(
                opened.house,
                "GET",
                f"/crm/customers/{min(hidden)}",
                opened.keys["agent"],
                gatehouse_purpose="service",
            )
        entry = await opened.last()
        assert (entry["kind"], entry["parts"][0]["subject"]) == ("denied", None)
