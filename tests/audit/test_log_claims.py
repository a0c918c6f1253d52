"""Allowances are counted in the transaction of the entry that takes of them: exactly, by however many, and by nobody twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import audit
import audit.store.sqlite
from audit import Claim, EventRefused, Kind, Log, OverBudget, Receipt, Stale
from tests.audit.builders import START, Place, PostgresPlace, SqlitePlace, event

HOUR = 3600
WHO = b"who-and-what-for"
# START is 2026-09-21T14:13:20Z
ENDS = "2026-09-21T15:00:00.000000Z"
SECOND = 1_000_000


def claim(most: int, *members: bytes, amount: int = 0, counter: bytes = WHO, seconds: int = HOUR) -> Claim:
    return Claim(counter, seconds, most, members, amount)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


def counted(place: Place) -> dict[bytes, int]:
    return {bytes(counter): used for counter, used in place.ask("SELECT counter, used FROM counts")}


async def tried(log: Log, *claims: Claim, **more: Any) -> Receipt | OverBudget:
    try:
        return await log.append(event(), claims=claims, **more)
    except OverBudget as over:
        return over


def served(answers: list[Receipt | OverBudget]) -> int:
    return sum(isinstance(answer, Receipt) for answer in answers)


async def test_of_one_batch_exactly_as_many_go_through_as_are_left(place: Place) -> None:
    log = await Log.open(place.store(), create=True, clock=Clock())
    answers = list(await asyncio.gather(*(tried(log, claim(7, amount=1)) for _ in range(64))))
    await log.close()
    assert (
        sum(log.figures().batches) == 1
    )  # it was one: they saw each other before any of them was in the store
    assert served(answers) == 7
    assert [isinstance(answer, Receipt) for answer in answers] == [True] * 7 + [False] * 57
    assert counted(place) == {WHO: 7}
    assert [row[0] for row in place.ask("SELECT count(*) FROM entries")] == [7]
    assert place.verify().intact


@pytest.mark.postgres
async def test_of_two_processes_logs_exactly_as_many_go_through_together(postgres: str) -> None:
    place = PostgresPlace(postgres)
    logs = [await Log.open(place.store(), create=True)]
    logs.append(await Log.open(place.store()))

    async def one(log: Log, number: int) -> Receipt | OverBudget:
        return await tried(log, claim(23, b"subject-%d" % (number % 40), seconds=24 * HOUR))

    answers = await asyncio.gather(*(one(logs[n % 2], n) for n in range(120)))
    for log in logs:
        await log.close()
    there = place.ask("SELECT count(*), count(DISTINCT member) FROM members")
    assert there == [(23, 23)]
    assert counted(place) == {WHO: 23}
    shown = {n % 40 for n, answer in enumerate(answers) if isinstance(answer, Receipt)}
    assert len(shown) == 23
    # Whoever was counted once is shown again for nothing, by whichever of both.
    assert all(isinstance(answers[n], Receipt) for n in range(80, 120) if n % 40 in shown)


async def test_what_was_counted_costs_nothing_again_and_what_is_new_does(place: Place) -> None:
    log = await Log.open(place.store(), create=True, clock=Clock())
    first = await tried(log, claim(2, b"a", b"b", b"a"))
    again = await tried(log, claim(2, b"b", b"a"))
    more = await tried(log, claim(2, b"a", b"c"))
    # Lowered meanwhile: what was shown may be shown again, what was not may not.
    lowered, none = await tried(log, claim(1, b"a")), await tried(log, claim(0, b"d"))
    await log.close()
    assert [type(answer) for answer in (first, again, more, lowered, none)] == [
        Receipt,
        Receipt,
        OverBudget,
        Receipt,
        OverBudget,
    ]
    assert counted(place) == {WHO: 2}


async def test_an_answer_says_which_allowance_and_when_its_window_ends(place: Place) -> None:
    log = await Log.open(place.store(), create=True, clock=Clock())
    roomy, tight, other = (
        claim(9, amount=3),
        claim(2, amount=3, counter=b"tight"),
        claim(1, amount=3, counter=b"day", seconds=24 * HOUR),
    )
    refused = await tried(log, roomy, tight, other)
    await log.close()
    assert isinstance(refused, OverBudget)
    assert [(over.claim, over.ends) for over in refused.over] == [
        (tight, ENDS),
        (other, "2026-09-22T00:00:00.000000Z"),
    ]
    # All of them or none: what would have fitted was not counted either.
    assert counted(place) == {}


async def test_two_claims_of_one_entry_on_one_allowance_add_up(place: Place) -> None:
    log = await Log.open(place.store(), create=True, clock=Clock())
    over = await tried(log, claim(3, b"a", b"b"), claim(3, b"b", b"c", amount=1))
    fits = await tried(log, claim(4, b"a", b"b"), claim(4, b"b", b"c", amount=1))
    await log.close()
    assert (type(over), type(fits)) == (OverBudget, Receipt)
    assert counted(place) == {WHO: 4}


async def test_a_window_turns_with_the_logs_time_and_never_back(place: Place) -> None:
    clock = Clock()
    log = await Log.open(place.store(), create=True, clock=clock)
    assert isinstance(await tried(log, claim(1, amount=1)), Receipt)
    clock.now = START + 2_799 * SECOND  # a second before the hour
    assert isinstance(await tried(log, claim(1, amount=1)), OverBudget)
    clock.now += SECOND  # the hour: its very first moment is the next window's
    assert isinstance(await tried(log, claim(1, amount=1)), Receipt)
    fresh = claim(1, amount=1, counter=b"counted in the second window alone")
    assert isinstance(await tried(log, fresh), Receipt)
    clock.now = START  # somebody sets the clock back: the window that was used up is not opened again, nor is the one before
    assert isinstance(await tried(log, claim(1, amount=1)), OverBudget)
    assert isinstance(await tried(log, fresh), OverBudget)
    await log.close()
    log = await Log.open(place.store(), clock=clock)
    assert isinstance(await tried(log, fresh), OverBudget)
    assert isinstance(await tried(log, claim(1, amount=1)), OverBudget)
    await log.close()


async def test_nothing_is_counted_without_an_entry(place: Place) -> None:
    log = await Log.open(place.store(), create=True, clock=Clock())
    one = claim(1, amount=1)
    with pytest.raises(Stale):
        await log.append(event(), fence=5, claims=(one,))
    with pytest.raises(EventRefused):
        await log.append(event(Kind.OUTCOME, of=77), claims=(one,))
    assert counted(place) == {}
    assert isinstance(await tried(log, one), Receipt)
    await log.close()


async def test_a_batch_that_could_not_be_written_counted_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await Log.open(place.store(), create=True, clock=Clock())
    room = "sqlite" if isinstance(place, SqlitePlace) else "postgres"
    module = __import__(f"audit.store.{room}", fromlist=["_count"])

    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("disk full") if room == "sqlite" else OSError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(module, "_count", fails)
        with pytest.raises(audit.LogUnavailable):
            await log.append(event(), claims=(claim(1, amount=1),))
    assert (counted(place), (await log.head()).seq) == ({}, 0)
    assert isinstance(await tried(log, claim(1, amount=1)), Receipt)
    await log.close()
    assert counted(place) == {WHO: 1}


async def test_who_counts_nothing_asks_for_no_count(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("a count was looked at")

    monkeypatch.setattr("audit.store.sqlite._counted", asked)
    monkeypatch.setattr("audit.store.postgres._counted", asked)
    monkeypatch.setattr("audit.store.sqlite._count", asked)
    monkeypatch.setattr("audit.store.postgres._count", asked)
    log = await Log.open(place.store(), create=True)
    await asyncio.gather(*(log.append(event()) for _ in range(10)))
    await log.close()


CHANGES = [
    "UPDATE counts SET used = used - 1",
    "UPDATE counts SET used = used",
    "UPDATE counts SET used = used + 1, ends = 'x'",
    "UPDATE members SET member = member",
    "DELETE FROM counts",
    "DELETE FROM members",
    "INSERT INTO counts SELECT * FROM counts",
    "INSERT INTO members SELECT * FROM members",
]


async def test_a_count_only_rises_and_stays_until_its_window_has_ended(place: Place) -> None:
    # The clock's own time is years after the window's that was counted in, and the log's is not: that is the one that tells.
    log = await Log.open(place.store(), create=True, clock=Clock())
    await tried(log, claim(9, b"a", amount=1))
    await log.close()
    more = (
        ["INSERT OR REPLACE INTO counts SELECT ends, counter, 0 FROM counts"]
        if isinstance(place, SqlitePlace)
        else ["TRUNCATE counts", "TRUNCATE members"]
    )
    assert [change for change in CHANGES + more if place.attempt(change) is None] == []
    assert counted(place) == {WHO: 2}


@pytest.mark.postgres
async def test_the_services_role_counts_and_cannot_uncount(postgres: str) -> None:
    place = PostgresPlace(postgres)
    log = await Log.open(place.store(), create=True, clock=Clock())
    await tried(log, claim(9, b"a", amount=1))
    await log.close()
    tried_by_role = [*CHANGES, "TRUNCATE counts", "TRUNCATE members", "UPDATE counts SET counter = counter"]
    assert [c for c in tried_by_role if place.attempt(c, role="audit_writer") is None] == []


@pytest.mark.parametrize("trigger", ["counts_delete", "members_insert", "counts_update"])
async def test_a_file_whose_counts_lost_a_guard_is_refused(tmp_path: Path, trigger: str) -> None:
    place = SqlitePlace(tmp_path / "audit.db")
    await (await Log.open(place.store(), create=True)).close()
    place.attempt(f"DROP TRIGGER {trigger}")
    with pytest.raises(audit.LogRefused, match=trigger):
        await Log.open(place.store())


@pytest.mark.postgres
async def test_a_database_whose_counts_lost_a_guard_is_refused(postgres: str) -> None:
    place = PostgresPlace(postgres)
    await (await Log.open(place.store(), create=True)).close()
    place.attempt(
        "CREATE OR REPLACE FUNCTION only_ended() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN OLD; END $$"
    )
    with pytest.raises(audit.LogRefused, match="counts_end"):
        await Log.open(place.store())


async def test_what_has_ended_is_emptied_step_by_step(place: Place) -> None:
    clock = Clock()
    log = await Log.open(place.store(), create=True, clock=clock)
    day = claim(9, amount=1, counter=b"day", seconds=86400)
    await tried(log, claim(9, *(b"m%d" % n for n in range(5))), day)
    clock.now += HOUR * SECOND
    await log.append(event())  # whose time is the log's
    await log.close()

    def steps() -> list[tuple[bool, int]]:
        writer = place.store().writer()
        writer.open(None)
        found = [(writer.sweep(2), left(place)) for _ in range(4)]
        writer.close()
        return found

    # Two at a time; `True`: there may be more.
    assert await asyncio.to_thread(steps) == [(True, 3), (True, 1), (False, 0), (False, 0)]
    assert counted(place) == {b"day": 1}  # whose window has not ended


def left(place: Place) -> int:
    return int(place.ask("SELECT count(*) FROM members")[0][0])


async def test_a_log_that_is_appended_to_empties_what_has_ended(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.log._SWEPT", 2)
    clock = Clock()
    log = await Log.open(place.store(), create=True, clock=clock)
    await tried(log, claim(9, *(b"m%d" % n for n in range(5))))
    await log.close()
    clock.now += HOUR * SECOND
    log = await Log.open(place.store(), clock=clock)
    for _ in range(200):
        await log.append(event())  # a step follows, whether it counts anything or not
        if not left(place):
            break
        await asyncio.sleep(0.02)
    await log.close()
    assert left(place) == 0
    assert counted(place) == {}


async def test_a_log_of_the_schema_before_counts_from_now_on(place: Place) -> None:
    log = await Log.open(place.store(), create=True)
    await log.append(event())
    await log.close()
    if isinstance(place, PostgresPlace):
        for statement in (
            "DROP TABLE counts",
            "DROP TABLE members",
            "DROP FUNCTION only_up",
            "DROP FUNCTION only_ended",
            "UPDATE schema_version SET version = 1",
        ):
            assert place.attempt(statement) is None
    else:
        for statement in ("DROP TABLE counts", "DROP TABLE members", "PRAGMA user_version = 1"):
            assert place.attempt(statement) is None
    log = await Log.open(place.store())
    assert isinstance(await tried(log, claim(1, amount=1)), Receipt)
    assert isinstance(await tried(log, claim(1, amount=1)), OverBudget)
    await log.close()
    assert place.verify().intact


KILLED = """
import asyncio, os, sys
import audit
from audit import Claim, Log
from tests.audit.builders import event

async def main():
    log = await Log.open(audit.sqlite(sys.argv[1]), create=True)
    for _ in range(3):
        await log.append(event(), claims=(Claim(b"who", 366 * 86400, 4, (), 1),))
    print("counted", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_who_dies_between_the_count_and_the_answer_has_counted(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path / "audit.db")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(place.path)], stdout=subprocess.PIPE, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"counted\n"
        process.send_signal(signal.SIGKILL)

    async def after() -> list[Receipt | OverBudget]:
        log = await Log.open(place.store())
        answers = [await tried(log, Claim(b"who", 366 * 86400, 4, (), 1)) for _ in range(3)]
        await log.close()
        return answers

    assert served(asyncio.run(after())) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        Claim(b"", 60, 1),
        Claim(b"x" * 65, 60, 1),
        Claim(b"x", 0, 1),
        Claim(b"x", 366 * 86400 + 1, 1),
        Claim(b"x", 60, -1),
        Claim(b"x", 60, 1, amount=-1),
        Claim(b"x", 60, 1, (b"",)),
        Claim(b"x", 60, 1, ("text",)),  # type: ignore[arg-type]
        Claim(b"x", 60, 1, (b"m",) * 10_001),
    ],
)
async def test_what_cannot_be_counted_is_refused_before_anything_is_written(
    tmp_path: Path, wrong: Claim
) -> None:
    log = await Log.open(audit.sqlite(tmp_path / "audit.db"), create=True)
    with pytest.raises(EventRefused):
        await log.append(event(), claims=(wrong,))
    assert (await log.head()).seq == 0
    await log.close()
