"""One catalogue in two languages: the same keys, the same placeholders, none missing and none unused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.text import Language, pick_language, text
from gateway.text.catalogue import PLACEHOLDER, load
from gateway.text.problems import NEXT_INSTEAD, NEXT_WHERE_NAMED
from gateway.words.errors import Code

GATEWAY = Path(__file__).resolve().parents[2] / "gateway"
PROBLEMS = (
    {f"problem.{code.value}.{part}" for code in Code for part in ("title", "next")}
    | set(NEXT_INSTEAD.values())
    | set(NEXT_WHERE_NAMED.values())
)


def test_both_languages_have_the_same_keys() -> None:
    assert sorted(load(Language.ENGLISH)) == sorted(load(Language.CHINESE))


def test_both_languages_have_the_same_placeholders() -> None:
    english, chinese = load(Language.ENGLISH), load(Language.CHINESE)
    placeholders = {key: set(PLACEHOLDER.findall(value)) for key, value in english.items()}
    assert placeholders == {key: set(PLACEHOLDER.findall(value)) for key, value in chinese.items()}


def test_every_problem_says_what_is_wrong_and_what_to_do_and_no_other_is_described() -> None:
    assert {key for key in load(Language.ENGLISH) if key.startswith("problem.")} == PROBLEMS


def test_problem_texts_need_no_parameters() -> None:
    assert [key for key in PROBLEMS for language in Language if PLACEHOLDER.search(load(language)[key])] == []


def test_every_other_text_is_used_by_its_whole_key() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in GATEWAY.rglob("*.py"))
    others = load(Language.ENGLISH).keys() - PROBLEMS
    assert sorted(key for key in others if f'"{key}"' not in source) == []


def test_chinese_is_chinese_and_english_is_english() -> None:
    han = re.compile(r"[\u4e00-\u9fff]")
    # Elsewhere a text may be a command to copy, the same in both.
    assert [key for key in PROBLEMS if not han.search(load(Language.CHINESE)[key])] == []
    assert [key for key, value in load(Language.ENGLISH).items() if han.search(value)] == []


def test_a_text_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        text("problem.nothing.title", Language.ENGLISH)


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh", "zh-Hans"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("en;q=0.5, zh-Hant-TW;q=0.6", "zh-Hans"),
        ("fr-FR, zh;q=0.1", "zh-Hans"),
        ("fr, de", "en"),
        ("*", "en"),
        ("zh;q=0", "en"),
        ("zh;q=0, *", "en"),
        ("ZH-cn", "zh-Hans"),
        ("zh;q=nonsense", "en"),
        ("zh;q=2", "en"),
        ("zh;q=1.5,en;q=0.1", "en"),
        ("zh_CN", "en"),
        ("," * 10_000 + "zh", "en"),
        ("\x00", "en"),
    ],
)
def test_the_language_that_is_preferred_most_is_picked(accept: str | None, language: str) -> None:
    assert pick_language(accept).value == language
