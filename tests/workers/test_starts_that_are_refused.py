"""A start with workers that cannot be: told once, with what to do, and nobody is left running."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from gateway import demo
from gateway.doctor import examine
from gateway.settings import ROOT, read
from gateway.text import Language
from tests.app.shell import gatehouse
from tests.campaign.counts import in_proof_alone
from tests.campaign.faults.estate import GUARDED
from tests.conftest import PostgresServer
from tests.workers.several import prepared, started

HASTY = (
    "import functools, gateway.supervising as s\n"
    "s.supervise = functools.partial(s.supervise, pace=s.Pace(first=0.1, most=0.2, failures=2))\n" + GUARDED
)
"""The same program in a hurry: it gives up after two starts, not five."""


def run(settings: Mapping[str, str], *words: str) -> tuple[int, str]:
    """Gives the exit code of a start and everything that it printed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, *words],
        env=plain | {"PYTHONPATH": str(ROOT), "GATEHOUSE_PORT": "0"} | dict(settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("language", "spoken", "word"),
    [("en", Language.ENGLISH, "needs PostgreSQL"), ("zh", Language.CHINESE, "需要 PostgreSQL")],
)
def test_stores_in_files_belong_to_one_process(
    tmp_path: Path, language: str, spoken: Language, word: str
) -> None:
    spoken_here = {"GATEHOUSE_LANGUAGE": language}
    home = {"GATEHOUSE_HOME": str(tmp_path / "home"), **spoken_here}
    demo.prepare(read(home))
    for words, more in ((("run", "--workers", "2"), {}), (("run",), {"GATEHOUSE_WORKERS": "2"})):
        code, said = gatehouse(tmp_path / "home", *words, **spoken_here, **more)
        assert (code, said.count("\n")) == (2, 1)
        assert word in said
    wanting = [check for check in examine(home | {"GATEHOUSE_WORKERS": "2"}, spoken) if not check.good]
    assert len(wanting) == 1
    assert word in wanting[0].todo
    assert os.listdir(tmp_path / "home") != []
    assert not list((tmp_path / "home").glob("*.sqlite"))


def test_what_is_no_number_of_workers_is_refused(tmp_path: Path) -> None:
    for number in ("0", "65", "many"):
        code, said = gatehouse(tmp_path, "run", GATEHOUSE_WORKERS=number)
        assert (code, said.count("\n")) == (2, 1)
        assert "1 to 64" in said
        assert gatehouse(tmp_path, "run", "--workers", number)[0] == 2


@pytest.mark.parametrize(
    "handed", ["", "1", "1:run_x:3:4", f"1:run_{'0' * 26}:9998:9999", f"0:run_{'0' * 26}:0:1"]
)
def test_what_a_parent_hands_its_workers_is_nothing_for_people(tmp_path: Path, handed: str) -> None:
    code, said = gatehouse(tmp_path, "run", "--worker", handed)
    assert (code, said.count("\n")) == (2, 1)
    assert "leave it away" in said


@pytest.mark.postgres
async def test_a_start_that_is_refused_is_told_once_and_leaves_nobody(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    async with prepared(fresh_dir, postgres_server) as (_, estate):
        settings = {**estate.settings, "GATEHOUSE_HOME": str(estate.home)}
        # The bundle in force is kept, whatever lies in the folder; what it needs is not.
        poorer = {**settings, "GATEHOUSE_UPSTREAM_HOSTS": "elsewhere.example"}
        code, said = await asyncio.to_thread(run, poorer, "run", "--workers", "3")
        assert code == 2
        assert said == (await asyncio.to_thread(run, poorer, "run"))[1]  # as one process says it
        assert not [p for p in psutil.process_iter(["cmdline"]) if str(estate.home) in str(p.info["cmdline"])]
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            for name in ("GATEHOUSE_PORT", "GATEHOUSE_ADMIN_PORT"):
                code, said = await asyncio.to_thread(run, {**settings, name: port}, "run", "--workers", "3")
                assert (code, said.count("\n")) == (2, 1)
                assert f"port {port}, or set {name}" in said


@in_proof_alone()
@pytest.mark.postgres
@pytest.mark.timeout(300)
async def test_it_gives_up_where_nobody_serves_and_no_start_succeeds(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    async with prepared(fresh_dir, postgres_server) as (_, estate):
        several = await started(estate, program=HASTY)
        rules = fresh_dir / "policies" / "policy.csv"
        good = rules.read_text()
        rules.write_text("p, nonsense\n")  # what runs goes on; what starts is refused
        one, two = several.workers()[1], several.workers()[2]
        one.kill()
        async with asyncio.timeout(60):
            while len(several.said("worker-ended")) < 4:  # noqa: ASYNC110 - more often than it would take, were nobody left
                await asyncio.sleep(0.1)
        assert several.gateway.process.poll() is None
        assert (await several.standing())[1]["checks"]["workers"] == "degraded"
        rules.write_text(good)
        await several.until_ready(3)
        rules.write_text("p, nonsense\n")
        for worker in (several.workers()[1], two):
            worker.kill()
        assert await asyncio.to_thread(several.gateway.process.wait, 60) == 2
        assert several.said("workers-given-up")
        assert [line for line in several.gateway.logs if line.startswith("gatehouse: gave up")]
