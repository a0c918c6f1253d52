"""`make example-roundup`, as it is typed: it serves, brings people in, prints lines that work, stops cleanly, and can be repeated."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from examples.roundup.people import ISSUES, PEOPLE
from examples.roundup.seed import Seeder
from examples.roundup.start import PORT, lines
from examples.roundup.upstream import ROOT, answers, install
from tests.campaign.counts import in_proof_alone
from tests.roundup.world import World


def test_the_people_come_in_through_the_gateway_once_and_the_lines_work(world: World, tmp_path: Path) -> None:
    port = int(world.gateway.base.rpartition(":")[2])
    told: list[str] = []
    note = tmp_path / "seeded.json"
    ids = Seeder(port, world.keys["importer"], note).seed(told.append)
    assert len(told) == len(ids) == len(PEOPLE) + len(ISSUES) + sum(len(issue.messages) for issue in ISSUES)
    for person in PEOPLE:
        world.planted += [person.realname, person.phone, person.email]
    for issue in ISSUES:
        world.planted += [issue.title, *issue.messages]
    # As an interrupted run leaves it: the customers are there, and nobody noted them.
    note.unlink()
    again = Seeder(port, world.keys["importer"], note).seed(told.append)
    assert {name: again[name] for name in ids if name.startswith("c-")} == {
        name: ids[name] for name in ids if name.startswith("c-")
    }
    assert_works([run(line) for line in lines(f"{world.gateway.base}/tracker", world.keys, ids)])


@in_proof_alone("the whole command, twice")
def test_the_example_serves_stops_cleanly_and_can_be_repeated() -> None:
    with tempfile.TemporaryDirectory(prefix="gh-example-") as folder:
        home = Path(folder)
        (home / "roundup").mkdir()
        install(ROOT / "var" / "roundup" / "venv", print)
        (home / "roundup" / "venv").symlink_to(ROOT / "var" / "roundup" / "venv")
        with example(home) as printed:
            said = [run(line) for line in printed]
        assert_works(said)
        with example(home) as printed:
            agent, supervisor, auditor = (run(line)["data"] for line in printed[:3])
        assert agent["id"] == supervisor["id"] == auditor["id"] == said[0]["data"]["id"]
        assert supervisor["attributes"]["phone"] == "13800139999"  # what the first run's line set
        assert not answers(PORT)


def assert_works(said: list[dict[str, Any]]) -> None:
    """What the example's lines must give, in their order."""
    agent, supervisor, auditor = (answer["data"]["attributes"] for answer in said[:3])
    person = next(person for person in PEOPLE if person.username == agent["username"])
    assert (supervisor["realname"], supervisor["phone"]) == (person.realname, person.phone)
    assert (agent["realname"], agent["phone"]) == (person.realname, "138****1001")
    assert (auditor["realname"], auditor["phone"][:4]) == ("王*", "tok_")
    assert said[3]["data"]["collection"]
    assert said[4]["data"]["attributes"]["content"] == ISSUES[0].messages[0]
    assert said[5]["data"]["attributes"]["content"] == "***"
    assert said[6] == {}
    assert said[7]["data"]["attributes"]["phone"] == "13800139999"
    assert [answer.get("status") for answer in said[8:]] == [405, 404]


@contextmanager
def example(home: Path) -> Iterator[list[str]]:
    """Starts it, gives the lines that it prints, and stops it as Ctrl-C does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.roundup.start"],
        env=environment | {"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed: list[str] = []

    def drain() -> None:
        assert process.stdout is not None
        with process.stdout:
            printed.extend(process.stdout)

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        deadline = time.monotonic() + 90
        while not any("Ctrl-C" in line for line in printed):
            assert process.poll() is None, "".join(printed)
            assert time.monotonic() < deadline, "".join(printed)
            time.sleep(0.05)
        yield [line.strip() for line in printed if line.startswith("curl ")]
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0, "".join(printed)
        assert not any(re.search(r"Traceback|uncaught", line) for line in printed), "".join(printed)
    finally:
        process.kill()
        process.wait()
        reader.join()


def run(line: str) -> dict[str, Any]:
    """Runs one line as a shell would, and gives its JSON (empty for an answer without a body)."""
    done = subprocess.run(shlex.split(line), capture_output=True, text=True, timeout=60, check=True)
    answered: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return answered
