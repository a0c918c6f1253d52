"""The threat model speaks of each of the eleven invariants, and hides of none what it does not give."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from gateway.corridor.late import MONTH
from gateway.identity.attempts import BURST, EACH_SECONDS
from gateway.identity.jwks import USABLE
from gateway.identity.token import MAX_AGE
from gateway.settings import read
from gateway.wire.limits import DEFAULT_LIMITS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "threat-model.md").read_text()


def test_each_of_the_eleven_invariants_says_what_it_does_not_give() -> None:
    sections = re.findall(r"^### (\d+)\. .*?\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    assert [int(number) for number, _ in sections] == list(range(1, 12))
    assert [number for number, text in sections if "**Does not give:**" not in text] == []


def test_the_numbers_that_it_names_are_those_of_the_code() -> None:
    plain = " ".join(PAGE.split())
    assert f"connections ({DEFAULT_LIMITS.max_connections:,} a process)" in plain
    assert timedelta(minutes=15) == MAX_AGE
    assert "good for up to 15 minutes after it was issued" in plain
    assert "ten in a row, then one every six seconds" in plain
    assert (BURST, EACH_SECONDS) == (10, 6.0)
    assert timedelta(hours=1) == USABLE
    assert "stops answering for up to an hour" in plain
    assert timedelta(days=30) == MONTH
    assert "still found for 30 days" in plain
    assert f"less than {read({}).disk_floor_bytes // 1024**2} MiB are free" in plain
