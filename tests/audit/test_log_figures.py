"""What a log counts of itself: durable entries by kind and reason, batches by size, what was refused, and whether it can go on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import audit
from audit import BATCH_BOUNDS, EventRefused, Figures, Kind, Limits, Log, LogBusy, LogUnavailable, Stale
from audit.store import sqlite
from tests.audit.builders import event


async def figures(log: Log, there: Callable[[Figures], bool]) -> Figures:
    """The figures once they say so: a batch is counted after its waiters were woken."""
    for _ in range(400):
        if there(found := log.figures()):
            return found
        await asyncio.sleep(0.005)
    raise AssertionError(log.figures())


async def test_durable_entries_are_counted_by_kind_and_reason(tmp_path: Path) -> None:
    log = await Log.open(audit.sqlite(tmp_path / "log.db"), create=True)
    for _ in range(3):
        await log.append(event())
    await log.append(event(Kind.INTENT, decision={"allowed": True, "reason": "rule-allowed"}))
    await log.append(event(Kind.NOTE, decision=None))
    said = await figures(log, lambda f: sum(f.entries.values()) == 5)
    assert said.entries == {
        (Kind.SERVED, "allowed"): 3,
        (Kind.INTENT, "rule-allowed"): 1,
        (Kind.NOTE, None): 1,
    }
    assert (said.batches, said.waiting, said.failing_seconds, said.ended) == (
        (5, *[0] * len(BATCH_BOUNDS)),
        0,
        None,
        False,
    )
    await log.close()
    assert log.figures().ended


async def test_a_reason_that_is_no_text_counts_as_none(tmp_path: Path) -> None:
    log = await Log.open(audit.sqlite(tmp_path / "log.db"), create=True)
    await log.append(event(decision={"reason": ["a", "list"]}))
    assert (await figures(log, lambda f: bool(f.entries))).entries == {(Kind.SERVED, None): 1}
    await log.close()


async def test_batches_are_counted_in_their_classes(tmp_path: Path) -> None:
    log = await Log.open(audit.sqlite(tmp_path / "log.db"), create=True, limits=Limits(max_batch=64))
    await asyncio.gather(*(log.append(event()) for _ in range(64)))
    said = await figures(log, lambda f: sum(f.entries.values()) == 64)
    # The first may go alone; whatever follows is in classes of more than one, and nothing is counted twice.
    assert sum(said.batches) < 64
    assert sum(n for n, bound in zip(said.batches, BATCH_BOUNDS, strict=False) if bound > 1) >= 1
    await log.close()


async def test_what_was_not_written_is_counted_by_why(tmp_path: Path) -> None:
    log = await Log.open(audit.sqlite(tmp_path / "log.db"), create=True, limits=Limits(max_waiting=1))
    with pytest.raises(Stale):
        await log.append(event(), fence=7)
    with pytest.raises(EventRefused):
        await log.append(event(Kind.OUTCOME, of=900))
    one, other = await asyncio.gather(log.append(event()), log.append(event()), return_exceptions=True)
    assert (type(one), type(other)) == (audit.Receipt, LogBusy)
    said = await figures(log, lambda f: f.stale + f.refused + f.busy == 3 and bool(f.entries))
    assert (said.stale, said.refused, said.busy, said.unavailable, sum(said.entries.values())) == (
        1,
        1,
        1,
        0,
        1,
    )
    assert said.failing_seconds is None  # a refusal of one entry is no failure of the log
    await log.close()


async def test_a_log_that_cannot_commit_says_so_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = Limits(settle_seconds=0.1)
    log = await Log.open(audit.sqlite(tmp_path / "log.db"), create=True, limits=quick)
    write = sqlite._write
    monkeypatch.setattr(sqlite, "_write", full)
    with pytest.raises(LogUnavailable):
        await log.append(event())
    said = await figures(log, lambda f: f.unavailable == 1)
    assert said.failing_seconds is not None
    assert 0 <= said.failing_seconds < 5
    assert not said.ended
    monkeypatch.setattr(sqlite, "_write", write)
    await log.append(event())
    assert (await figures(log, lambda f: bool(f.entries))).failing_seconds is None
    await log.close()


async def test_an_outage_is_told_once_when_it_begins_and_once_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[LogUnavailable | None, float]] = []
    log = await Log.open(
        audit.sqlite(tmp_path / "log.db"), create=True, outage=lambda *said: told.append(said)
    )
    write = sqlite._write
    for outages in (1, 2):
        await log.append(event())
        monkeypatch.setattr(sqlite, "_write", full)
        for _ in range(3):
            await asyncio.gather(*(log.append(event()) for _ in range(4)), return_exceptions=True)
        with pytest.raises(EventRefused):
            await log.append(event(Kind.SERVED, purpose=1.5))  # says nothing of the log
        monkeypatch.setattr(sqlite, "_write", write)
        await figures(log, lambda f, failed=12 * outages: f.unavailable == failed)
        assert len(told) == 2 * outages - 1
    for _ in range(3):
        await log.append(event())
    await log.close()
    began, ended, *_ = told
    assert [why is None for why, _ in told] == [False, True, False, True]
    assert (began[1], ended[0]) == (0.0, None)
    assert 0 < ended[1] < 60
    assert began[0] is not None
    assert began[0].__cause__ is not None
    assert isinstance(began[0].__cause__.__cause__, sqlite3.OperationalError)


def full(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")
