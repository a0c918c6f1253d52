"""What every command tells the shell: 0 done or intact, 1 checked and found wanting, 2 could not be done."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway import demo
from gateway.app import open_house
from gateway.settings import ROOT, read
from tests.app.shell import gatehouse

GATEHOUSE = Path(sys.executable).with_name("gatehouse")


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    place = tmp_path / "home"
    chosen = read({"GATEHOUSE_HOME": str(place), "GATEHOUSE_PORT": "0"})
    demo.prepare(chosen)
    async with open_house(chosen):
        pass
    return place


def found(home: Path, *words: str, **more: str) -> Any:
    """Gives the JSON of a check that found something wanting."""
    code, said = gatehouse(home, *words, "--json", **more)
    assert code == 1
    return json.loads(said)


def policies(place: Path) -> Path:
    return Path(shutil.copytree(ROOT / "policies", place / "policies"))


def test_the_installed_command_is_that_entry_point_and_tells_the_shell(home: Path, tmp_path: Path) -> None:
    for place, code in ((home, 0), (tmp_path / "empty", 1)):
        said = subprocess.run(
            [GATEHOUSE, "doctor", "--json"],
            env=os.environ | {"GATEHOUSE_HOME": str(place), "GATEHOUSE_PORT": "0", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (said.returncode, said.stderr) == (code, "")
        assert (code, said.stdout) == gatehouse(place, "doctor", "--json")


def test_a_log_that_was_changed_is_found_wanting(home: Path) -> None:
    assert gatehouse(home, "audit", "verify")[0] == 0
    copy = home.parent / "copy.sqlite"
    shutil.copy(home / "audit.sqlite", copy)
    with sqlite3.connect(copy) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_master WHERE type = 'trigger'")
    with sqlite3.connect(copy) as connection:
        connection.execute(
            "UPDATE entries SET body = CAST(replace(CAST(body AS TEXT), 'start', 'stark') AS BLOB) WHERE seq = 1"
        )
    code, said = gatehouse(home, "audit", "verify", "--file", str(copy))
    assert (code, "BROKEN" in said) == (1, True)
    assert found(home, "audit", "verify", "--file", str(copy))["intact"] is False


def test_a_receipt_that_the_log_does_not_hold_is_found_wanting(home: Path) -> None:
    wrong = f"1:{'0' * 64}"
    assert gatehouse(home, "audit", "verify", "--receipt", wrong)[0] == 1
    assert found(home, "audit", "verify", "--receipt", wrong)["found"]["kind"] == "rewritten"


def test_what_cannot_be_verified_is_refused(home: Path) -> None:
    assert gatehouse(home, "audit", "verify", "--file", "nowhere.sqlite")[0] == 2
    assert gatehouse(home, "audit", "verify", "--receipt", "no receipt")[0] == 2


def test_a_policy_that_run_would_refuse_is_found_wanting(home: Path, tmp_path: Path) -> None:
    assert gatehouse(home, "policy", "check")[0] == 0
    folder = policies(tmp_path)
    with (folder / "policy.csv").open("a") as rules:
        rules.write("p, nobody\n")
    assert gatehouse(home, "policy", "check", str(folder))[0] == 1
    assert found(home, "policy", "check", str(folder))[0]["file"] == "policy.csv"
    assert gatehouse(home, "policy", "check", "nowhere")[0] == 2


def test_a_catalogue_that_run_would_refuse_is_found_wanting(home: Path, tmp_path: Path) -> None:
    assert gatehouse(home, "catalogue", "check")[0] == 0
    folder = policies(tmp_path)
    (folder / "catalogue" / "more.yaml").write_text("upsteam: known\n")
    assert gatehouse(home, "catalogue", "check", str(folder / "catalogue"))[0] == 1
    told = found(home, "catalogue", "check", str(folder / "catalogue"))
    assert {(one["file"], one["line"]) for one in told} == {("more.yaml", 1)}
    assert {tuple(one) for one in told} == {("file", "line", "what", "do")}
    assert all(one["what"] and one["do"] for one in told)
    code, said = gatehouse(home, "policy", "check", str(folder))
    assert code == 1
    assert said.startswith("catalogue/more.yaml:1: error: ")
    assert "?." not in said
    assert ".." not in said
    assert found(home, "policy", "check", str(folder))[0]["file"] == "catalogue/more.yaml"
    assert gatehouse(home, "catalogue", "check", "nowhere")[0] == 2


def test_a_machine_where_something_is_missing_is_found_wanting(home: Path, tmp_path: Path) -> None:
    assert gatehouse(home, "doctor")[0] == 0
    code, said = gatehouse(tmp_path / "empty", "doctor")
    assert (code, "MISSING" in said) == (1, True)
    assert [check["what"] for check in found(tmp_path / "empty", "doctor") if not check["good"]]


@pytest.mark.parametrize("words", ["run", "audit tail", "keys status"])
def test_what_an_empty_home_cannot_do_is_refused(tmp_path: Path, words: str) -> None:
    assert gatehouse(tmp_path / "empty", *words.split())[0] == 2


def test_keys_are_made_once(home: Path, tmp_path: Path) -> None:
    assert gatehouse(tmp_path / "empty", "keys", "create")[0] == 0
    assert gatehouse(tmp_path / "empty", "keys", "create")[0] == 2
    assert gatehouse(home, "keys", "status")[0] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--help", 0),
        ("--version", 0),
        ("audit verify --help", 0),
        ("", 2),
        ("nothing", 2),
        ("doctor --nothing", 2),
    ],
)
def test_a_misuse_is_refused(tmp_path: Path, words: str, code: int) -> None:
    assert gatehouse(tmp_path, *words.split())[0] == code


@pytest.mark.parametrize(
    "words", ["demo", "doctor", "audit verify", "policy check", "catalogue check", "keys status"]
)
def test_a_setting_that_is_not_known_is_refused(tmp_path: Path, words: str) -> None:
    expected = 1 if words == "doctor" else 2
    assert gatehouse(tmp_path / "empty", *words.split(), GATEHOUSE_POTR="1")[0] == expected


def test_a_defect_is_said_by_its_kind_and_place_and_never_by_its_text(tmp_path: Path) -> None:
    """A message may quote what it fell over: a password in an address, a line of somebody's file."""
    program = (
        "from gateway import cli\n"
        "def group(**_):\n    raise ValueError('geheim')\n"
        "cli.group = group\ncli.main()\n"
    )
    for language, words in (("en", "a defect of the program"), ("zh", "程序缺陷")):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(ROOT), "GATEHOUSE_LANGUAGE": language},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 2
        assert words in said
        assert "ValueError" in said
        assert "geheim" not in said
        assert "Traceback" not in said


def test_peers_are_printed_as_they_are_written(tmp_path: Path) -> None:
    code, said = gatehouse(tmp_path, "settings", GATEHOUSE_TRACE_PEERS="10.1.0.0/16, 10.2.3.4")
    assert code == 0
    assert "GATEHOUSE_TRACE_PEERS = 10.1.0.0/16,10.2.3.4/32" in said
