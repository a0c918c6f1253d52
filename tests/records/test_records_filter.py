"""The word `Filter` means the same in Python, on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Dialect, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.records import CUSTOMER, KINDS, render
from gateway.records.work import insert_all
from gateway.store import Store
from gateway.words.errors import Code, Refused
from gateway.words.filter import Absent, And, Compare, Contains, Eq, Filter, In, Not, Or, Prefix, Text, holds

STAMP = "2026-01-01T00:00:00.000000Z"

# Case, accents in both forms, Chinese, the edges of the code planes, wildcards, quotes, and what looks like our own list format.
TEXTS = [
    *(
        "",
        "a",
        "A",
        "ab",
        "aB",
        "b",
        "é",
        "e\u0301",
        "ß",
        "ss",
        "I",
        "ı",
        "张",
        "张三",
        "张伟",
        "三张",
        "z",
        "10",
        "9",
        "3",
    ),
    *(
        "\ud7ff",
        "\ue000",
        "\uffff",
        "\U00010000",
        "\U0010ffff",
        "\U0010ffffx",
        "a%",
        "a_",
        "a\\",
        "a'",
        'a"',
        ",",
        '","',
        "\n",
        "\x01",
    ),
    *("\n,\n", "s", "sa", "a[", '\n"a"\n', "a ", " a", "null", "true"),
]
LISTS: list[object] = [
    *(
        None,
        [],
        [""],
        ["a"],
        ["A", "张"],
        ["a,", ",b"],
        ["ab", "b"],
        ['a"', "\n"],
        [","],
        ["\x01", "é"],
        ['\n"a"\n'],
        ["a", "a"],
    ),
    *("", "a", "sa", "a[", '\n"a"\n', "张三", "ab"),
]


def rows() -> list[dict[str, object]]:
    """60 customers over every text and list, some with neither name nor unit."""
    made = []
    for number in range(60):
        text = TEXTS[number % len(TEXTS)]
        made.append(
            dict.fromkeys(CUSTOMER.fields)
            | {
                "id": f"cus_{number:02}",
                "version": (1, 2, 3, 10, 2**63 - 1)[number % 5],
                "created_at": STAMP,
                "updated_at": STAMP,
                "name": text,
                "unit": None if number % 4 == 0 else TEXTS[-number % len(TEXTS)],
                "tags": LISTS[number % len(LISTS)],
            }
        )
    return made


ROWS = rows()
FIELD = st.sampled_from(["/name", "/unit", "/tags", "/phone", "/version", "/id"])
TEXT = st.sampled_from([*TEXTS, "a\0", "\0", "张\0", "\0a"]) | st.text("aA张\U0010ffff\0", max_size=3)
NUMBER = st.sampled_from([0, 1, 2, 10, -1, 2**63 - 1, 2**63, -(2**63), 2**70, -(2**70)])
SCALAR = TEXT | NUMBER | st.booleans()
LEAF = st.one_of(
    st.builds(Eq, FIELD, SCALAR),
    st.builds(In, FIELD, st.lists(SCALAR, max_size=4).map(tuple)),
    st.builds(Compare, FIELD, st.sampled_from(["lt", "le", "gt", "ge"]), TEXT | NUMBER),
    st.builds(Prefix, FIELD, TEXT),
    st.builds(Contains, FIELD, TEXT),
    st.builds(Absent, FIELD),
    st.builds(Text, FIELD),
)
FILTER = st.recursive(
    LEAF,
    lambda part: st.one_of(
        st.builds(Not, part),
        st.builds(And, st.lists(part, max_size=3).map(tuple)),
        st.builds(Or, st.lists(part, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@pytest.fixture
async def filled(store: Store) -> Store:
    await store.write(lambda c: insert_all(c, CUSTOMER, ROWS))
    return store


async def in_sql(store: Store, what: Filter) -> set[str]:
    statement = select(CUSTOMER.table.c.id).where(render(what, CUSTOMER))
    return set(await store.read(lambda c: list(c.execute(statement).scalars())))


def in_python(what: Filter) -> set[str]:
    return {str(row["id"]) for row in ROWS if holds(what, lambda pointer, row=row: row[pointer[1:]])}


# The table is filled once and only read: sharing it between examples is what is meant.
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(what=FILTER)
async def test_a_filter_chooses_the_same_records_in_sql_as_in_python(filled: Store, what: Filter) -> None:
    assert await in_sql(filled, what) == in_python(what)


async def test_every_leaf_agrees_for_every_text(filled: Store) -> None:
    for text in [*TEXTS, "a\0", "\0"]:
        for field in ("/name", "/tags"):
            leaves: list[Filter] = [Eq(field, text), Prefix(field, text), Contains(field, text)]
            leaves += [Compare(field, op, text) for op in ("lt", "le", "gt", "ge")]
            for leaf in leaves:
                assert await in_sql(filled, leaf) == in_python(leaf), leaf


async def test_a_text_that_can_be_a_fact_is_counted_in_characters(store: Store) -> None:
    texts = ["a" * 4096, "a" * 4097, "张" * 4096, "张" * 4097, "\U0001f600" * 4096, "\U0001f600" * 4097]
    made = [{**ROWS[0], "id": f"cus_{n}", "name": text, "tags": text} for n, text in enumerate(texts)]
    made.append({**ROWS[0], "id": "cus_list", "name": None, "tags": ["a"]})
    await store.write(lambda c: insert_all(c, CUSTOMER, made))
    for field in ("/name", "/tags"):
        assert await in_sql(store, Text(field)) == {"cus_0", "cus_2", "cus_4"}


async def test_null_matches_only_absent_and_not_is_two_valued(filled: Store) -> None:
    absent = {str(row["id"]) for row in ROWS if row["unit"] is None}
    assert len(absent) == 15
    assert await in_sql(filled, Absent("/unit")) == absent
    assert await in_sql(filled, Eq("/unit", "")) & absent == set()
    assert await in_sql(filled, Not(Eq("/unit", "a"))) >= absent
    assert len(await in_sql(filled, And(()))) == 60
    assert await in_sql(filled, Or(())) == set()


@pytest.mark.parametrize("field", ["name", "/nothing", "/tags/0", "/tags/*", "", "/", "/name/", "//name"])
def test_a_field_that_the_kind_has_not_is_refused(field: str) -> None:
    with pytest.raises(Refused) as caught:
        render(Eq(field, "x"), CUSTOMER)
    assert caught.value.code is Code.FIELD_UNKNOWN


def test_a_value_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        render(Eq("/name", "\ud800"), CUSTOMER)
    assert caught.value.code is Code.VALUE_REFUSED


@pytest.mark.parametrize("dialect", [postgresql.dialect(), sqlite.dialect()], ids=["postgresql", "sqlite"])
def test_values_travel_as_parameters_and_never_as_sql(dialect: Dialect) -> None:
    what = And(
        (Eq("/name", "x' OR 1=1 --"), Contains("/tags", "x' OR 1=1 --"), Prefix("/unit", "x' OR 1=1 --"))
    )
    assert "1=1" not in str(render(what, CUSTOMER).compile(dialect=dialect))


def test_every_field_of_every_kind_can_be_asked() -> None:
    for kind in KINDS.values():
        for field in kind.fields:
            assert render(Absent(f"/{field}"), kind) is not None
