"""docs/idempotency.md is what applications read: each status, code, result and header that it names is one."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.corridor.settle import Result
from gateway.idempotency import KEPT
from gateway.idempotency.claims import MAX_CHARACTERS, read_key
from gateway.words.errors import STATUS, Code

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "idempotency.md").read_text()


def test_each_code_has_the_status_that_the_page_gives_it() -> None:
    named = re.findall(r"(\d{3}) `([a-z]+(?:-[a-z]+)+)`", PAGE)
    assert len(named) >= 6
    assert [(STATUS[Code(code)], code) for _, code in named] == [
        (int(status), code) for status, code in named
    ]


def test_every_code_about_keys_is_on_the_page() -> None:
    assert [
        code for code in Code if code.value.startswith("idempotency") and f"`{code.value}`" not in PAGE
    ] == []


def test_results_bounds_and_the_example_are_as_in_the_code() -> None:
    assert re.findall(r"`(not-done|unknowable)`", PAGE) == [Result.NOT_DONE.value, Result.UNKNOWABLE.value]
    assert f"{int(KEPT.total_seconds() // 3600)} hours" in PAGE
    assert f"1 to {MAX_CHARACTERS} visible" in PAGE
    (example,) = re.findall(r"^Idempotency-Key: (.*)$", PAGE, re.M)
    assert read_key(example) == example.strip('"')
