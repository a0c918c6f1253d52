"""A list is decided on as a whole and item by item; what may not be seen is absent from answer, count and paging."""

from contextlib import suppress
from typing import Any

import orjson
import pytest

from gateway.rooms import Answer
from gateway.words.errors import Code, Denied, Refused
from gateway.words.record import Alarm, AlarmKind, ClosedPage
from gateway.words.resource import Verb
from tests.gate.house import House, SealsByHand, call


def fill(house: House, count: int, hidden: set[int]) -> list[str]:
    for number in range(count):
        house.shelf.put(f"t{number:02}", name=f"n{number}", secret=number in hidden)
    return [f"n{number}" for number in range(count) if number not in hidden]


@pytest.mark.parametrize("hidden", [set(), {0}, {2, 3, 4, 5}, {9}, set(range(10)), {0, 1, 2, 3, 5, 7, 9}])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
async def test_pages_hold_exactly_what_may_be_seen_each_once(
    house: House, hidden: set[int], limit: int
) -> None:
    expected = fill(house, 10, hidden)
    got: list[str] = []
    cursor = None
    for _ in range(40):
        asked = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        answer = orjson.loads((await house.gate.answer(call(Verb.LIST, **asked))).body)
        got += [item["name"] for item in answer["items"]]
        assert len(answer["items"]) <= limit
        cursor = answer["next"]
        if cursor is None:
            break
    assert got == expected


async def test_the_last_full_page_says_that_it_is_the_last(house: House) -> None:
    fill(house, 6, {4, 5})
    answer = orjson.loads((await house.gate.answer(call(Verb.LIST, limit=4))).body)
    assert len(answer["items"]) == 4
    assert answer["next"] is None


async def test_a_total_counts_only_what_may_be_seen(house: House) -> None:
    expected = fill(house, 10, {1, 2, 3})
    answer = orjson.loads((await house.gate.answer(call(Verb.LIST, limit=2, count=1))).body)
    assert answer["total"] == len(expected)


async def test_a_total_is_not_given_where_not_every_item_was_decided(house: House) -> None:
    fill(house, 40, set())
    answer = orjson.loads((await house.gate.answer(call(Verb.LIST, limit=2, count=1))).body)
    assert answer["total"] is None


async def test_a_list_that_reads_its_bound_gives_a_short_page_and_goes_on(house: House) -> None:
    fill(house, 40, set(range(35)))
    first = orjson.loads((await house.gate.answer(call(Verb.LIST, limit=5))).body)
    assert first["items"] == []
    second = orjson.loads((await house.gate.answer(call(Verb.LIST, limit=5, cursor=first["next"]))).body)
    assert [i["name"] for i in second["items"]] == [f"n{n}" for n in range(35, 40)]


async def test_a_cursor_is_good_for_its_own_question_only(house: House) -> None:
    fill(house, 10, set())
    house.keys.good.add("other")
    house.keys.cached.add("other")
    answer = orjson.loads((await house.gate.answer(call(Verb.LIST, limit=2))).body)
    for asked in (call(Verb.LIST, key="other", cursor=answer["next"]), call(Verb.LIST, cursor="00")):
        with pytest.raises(Refused) as refusal:
            await house.gate.answer(asked)
        assert refusal.value.code is Code.CURSOR_INVALID


async def test_a_cursors_length_tells_nothing_of_what_is_hidden(house: House) -> None:
    lengths = set()
    for hidden in (0, 1, 12, 110):
        house.shelf.things.clear()
        for number in range(hidden + 2):
            house.shelf.put(f"t{number:03}", name="n", secret=number < hidden)
        found = orjson.loads((await house.gate.answer(call(Verb.LIST, limit=1))).body)
        while not found["items"]:
            found = orjson.loads(
                (await house.gate.answer(call(Verb.LIST, limit=1, cursor=found["next"]))).body
            )
        lengths.add(len(found["next"]))
    assert len(lengths) == 1


@pytest.mark.parametrize("spoilt", [b"[null,1]", b"[null,1]" + bytes(248), b"[null,1]\x80" + bytes(246), b""])
async def test_a_cursor_that_is_not_padded_as_ours_are_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch, spoilt: bytes
) -> None:
    fill(house, 3, set())
    monkeypatch.setattr(SealsByHand, "open", lambda *_: spoilt)
    with pytest.raises(Refused) as refusal:
        await house.gate.answer(call(Verb.LIST, cursor="any"))
    assert refusal.value.code is Code.CURSOR_INVALID


async def test_a_field_that_is_not_clear_everywhere_cannot_be_sorted_by(house: House) -> None:
    fill(house, 3, set())
    house.policy.open_fields = frozenset({"/owner"})
    with pytest.raises(Refused) as refusal:
        await house.gate.answer(call(Verb.LIST, sort="name"))
    assert refusal.value.code is Code.FIELD_NOT_SEARCHABLE
    assert dict(refusal.value.params) == {"field": "/name"}


async def test_one_entry_names_every_record_that_a_list_shows_and_no_other(house: House) -> None:
    fill(house, 6, {0, 3})
    await house.gate.answer(call(Verb.LIST))
    (entry,) = await house.log.entries(0, 10)
    assert [orjson.loads(p.body)["reference"] for p in entry.parts] == ["t01", "t02", "t04", "t05"]


async def test_an_upstream_that_goes_on_with_empty_runs_for_ever_comes_to_the_bound(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = 0

    async def empty(*_: object) -> Answer:
        nonlocal runs
        runs += 1
        assert runs < 100
        return Answer(200, page=ClosedPage((), str(runs)))

    monkeypatch.setattr(house.shelf, "page", empty)
    answer = orjson.loads((await house.gate.answer(call(Verb.LIST))).body)
    assert answer["items"] == []
    assert answer["next"] is not None
    assert runs == 30


async def test_no_header_of_an_upstreams_run_passes_with_a_list(house: House) -> None:
    fill(house, 3, {1})
    told = (("etag", '"7"'), ("last-modified", "now"), ("link", "</x>; rel=next"), ("location", "/x"))
    house.shelf.headers = (*told, ("x-total-count", "4"), ("x-next", "http://upstream/secret"))
    reply = await house.gate.answer(call(Verb.LIST))
    assert {name for name, _ in reply.headers} == {"content-type", "audit-ref", "gatehouse-policy"}


async def test_items_of_later_runs_keep_what_stands_around_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(house, 7, {2})
    framed: list[str | None] = []
    compose = house.shelf.compose

    def noting(what: Any, views: Any, page: Answer, **given: Any) -> Any:
        assert page.page is not None
        framed.extend(record.ref.record for record in page.page.items)
        return compose(what, views, page, **given)

    monkeypatch.setattr(house.shelf, "compose", noting)
    await house.gate.answer(call(Verb.LIST))
    assert framed == ["t00", "t01", "t03", "t04", "t05", "t06"]


async def test_a_list_that_goes_on_counts_nothing_it_will_not_tell(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(house, 20, set())
    first = orjson.loads((await house.gate.answer(call(Verb.LIST, limit=2, count=1))).body)
    pages = 0
    page = house.shelf.page

    async def counting(*given: Any) -> Answer:
        nonlocal pages
        pages += 1
        return await page(*given)

    monkeypatch.setattr(house.shelf, "page", counting)
    second = await house.gate.answer(call(Verb.LIST, limit=2, count=1, cursor=first["next"]))
    assert orjson.loads(second.body)["total"] is None
    assert pages == 2


@pytest.mark.parametrize(
    ("verb", "record", "runs"),
    [(Verb.LIST, None, 3), (Verb.READ, "hidden", 1), (Verb.UPDATE, "t00", 2), (Verb.DELETE, "t00", 2)],
)
async def test_an_alarm_is_told_whatever_is_answered(
    house: House, verb: Verb, record: str | None, runs: int
) -> None:
    fill(house, 7, set())
    house.shelf.put("hidden", name="x", secret=True)
    house.shelf.alarms = (Alarm(AlarmKind.FIELD_UNKNOWN, "shelf", "thing", "/new"),)
    with suppress(Denied):
        await house.gate.answer(call(verb, record, body={"name": "two"}))
    assert house.bell.rung == [*house.shelf.alarms] * runs


async def test_a_list_leaves_on_a_tick_where_something_of_the_collection_may_be_hidden(house: House) -> None:
    """Whether anything was: what takes longer because of what is not shown would say so."""
    fill(house, 4, set())
    assert (await house.gate.answer(call(Verb.LIST))).tick_seconds == 0.025
    assert not (await house.gate.answer(call(Verb.READ, "t00"))).tick_seconds
    with pytest.raises(Refused) as absent:
        await house.gate.answer(call(Verb.READ, "nothing"))
    assert absent.value.tick_seconds == 0.025
    house.policy.hides_none = True
    assert not (await house.gate.answer(call(Verb.LIST))).tick_seconds
