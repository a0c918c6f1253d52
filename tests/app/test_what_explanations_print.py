"""What is printed of an explanation: tables, CSV that no spreadsheet runs, facts as they are typed."""

from __future__ import annotations

import csv
import io

import click
import pytest

from gateway.commands.explaining import WHO, as_csv, as_table, facts_of

ROWS = [
    {"who": "app:desk", "through": "app:desk", "purpose": "-", "shown": None},
    {
        "who": "person:https://id.example#=cmd|' /C calc'!A0",
        "through": "app:desk",
        "purpose": "service",
        "shown": "clear",
    },
]


def test_a_table_is_aligned() -> None:
    assert [line.index("app:desk", 10) for line in as_table(ROWS, WHO) if "app:desk" in line[10:]] == [46, 46]


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r", "\n", "\0"])
def test_no_cell_is_a_formula(begins: str) -> None:
    row = {"who": f"{begins}1+1", "through": "a,b", "purpose": 'say "x"', "shown": None}
    made = as_csv([row], WHO)
    (_, cells) = csv.reader(io.StringIO(made, newline=""))
    assert cells == [f"'{begins}1+1", "a,b", 'say "x"', ""]


def test_facts_are_read_as_they_are_typed() -> None:
    given = (
        "unit=branch:shanghai",
        "level=3",
        "open=true",
        "owner=none",
        "tags=[overdue, new]",
        "note=a=b",
        "n=-5",
    )
    assert facts_of(given) == {
        "unit": "branch:shanghai",
        "level": 3,
        "open": True,
        "owner": None,
        "tags": ["overdue", "new"],
        "note": "a=b",
        "n": -5,
    }
    with pytest.raises(click.BadParameter):
        facts_of(("unit",))
