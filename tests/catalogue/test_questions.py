"""Step 3: a list's question is read from listed parameters only, by their comparison and type."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.catalogue import Catalogue
from gateway.words.filter import And, Compare, Contains, Eq, In, Prefix
from gateway.words.work import Forward, List, Query, Sort
from tests.catalogue.builders import call, changed, principal, refusal, shop


def query(catalogue: Catalogue, raw: str) -> Query:
    work = catalogue.address(call("GET", f"/shop/buyers?{raw}"), principal("service")).work
    assert isinstance(work, List)
    return work.query


def test_a_lists_question_is_read_whole(catalogue: Catalogue) -> None:
    raw = (
        "unit=north&score[ge]=5&at%5Blt%5D=2026-11-01T00:00:00Z&tag=a%2Bb&active=true"
        "&sort=-at,unit&limit=500&count=true&cursor=abc&lang=zh"
    )
    asked = query(catalogue, raw)
    assert asked.filter == And(
        (
            Eq("/unit", "north"),
            Compare("/score", "ge", 5),
            Compare("/at", "lt", "2026-11-01T00:00:00.000000Z"),
            Contains("/tags", "a+b"),
            Eq("/active", True),
        )
    )
    assert asked.sort == (Sort("/at", True), Sort("/unit", False))
    assert asked.uses == {"/unit", "/score", "/at", "/tags", "/active"}
    assert (asked.limit, asked.cursor, asked.count) == (500, "abc", True)
    assert asked.passing == (
        ("unit", "north"),
        ("score[ge]", "5"),
        ("at%5Blt%5D", "2026-11-01T00:00:00.000000Z"),
        ("tag", "a%2Bb"),
        ("active", "true"),
        ("sort", "-at,unit"),
        ("lang", "zh"),
    )


def test_what_is_sent_on_is_what_was_decided_on(catalogue: Catalogue) -> None:
    what = catalogue.address(call("GET", "/shop/buyers?limit=5&unit=n%26orth&cursor=x"), principal("service"))
    assert what.work.to == Forward("/buyers", "unit=n%26orth")
    assert query(catalogue, "unit=n%26orth").filter == Eq("/unit", "n&orth")


def test_without_parameters_a_list_is_the_first_fifty(catalogue: Catalogue) -> None:
    work = catalogue.address(call("GET", "/shop/buyers"), principal("service")).work
    assert work == List(to=Forward("/buyers"), query=Query(limit=50))


def test_ordering_by_a_field_uses_it(catalogue: Catalogue) -> None:
    assert query(catalogue, "sort=-at").uses == {"/at"}
    assert query(catalogue, "limit=3&count=true").uses == frozenset()


def test_the_other_comparisons_are_read(catalogue: Catalogue) -> None:
    assert query(catalogue, "unit[in]=north,south").filter == In("/unit", ("north", "south"))
    assert query(catalogue, "unit[prefix]=no").filter == Prefix("/unit", "no")
    assert query(catalogue, "at[lt]=2026-11-01").filter == Compare("/at", "lt", "2026-11-01")
    assert query(catalogue, "at[lt]=2026-11-01T10:00:00.5Z").filter == Compare(
        "/at", "lt", "2026-11-01T10:00:00.500000Z"
    )
    assert query(catalogue, "active=false").filter == Eq("/active", False)


@pytest.mark.parametrize(
    "raw",
    [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=05",
        "limit=5.0",
        "limit=%D9%A5",
        "limit=",
        "cursor=",
        "cursor=a/b",
        "count=yes",
        "count=True",
        "sort=name",
        "sort=",
        "sort=at,at",
        "sort=at,-at",
        "sort=--at",
        "sort=+at",
        "unit=",
        f"unit={'x' * 201}",
        "unit[in]=north,east",
        "unit[in]=north,north",
        "unit[in]=,",
        "score[ge]=5.5",
        "score[ge]=05",
        "score[ge]=1e3",
        "score[ge]=9999999999999999",
        "active=1",
        "at[lt]=today",
        "at[lt]=2026-02-30",
        "at[lt]=2026-11-01T00:00:00",
        "at[lt]=2026-11-01T00:00:00%2B01:00",
        "at[lt]=2026-11-01T24:61:00Z",
        "lang=fr",
        "lang=",
        "at[lt]=%D9%A2026-11-01",
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_and_only_its_name_told(
    catalogue: Catalogue, raw: str
) -> None:
    name = raw.partition("=")[0]
    code, told = refusal(catalogue, call("GET", f"/shop/buyers?{raw}"))
    assert (code, told["parameter"]) == ("parameter-malformed", name)
    assert told.keys() <= {"parameter", "expected"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("limit=501", "1 to 500"),
        ("limit=many", "1 to 500"),
        ("count=1", "true or false"),
        ("active=1", "true or false"),
        ("score[ge]=5.5", "a whole number"),
        ("at[lt]=2026-11-01T00:00:00%2B08:00", "YYYY-MM-DD or, in UTC, YYYY-MM-DDThh:mm:ssZ"),
        ("at[lt]=2026-02-30", "YYYY-MM-DD or, in UTC, YYYY-MM-DDThh:mm:ssZ"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_does(
    catalogue: Catalogue, raw: str, expected: str
) -> None:
    assert refusal(catalogue, call("GET", f"/shop/buyers?{raw}"))[1]["expected"] == expected


@pytest.mark.parametrize("value", ["a\x00", "a\nb", "\x85", "\u2028", "a\ud800"])
def test_a_control_character_is_no_part_of_a_value(catalogue: Catalogue, value: str) -> None:
    odd = replace(call("GET", "/shop/buyers?unit=a"), query=(("unit", value),))
    assert refusal(catalogue, odd) == ("parameter-malformed", {"parameter": "unit"})


def test_too_many_values_are_refused(catalogue: Catalogue, tmp_path: Path) -> None:
    wide = shop(tmp_path, changed("op: in, values: [north, south]}", "op: in}"))
    hundred = ",".join(f"u{n}" for n in range(100))
    assert query(wide, f"unit[in]={hundred}").uses == {"/unit"}
    assert refusal(wide, call("GET", f"/shop/buyers?unit[in]={hundred},u100"))[0] == "parameter-malformed"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("phone=1", "phone"),
        ("unit[ge]=a", "unit[ge]"),
        ("Unit=a", "Unit"),
        ("_x=1", "_x"),
        ("@fields=phone", "@fields"),
        ("13812345678=x", "?"),
        ("a13812345678=x", "?"),
        ("%E5%BC%A0=x", "?"),
    ],
)
def test_an_unknown_parameter_is_refused_by_name_unless_the_name_may_be_a_value(
    catalogue: Catalogue, raw: str, told: str
) -> None:
    assert refusal(catalogue, call("GET", f"/shop/buyers?{raw}")) == (
        "parameter-unknown",
        {"parameter": told},
    )


def test_a_parameter_of_another_route_is_unknown(catalogue: Catalogue) -> None:
    assert refusal(catalogue, call("GET", "/shop/buyers/b_1?unit=a")) == (
        "parameter-unknown",
        {"parameter": "unit"},
    )
    assert refusal(catalogue, call("DELETE", "/shop/buyers/b_1?lang=zh")) == (
        "parameter-unknown",
        {"parameter": "lang"},
    )
    assert refusal(catalogue, call("GET", "/shop/buyers/b_1?lang=fr")) == (
        "parameter-malformed",
        {"parameter": "lang", "expected": "en, zh"},
    )


def test_a_fixed_or_paging_parameter_cannot_be_set_by_a_caller(catalogue: Catalogue) -> None:
    for name in ("expand", "size", "page"):
        what = call("GET", f"/shop/buyers/b_1/orders?{name}=9")
        assert refusal(catalogue, what) == ("parameter-unknown", {"parameter": name})


def test_a_parameter_that_stands_twice_is_refused(catalogue: Catalogue) -> None:
    once = call("GET", "/shop/buyers?unit=a")
    twice = replace(once, raw_query="unit=a&unit=b", query=(("unit", "a"), ("unit", "b")))
    assert refusal(catalogue, twice) == ("parameter-malformed", {"parameter": "unit"})


def test_a_query_that_is_not_its_pairs_is_refused(catalogue: Catalogue) -> None:
    once = call("GET", "/shop/buyers?unit=a")
    for odd in (
        replace(once, raw_query="unit=a&x=1"),
        replace(once, raw_query="unit"),
        replace(once, raw_query=""),
    ):
        assert refusal(catalogue, odd)[0] == "target-ambiguous"
    assert refusal(catalogue, replace(once, query=()))[0] == "target-ambiguous"
