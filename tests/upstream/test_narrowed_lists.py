"""A foreign list is narrowed only by parameters that the catalogue says are for it, and never to what who asks is called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.catalogue import of_draft, of_record
from gateway.corridor.facts import FactRoom
from gateway.corridor.lists import Gathered, Lister
from gateway.keys import SealedTexts
from gateway.policy.decider import PolicyDecider
from gateway.policy.known import known
from gateway.policy.load import build
from gateway.words.errors import Code, Refused
from gateway.words.principal import Principal
from gateway.words.resource import PageRule, ParamSpec, ParamUse, Shape, UpstreamSpec, Verb
from gateway.words.work import Addressed, Forward, List, Query
from tests.policy.listed_worlds import TEXTS
from tests.policy.worlds import NOW, PERSON, access, files, party, principal, route, world
from tests.records.listed_house import RING
from tests.upstream.crm import Upstream, over_http

UNIT = ParamSpec("unit", ParamUse.FILTER, "/unit", narrows=True)
UNITS = ParamSpec("unit[in]", ParamUse.FILTER, "/unit", "in", narrows=True)
OWNER = ParamSpec("owner", ParamUse.FILTER, "/owner", narrows=True)
LISTING = Shape(items="/items", total="/total")
NORTH = "p, role:a, *, crm/customer, customer:list, -, service, True, allow\n"
OWN = 'p, role:a, *, crm/customer, customer:list, -, service, r.rec.owner == r.sub.id and r.rec.level == "a", allow\n'


def spec(*params: ParamSpec) -> UpstreamSpec:
    (crm,) = world(TEXTS).upstreams.values()
    listing = replace(
        route(Verb.LIST, "customer:list"), shape=LISTING, page=PageRule("size", "page", 1, 2), params=params
    )
    return replace(crm, base="", routes=(listing,), answer_seconds=10, max_answer_bytes=100_000)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with over_http() as one:
        yield one


class Nobody:
    """The lens's part in a list: these records are about no data subject."""

    async def subjects_of(self, _resource: object, records: Sequence[object]) -> list[None]:
        return [None for _ in records]


class House:
    def __init__(self, upstream: Upstream, *params: ParamSpec) -> None:
        self.upstream = upstream
        self.spec = upstream.load(spec(*params))
        self.lister = Lister(upstream.adapter, FactRoom(of_record, of_draft), Nobody(), SealedTexts(RING))

    async def list(self, text: str, who: Principal, query: Query) -> tuple[Gathered, str | None]:
        made, findings = build(files(text), known(world(TEXTS)))
        assert made is not None, [str(finding) for finding in findings]
        (listing,) = self.spec.routes
        asked = access(who, "customer:list", "service", NOW)
        what = Addressed(asked, List(Forward("/customers"), query), self.spec, listing, TEXTS)
        prepared = PolicyDecider(made).prepare(asked, TEXTS, 0)
        found = await self.lister.gather(what, what.work, prepared)
        return found, self.lister.cursor(what, what.work, found.following)

    def asked(self) -> dict[str, str]:
        """What the last request's query says, but for its page."""
        pairs = dict(parse_qsl(urlsplit(self.upstream.asked[-1].target).query))
        return {name: value for name, value in pairs.items() if name not in ("size", "page")}


def items(*names: str, total: int, unit: str = "branch:north") -> dict[str, object]:
    return {"items": [{"id": name, "unit": unit} for name in names], "total": total}


HELD = "role:a@branch:north"


async def test_a_list_says_the_unit_where_a_parameter_is_for_it(upstream: Upstream) -> None:
    upstream.says(200, items("1", total=1))
    for params, held, expected in (
        ((UNIT, UNITS), (HELD,), {"unit": "branch:north"}),
        ((UNIT, UNITS), (HELD, "role:a@branch:south"), {"unit[in]": "branch:north,branch:south"}),
        ((UNIT,), (HELD, "role:a@branch:south"), {}),
        ((replace(UNIT, narrows=False),), (HELD,), {}),
        ((replace(UNIT, values=("branch:south",)),), (HELD,), {}),
        ((OWNER,), (HELD,), {}),
        ((UNIT,), ("role:a@branch:a,b",), {}),
        ((UNIT,), ("role:a@branch:\0",), {}),
        ((UNITS,), tuple(f"role:a@branch:{n:030}" for n in range(60)), {}),
        ((UNIT,), ("role:a",), {}),
        ((), (HELD,), {}),
    ):
        house = House(upstream, *params)
        found, _ = await house.list(NORTH, principal(party("app:x", *held)), Query())
        sees = not {HELD, "role:a"}.isdisjoint(held)
        assert (house.asked(), len(found.seen)) == (expected, sees), (params, held)


async def test_what_the_caller_says_of_a_field_stands_alone(upstream: Upstream) -> None:
    upstream.says(200, items("1", total=1))
    house = House(upstream, UNIT, UNITS)
    mine = Query(passing=(("unit", "branch%3Asouth"),), uses=frozenset({"/unit"}))
    await house.list(NORTH, principal(party("app:x", HELD)), mine)
    assert house.asked() == {"unit": "branch:south"}


async def test_nobody_is_named_to_another_system(upstream: Upstream) -> None:
    upstream.says(200, items(total=0))
    level = ParamSpec("level", ParamUse.FILTER, "/level", narrows=True)
    house = House(upstream, OWNER, level)
    who = principal(party("app:x", HELD), party(PERSON, HELD))
    await house.list(OWN, who, Query())
    assert house.asked() == {"level": "a"}
    assert "kim" not in upstream.asked[-1].target


async def test_what_it_answers_with_is_decided_on_all_the_same(upstream: Upstream) -> None:
    upstream.says(200, items("1", "2", total=2, unit="branch:south"))
    found, _ = await House(upstream, UNIT).list(NORTH, principal(party("app:x", HELD)), Query())
    assert found.seen == []


async def test_a_cursor_goes_on_with_the_list_that_it_was_made_for(upstream: Upstream) -> None:
    upstream.says(200, items("1", "2", total=4))
    house, who = House(upstream, UNIT), principal(party("app:x", HELD))
    _, cursor = await house.list(NORTH, who, Query(limit=1))
    assert cursor is not None
    upstream.says(200, items("1", "2", total=4))
    found, _ = await house.list(NORTH, who, Query(limit=1, cursor=cursor))
    assert [record.ref.record for record, _ in found.seen] == ["2"]
    assert house.asked() == {"unit": "branch:north"}


async def test_a_cursor_of_a_list_that_was_not_narrowed_goes_on_so(upstream: Upstream) -> None:
    upstream.says(200, items("1", "2", total=4))
    who = principal(party("app:x", HELD))
    _, cursor = await House(upstream).list(NORTH, who, Query(limit=1))
    house = House(upstream, UNIT)
    await house.list(NORTH, who, Query(limit=1, cursor=cursor))
    assert house.asked() == {}


async def test_a_cursor_ends_where_the_policy_no_longer_says_what_its_list_was_narrowed_by(
    upstream: Upstream,
) -> None:
    upstream.says(200, items("1", "2", total=4))
    house, who = House(upstream, UNIT), principal(party("app:x", HELD))
    _, cursor = await house.list(NORTH, who, Query(limit=1))
    wider = NORTH + "g, app:x, role:a, *\n"
    asked = len(upstream.asked)
    with pytest.raises(Refused) as refusal:
        await house.list(wider, who, Query(limit=1, cursor=cursor))
    assert refusal.value.code is Code.CURSOR_INVALID
    assert len(upstream.asked) == asked
