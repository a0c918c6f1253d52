"""`gatehouse audit tail` on PostgreSQL: no socket is there, so the command is one more process, and its look is an entry like any other."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from gateway import demo
from gateway.app import open_house
from gateway.keys import create_key_file
from gateway.settings import read
from tests.app.shell import gatehouse

pytestmark = pytest.mark.postgres


def tail(database: dict[str, str], *words: str) -> tuple[int, str]:
    given = {
        name: value for name, value in database.items() if name not in ("GATEHOUSE_HOME", "GATEHOUSE_PORT")
    }
    return gatehouse(Path(database["GATEHOUSE_HOME"]), *words, **given)


async def ran(database: dict[str, str]) -> None:
    async with open_house(read(database)):
        pass


@pytest.fixture
def database(postgres: str, fresh_dir: Path) -> dict[str, str]:
    home = fresh_dir / "home"
    environment = {"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0", "GATEHOUSE_DATABASE_URL": postgres}
    demo.prepare(read(environment))
    return environment


async def test_the_log_is_read_beside_the_one_that_serves_and_the_look_is_an_entry(
    database: dict[str, str],
) -> None:
    async with open_house(read(database)) as house:
        before = (await house.log.head()).seq
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from gateway.cli import main; main()", "audit", "tail", "--json", "--limit", "2",
            env=os.environ | database, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said = (await command.communicate())[0].decode()
        assert command.returncode == 0
        assert [json.loads(line)["seq"] for line in said.splitlines()] == [before - 1, before]
        (look,) = await house.log.entries(before, 10)
        entry = json.loads(look.bytes)
        assert (entry["kind"], entry["action"]) == ("served", "audit:read")
        assert (entry["principal"]["application"], entry["principal"]["proven"]) == (
            "system:operator",
            ["database-login"],
        )
        assert (entry["purpose"], entry["decision"]["bundle"]) == ("audit", house.bundles.digest)
        assert json.loads(look.parts[0].body)["reference"] == f"{before - 1}-{before}"


def test_it_needs_no_running_gateway_but_one_that_ran_and_its_own_keys(
    database: dict[str, str],
) -> None:
    code, said = tail(database, "audit", "tail")
    assert (code, "gatehouse stores prepare" in said) == (2, True), said
    asyncio.run(ran(database))
    assert (tail(database, "audit", "tail"))[0] == 0
    keys = Path(database["GATEHOUSE_HOME"]) / "keys.json"
    keys.unlink()
    create_key_file(keys)
    code, said = tail(database, "audit", "tail")
    assert (code, "is not the one that these stores were written with" in said) == (2, True), said


@pytest.mark.parametrize(
    "words", [("audit", "replay", "1"), ("policy", "history"), ("policy", "what-can", "app:desk")], ids=str
)
def test_what_only_the_running_process_can_answer_does_not_call_it_absent(
    database: dict[str, str], words: tuple[str, ...]
) -> None:
    code, said = tail(database, *words)
    assert (code, "offers commands no socket" in said, "no gateway is running" in said) == (2, True, False), (
        said
    )


def test_a_socket_that_is_off_is_no_gateway_that_does_not_run(fresh_dir: Path) -> None:
    code, said = gatehouse(fresh_dir / "home", "audit", "tail", GATEHOUSE_SOCKET="off")
    assert (code, "GATEHOUSE_SOCKET is off" in said, "no gateway is running" in said) == (2, True, False), (
        said
    )
