"""What the command line prints: in the language that is set for people, in the same words for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway import cli, demo
from gateway.app import open_house
from gateway.commands import audit
from gateway.keys import AssertionKey, Keyring, from_file
from gateway.keys.material import add_version
from gateway.settings import read
from gateway.text import Language
from gateway.trail.reading import MAX_ENTRIES
from gateway.words.errors import Misconfigured


def settings(home: Path) -> dict[str, str]:
    return {"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0"}


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    chosen = read(settings(tmp_path))
    demo.prepare(chosen)
    async with open_house(chosen):
        pass
    return tmp_path


def printed(home: Path, *words: str, language: str = "en") -> Result:
    return CliRunner().invoke(cli.group, words, env=settings(home) | {"GATEHOUSE_LANGUAGE": language})


@pytest.mark.parametrize(
    "words",
    [
        ("doctor",),
        ("audit", "verify"),
        ("audit", "verify", "--receipt", f"1:{'0' * 64}"),
        ("audit", "verify", "--receipt", f"2:{'0' * 64}"),
        ("keys", "status"),
    ],
)
def test_people_read_their_language_and_scripts_always_the_same(home: Path, words: tuple[str, ...]) -> None:
    english, chinese = (printed(home, *words, language=language).stdout for language in ("en", "zh"))
    assert english.isascii()
    assert all(not line.isascii() for line in chinese.splitlines())
    in_english, in_chinese = (
        json.loads(printed(home, *words, "--json", language=language).stdout) for language in ("en", "zh")
    )
    assert in_english == in_chinese


def test_a_check_that_ended_early_does_not_say_how_long_the_log_is(home: Path) -> None:
    told = printed(home, "audit", "verify", "--receipt", f"2:{'0' * 64}").stdout
    assert "1 of the 2 entries that the head row names" in told
    assert not [line for line in told.splitlines() if line.startswith("entries")]


def test_the_verifier_alone_says_the_same_as_the_command(home: Path) -> None:
    from audit.verify import text, verify_sqlite  # noqa: PLC0415 - beside the command, which has a text of its own

    for receipt in ((), (f"1:{'0' * 64}",), (f"2:{'0' * 64}",), (f"9:{'0' * 64}",)):
        report = verify_sqlite(home / "audit.sqlite", receipt)
        assert audit.report_text(report, Language.ENGLISH) == text(report)


def test_of_the_keys_the_newest_wraps_and_the_others_only_open(home: Path) -> None:
    add_version(home / "keys.json")
    old, new = printed(home, "keys", "status").stdout.splitlines()
    assert (old.split()[:2], old.endswith("only opens")) == (["version", "1"], True)
    assert (new.split()[:2], new.endswith("wraps")) == (["version", "2"], True)
    in_chinese = printed(home, "keys", "status", language="zh").stdout
    assert not [word for word in ("version", "made", "wraps", "opens") if word in in_chinese]


@pytest.mark.parametrize("limit", ["0", "-5", "99999999"])
def test_a_limit_out_of_its_range_is_named_with_the_range(home: Path, limit: str) -> None:
    refused = printed(home, "audit", "tail", "--limit", limit)
    assert refused.exit_code == 2
    assert f"1<=x<={audit.MOST}" in refused.stderr
    assert "--limit" in refused.stderr
    assert f"1<=x<={audit.MOST}" in printed(home, "audit", "tail", "--help").stdout


def test_the_range_is_what_the_running_house_gives() -> None:
    assert audit.MOST == MAX_ENTRIES


@pytest.mark.postgres
def test_stores_on_postgresql_are_made_once_and_stores_in_files_not_by_this(
    postgres: str, tmp_path: Path
) -> None:
    given = settings(tmp_path) | {"GATEHOUSE_DATABASE_URL": postgres}
    told = [CliRunner().invoke(cli.group, ["stores", "prepare"], env=given).stdout for _ in range(2)]
    assert told == ["Three new stores.\n", "The stores are at this program's revision.\n"]
    refused = printed(tmp_path, "stores", "prepare").exception
    assert isinstance(refused, Misconfigured)
    assert "stores in files are made by `gatehouse run` itself" in str(refused)


def test_the_keys_of_assertions_are_printed_as_one_set(home: Path) -> None:
    said = printed(home, "keys", "assertions")
    expected = AssertionKey(Keyring(from_file(read(settings(home)).keys))).jwks()
    assert (said.exit_code, json.loads(said.stdout)) == (0, expected)
