"""What a start asks of the machine: room, a clock that can be right, a home folder that can be used."""

from __future__ import annotations

import os
import resource
import shutil
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import machine
from gateway.app import within
from gateway.store import OwnerLock
from gateway.wire.limits import DEFAULT_LIMITS
from gateway.words.errors import Misconfigured

LAST = "2026-11-22T01:00:00.000000Z"
AT = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
Usage = namedtuple("Usage", "total used free")


ENDLESS = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("given", "most", "taken", "callers"),
    [
        (1_024, 524_288, 8_192, 2_000),
        (1_024, ENDLESS, 8_192, 2_000),
        (ENDLESS, ENDLESS, None, 2_000),
        (20_000, 20_000, None, 2_000),
        (1_024, 1_024, None, 512),
        (256, 1_000, 1_000, 500),
    ],
)
def test_a_process_takes_the_files_it_may_have_and_leaves_half_of_them_to_callers(
    monkeypatch: pytest.MonkeyPatch, given: int, most: int, taken: int | None, callers: int
) -> None:
    put: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (given, most))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: put.append(limits))
    assert within(DEFAULT_LIMITS, machine.descriptors()).max_connections == callers
    assert put == ([] if taken is None else [(taken, most)])


def test_too_few_files_refuse_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (255, 255))
    with pytest.raises(Misconfigured, match="255 files and connections open at once, and needs 256"):
        machine.descriptors()


def test_a_disk_at_the_floor_is_enough_and_a_byte_less_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(0, 0, 256 * 1024**2))
    machine.disk(tmp_path, 256 * 1024**2)
    with pytest.raises(Misconfigured, match="less than 256 MiB are free where the home folder is"):
        machine.disk(tmp_path, 256 * 1024**2 + 1)


def test_the_disk_of_a_home_that_is_not_there_yet_is_that_of_the_folder_above(tmp_path: Path) -> None:
    machine.disk(tmp_path / "not" / "there", 1)
    machine.disk(Path("/nowhere/at/all"), 1)


@pytest.mark.parametrize("shown", ["1970-01-01", "2000-01-01", "2025-12-31"])
def test_a_clock_that_was_lost_is_refused_with_what_to_do(shown: str) -> None:
    with pytest.raises(Misconfigured, match=f"the machine's clock shows {shown}, which is over: set it"):
        machine.clock(datetime.fromisoformat(shown).replace(tzinfo=UTC))
    machine.clock(AT)


def test_a_clock_may_be_behind_the_last_entry_by_what_is_set_and_no_more() -> None:
    machine.clock_after(AT - timedelta(seconds=60), LAST, 60)
    with pytest.raises(Misconfigured) as refusal:
        machine.clock_after(AT - timedelta(seconds=60.001), LAST, 60)
    (problem,) = refusal.value.problems
    assert "2026-11-22T00:58:59Z" in problem
    assert "2026-11-22T01:00:00Z" in problem
    machine.clock_after(AT - timedelta(days=1), "", 60)  # a log without entries


@pytest.mark.parametrize("below", ["file", "file/home"])
def test_a_home_that_cannot_be_made_is_one_line_also_to_whoever_only_looks(
    tmp_path: Path, below: str
) -> None:
    (tmp_path / "file").touch()
    for asked in (machine.make_home, machine.look_at_home):
        with pytest.raises(Misconfigured, match="the home folder cannot be made"):
            asked(tmp_path / below)
    machine.look_at_home(tmp_path / "home")
    assert not (tmp_path / "home").exists()
    machine.make_home(tmp_path / "home")
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "owner.lock").mkdir()
    with pytest.raises(Misconfigured, match="the home folder cannot be used"):
        OwnerLock(tmp_path / "owner.lock")


def test_who_holds_the_lock_is_seen_without_taking_it(tmp_path: Path) -> None:
    path = tmp_path / "owner.lock"
    assert OwnerLock.holder(path) is None
    assert not path.exists()
    with OwnerLock(path):
        assert OwnerLock.holder(path) == str(os.getpid())
    assert OwnerLock.holder(path) is None
    OwnerLock(path).release()
