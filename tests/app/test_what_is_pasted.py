"""What a start prints for the operator: places that he finds and command lines that work when pasted, beside the running house."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from examples.roundup import start, upstream
from gateway import cli, demo
from gateway.app import House, open_house
from gateway.edge import Listener, Server
from gateway.serving import _welcome, pasted
from gateway.settings import ROOT, read
from gateway.text import Language, place, text
from tests.app.asking import ask

GATEHOUSE = Path(sys.executable).with_name("gatehouse")


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A house in a folder that a shell would have to quote, started as an operator starts it, in his own folder."""
    for name in [name for name in os.environ if name.startswith("GATEHOUSE_")]:
        monkeypatch.delenv(name)
    given = {"GATEHOUSE_HOME": str(tmp_path / "the home"), "GATEHOUSE_PORT": "0"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "argv", [str(GATEHOUSE), "demo"])
    monkeypatch.chdir(tmp_path)
    chosen = read(given)
    issuer = demo.prepare(chosen)
    async with open_house(chosen, issuers=(issuer.terms(),)) as opened:
        yield opened


async def welcome(house: House) -> dict[str, str]:
    """What a start prints, by the text's key (the last where there are several)."""
    printed: dict[str, str] = {}

    def say(key: str, **params: str | int) -> None:
        printed[key] = text(key, Language.ENGLISH, **params)

    server = Server([Listener("127.0.0.1", 0, house.doors()[0])])
    keys = await demo.credentials(house)
    _welcome(server, house, keys, demo.prepare(house.settings), demo.Example("none", None), say)
    server.close()
    return printed


async def shell(line: str) -> tuple[int, str]:
    """Pastes a line."""
    done = await asyncio.to_thread(
        lambda: subprocess.run(  # a shell is what it is pasted into
            line, shell=True, capture_output=True, text=True, timeout=60, check=False
        )
    )
    return done.returncode, done.stdout + done.stderr


def command_of(line: str) -> str:
    return line.split(": ")[-1]


async def test_the_printed_line_that_verifies_works_when_pasted(house: House) -> None:
    line = command_of((await welcome(house))["demo.verify"])
    code, said = await shell(line)
    assert (code, said.splitlines()[0].split()[0]) == (0, "log")
    assert (await house.log.head()).log in said


async def test_the_desks_token_has_an_end_and_a_command_for_another_beside_the_running_house(
    house: House,
) -> None:
    now = datetime.now(UTC)
    printed = await welcome(house)
    until = datetime.strptime(
        f"{now.date()} {printed['demo.until'].split()[7]} +0000", "%Y-%m-%d %H:%M:%S %z"
    )
    assert timedelta(minutes=14) < (until - now) % timedelta(days=1) <= timedelta(minutes=15, seconds=5)
    code, token = await shell(command_of(printed["demo.until"]))
    assert code == 0
    desk = (await demo.credentials(house))["desk"]
    reply = await ask(
        house,
        "GET",
        "/crm/customers?limit=1",
        desk,
        gatehouse_purpose="service",
        gatehouse_person=token.strip(),
    )
    assert reply.status == 200
    told = json.loads((await shell(command_of(printed["demo.until"]) + " --json"))[1])
    assert datetime.fromisoformat(told["until"]) > now + timedelta(minutes=14)


async def test_without_a_demonstration_there_is_no_token_and_nothing_is_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = CliRunner().invoke(cli.group, ["demo-token"], env={"GATEHOUSE_HOME": str(home)})
    assert f"no demonstration in {home}" in str(done.exception.problems)  # type: ignore[union-attr]  # main prints it
    assert not home.exists()


async def test_what_lies_below_the_folder_is_named_from_there_and_all_else_whole(house: House) -> None:
    assert "lies under the home/" in (await welcome(house))["demo.more"]
    os.chdir("/")
    assert f"lies under {house.settings.home}/" in (await welcome(house))["demo.more"]
    on_postgresql = replace(house, settings=replace(house.settings, database_url="postgresql://u:secret@h/d"))
    printed = await welcome(on_postgresql)
    assert "demo.more" not in printed
    assert "GATEHOUSE_DATABASE_URL" in printed["demo.more-postgresql"]
    assert "with GATEHOUSE_DATABASE_URL set" in printed["demo.verify-postgresql"]
    assert not [line for line in printed.values() if "secret" in line]
    assert place(Path("/a/b"), Path("/a")) == "b"
    assert place(Path("/ab/c"), Path("/a")) == "/ab/c"


def test_a_pasted_command_holds_no_secret_and_the_name_alone_where_the_shell_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GATEHOUSE_DATABASE_URL", "postgresql://me:secret@db/x")
    monkeypatch.setenv("GATEHOUSE_AUDIENCE", "two words")
    monkeypatch.setenv("PATH", str(GATEHOUSE.parent))
    monkeypatch.setattr(sys, "argv", [str(GATEHOUSE)])
    line = pasted("audit", "verify")
    assert "secret" not in line
    assert "GATEHOUSE_AUDIENCE='two words'" in line
    assert line.endswith(" gatehouse audit verify")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(GATEHOUSE.parent)
    assert pasted("doctor").endswith(" ./gatehouse doctor")


def test_refusals_name_the_whole_path_and_what_to_do(tmp_path: Path) -> None:
    home = tmp_path / "home"
    env = {"GATEHOUSE_HOME": str(home)}
    missing = CliRunner().invoke(cli.group, ["keys", "status"], env=env).exception
    assert str(home / "keys.json") in missing.problems[0]  # type: ignore[union-attr]  # main prints it
    assert "`gatehouse keys create`" in missing.problems[0]  # type: ignore[union-attr]  # as above
    no_log = CliRunner().invoke(cli.group, ["audit", "verify"], env=env).exception
    assert str(home / "audit.sqlite") in no_log.problems[0]  # type: ignore[union-attr]  # as above
    assert str(home / "keys.json") in CliRunner().invoke(cli.group, ["keys", "create"], env=env).stdout
    assert str(home / "keys.json") in str(
        CliRunner().invoke(cli.group, ["keys", "create"], env=env).exception.problems  # type: ignore[union-attr]  # as above
    )


def test_the_example_names_whole_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(upstream, "_run", lambda _: (_ for _ in ()).throw(upstream.Failed("no installing")))
    with pytest.raises(upstream.Failed):
        upstream.install(tmp_path / "roundup" / "venv", said.append)
    assert f"installing Roundup into {tmp_path}/roundup/venv " in said[0]
    monkeypatch.setattr(start, "say", said.append)
    monkeypatch.setattr(start.Seeder, "seed", lambda *_: dict.fromkeys(("c-1001", "i-1", "m-1-1"), "1"))
    keys = dict.fromkeys(("importer", "agent", "supervisor", "auditor", "agent-beijing"), "gh_x")
    start.welcome(8080, keys, tmp_path / "roundup")
    assert f"and {tmp_path}/roundup/data." in said[-1]
