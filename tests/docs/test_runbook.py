"""Whoever is paged finds a section for it: the runbook has one for every alarm and every answer of 500 and more, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.edge import RECORD_SECONDS
from gateway.ending import LEAVE_SECONDS
from gateway.settings import read
from gateway.supervising import HANGS_SECONDS
from gateway.words.errors import STATUS
from gateway.words.record import AlarmKind

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "runbook.md").read_text()
ALARMS, ANSWERS, STARTS = "Alarms", "Answers of 500 and more", "A start is refused"
SIGNALS = "Signals that are no alarm"
PARTS = ("Means", "Withheld", "Look", "Do", "Call")
_SECTION = re.compile(r"^### `([^`]+)`\n(.*?)(?=^##|\Z)", re.M | re.S)


def chapter(title: str) -> str:
    """Everything below one heading of the second level, up to the next."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert found is not None, title
    return found[1]


def sections(title: str) -> list[tuple[str, str]]:
    return _SECTION.findall(chapter(title))


def names(title: str) -> list[str]:
    return [name for name, _ in sections(title)]


def test_every_alarm_has_its_section_and_no_section_names_another() -> None:
    assert sorted(names(ALARMS)) == sorted(kind.value for kind in AlarmKind)


def test_every_answer_of_500_and_more_has_its_section_and_no_section_names_another() -> None:
    assert sorted(names(ANSWERS)) == sorted(code.value for code, status in STATUS.items() if status >= 500)


@pytest.mark.parametrize("title", [ALARMS, ANSWERS, SIGNALS])
def test_every_section_says_what_it_means_what_was_withheld_and_what_to_do(title: str) -> None:
    said = {name: tuple(re.findall(r"^- \*\*(\w+):\*\* \S", text, re.M)) for name, text in sections(title)}
    assert said == dict.fromkeys(said, PARTS)


def test_every_heading_of_the_page_is_looked_at() -> None:
    # A heading in another form would have no name that the tests above compare.
    headings = re.findall(r"^### .*$", PAGE, re.M)
    assert len(headings) == sum(len(sections(title)) for title in (ALARMS, ANSWERS, SIGNALS, STARTS))


def test_a_refused_start_is_found_by_words_of_its_message() -> None:
    source = "\n".join(
        path.read_text() for room in ("gateway", "audit") for path in sorted((ROOT / room).rglob("*.py"))
    )
    source += (ROOT / "gateway" / "text" / "en.toml").read_text()  # what is told in the reader's language
    assert [words for words in names(STARTS) if words not in source] == []


def test_every_log_line_that_is_named_is_written_somewhere() -> None:
    table = chapter("Lines that are no alarm")
    named = {
        name
        for first in re.findall(r"^\| (`[^|]+) \|", table, re.M)
        for name in re.findall(r"`([a-z-]+)`", first.split(" with ")[0])
    }
    source = "\n".join(path.read_text() for path in sorted((ROOT / "gateway").rglob("*.py")))
    assert [name for name in sorted(named) if f'"{name}"' not in source] == []
    assert {"bundle-refused", "loop-failed", "defect", "uncaught"} <= named


def test_the_times_of_a_stop_are_those_of_the_code() -> None:
    named = re.findall(r"^\| `?([A-Z_]+|\d+)`? (?:\(30\)|seconds more) \| ", PAGE, re.M)
    stop = int(read({}).stop_seconds)
    assert named == ["GATEHOUSE_STOP_SECONDS", f"{RECORD_SECONDS:g}", f"{LEAVE_SECONDS:g}"]
    assert f"over after {stop + RECORD_SECONDS + LEAVE_SECONDS:g} seconds" in PAGE
    assert f"is killed {HANGS_SECONDS:g} seconds after" in PAGE
