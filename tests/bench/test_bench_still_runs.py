"""A benchmark is run seldom and must still run then: each of its own processes once, small; its peers only in `make bench`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.children import CORES, asked, free_port, serving
from bench.machine import described
from bench.policy import CEDAR, KINDS, NODE, OURS, STOCK, peers, rounds, table
from bench.start import starts


def test_a_start_answers_and_is_measured(tmp_path: Path) -> None:
    found = starts(tmp_path, 1)
    assert len(found["seconds"]) == 1
    assert found["memory_mib"] > 10


def test_the_load_asks_as_often_as_it_was_told_and_counts_what_came_back() -> None:
    with serving([sys.executable, "-m", "bench.upstream"], cores=set(CORES)) as upstream:
        question = {"port": upstream.port, "paths": ["/nothing/there"], "headers": {}}
        said = asked("bench.load", {**question, "requests": 40, "connections": 3})
        assert (said["answers"], said["statuses"]) == (40, {"404": 40})


def test_a_flood_asks_as_often_as_it_was_told_whatever_the_answers_take() -> None:
    with serving([sys.executable, "-m", "bench.upstream"], cores=set(CORES)) as upstream:
        requests = [["/nothing/there", {}], ["/nor/there", {"x-one": "1"}]]
        question = {"port": upstream.port, "requests": requests, "connections": 3}
        said = asked("bench.paced", {**question, "rate": 100, "seconds": 0.5})
    assert said["statuses"] == {"404": 50}
    assert said["seconds"] >= 0.45
    assert said["p50_ms"] <= said["p99_ms"]


def test_appends_are_measured_and_all_of_them_stand_in_the_log(tmp_path: Path) -> None:
    found = asked("bench.appends", {"place": str(tmp_path / "log.sqlite"), "waiters": 8, "events": 100})
    assert found["per_second"] > 0


def test_lists_are_measured_narrowed_and_whole() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "bench.lists", "400"], check=True, capture_output=True, text=True
    ).stdout
    cells = [[cell.strip() for cell in line.split("|")] for line in said.splitlines()]
    pages = [row for row in cells if len(row) == 8 and row[2].isdecimal()]
    assert {row[1]: (row[2], row[3], *row[5:7]) for row in pages} == {
        "whole": ("1", "200", "20", ""),
        "narrowed": ("1", "20", "20", ""),
        "whole, counted": ("2", "400", "20", "100"),
        "narrowed, counted": ("1", "20", "20", "100"),
    }


def test_figures_say_where_they_were_taken() -> None:
    assert {"time", "commit", "dirty", "cpu", "cores", "python", "versions", "load_average"} <= set(
        described()
    )


def test_a_program_is_measured_with_the_processes_below_it() -> None:
    below = (
        "import os, time\n"
        "parent = os.getpid()\n"
        "if os.fork():\n"
        "    time.sleep(60)\n"
        "while time.process_time() < 0.3: pass\n"
        "print('port 9', flush=True)\n"
        "while os.getppid() == parent: time.sleep(0.02)\n"
    )
    alone = "print('port 9', flush=True); import time; time.sleep(60)"
    with (
        serving([sys.executable, "-c", below], cores=set(CORES)) as two,
        serving([sys.executable, "-c", alone], cores=set(CORES)) as one,
    ):
        assert two.cpu_seconds() >= 0.3 > one.cpu_seconds()
        assert two.memory_mib() > one.memory_mib() * 1.3


def test_a_program_that_ends_instead_of_serving_is_quoted() -> None:
    command = [sys.executable, "-c", "raise SystemExit('unknown ' + 'directive')"]
    with (
        pytest.raises(SystemExit, match="unknown directive"),
        serving(command, cores=set(CORES), port=free_port()),
    ):
        pass


def test_decisions_are_measured_beside_pycasbin_and_who_is_absent_is_named() -> None:
    found = rounds(1, 0.002, lambda _line: None, sizes=(10,))
    assert set(found["figures"]) == set(KINDS)
    assert all(by[10][OURS][0]["allow_us"] < by[10][STOCK][0]["allow_us"] for by in found["figures"].values())
    assert set(found["absent"]) == {CEDAR, NODE} - set(peers())
    lines = table(found)
    assert all(any(name in line for line in lines) for name in (*KINDS, *found["absent"]))
