"""A key revoked against reads by four processes on one PostgreSQL, each with its own caches (invariant 11).

A race is one read by one process with a key whose revocation, by any of the four, had begun before the read ended. Readers read
without a pause until the key is no longer taken, so every race lies across the revocation or after it. What is judged is the
log: no `served` entry of a key behind the outcome of its revocation, and no answer whose Audit-Ref is.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson
import pytest

import audit
from audit.verify_postgres import verify_postgres
from gateway.keys import create_key_file
from tests.campaign.counts import count, dice, in_proof_alone
from tests.campaign.serving import ROOT
from tests.conftest import PostgresServer

PROCESSES = 4
BATCH = 24
"""Keys that are issued together and raced for one after the other, a revocation every 40 ms."""
APART_SECONDS = 0.04
KEYS_A_DATABASE = 480
"""Every refresh reads every key; keys are never deleted, so now and then the race moves to a fresh database."""


@dataclass
class Seen:
    """What the races came to. stale: served behind the revocation, by the log or by an answer."""

    races: int = 0
    keys: int = 0
    stale: int = 0
    ended: Counter[str] = field(default_factory=Counter)


class Racer:
    """One process."""

    def __init__(self, home: Path, errors: IO[bytes]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.faults.racer", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
        )

    def tell(self, do: str, **more: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "a racer ended"
        return json.loads(line)

    def ask(self, do: str, **more: Any) -> Any:
        self.tell(do, **more)
        return self.hear()

    def end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(60)


@contextmanager
def four(folder: Path) -> Iterator[list[Racer]]:
    """Four processes with one home, not yet on a database."""
    create_key_file(folder / "keys.json")
    with (folder / "errors").open("wb") as errors:
        racers = [Racer(folder, errors) for _ in range(PROCESSES)]
        try:
            yield racers
        except AssertionError:
            print((folder / "errors").read_text()[-3000:])
            raise
        finally:
            for racer in racers:
                racer.end()


def everyone(racers: list[Racer], do: str, **more: Any) -> list[Any]:
    for racer in racers:
        racer.tell(do, **more)
    return [racer.hear() for racer in racers]


@dataclass
class Course:
    """Where the races are run: a database, the customer who is read, the keys that were raced for there."""

    racers: list[Racer]
    server: PostgresServer
    dsn: str = ""
    path: str = ""
    keys: int = 0

    def ready(self) -> None:
        """Moves everybody to a fresh database where the old one is full: one process alone first, since it makes the stores."""
        if self.dsn and self.keys < KEYS_A_DATABASE:
            return
        self.dsn, self.keys = self.server.dsn(self.server.new_database()), 0
        self.racers[0].ask("open", dsn=self.dsn)
        everyone(self.racers[1:], "open", dsn=self.dsn)
        self.path = str(self.racers[0].ask("seed"))


def batch(
    course: Course, size: int, seconds: float, chance: random.Random, *, tokens: bool
) -> tuple[list[str], list[Any]]:
    """Issues keys and races for them, each at most so many seconds; gives the keys and what each process saw."""
    keys = course.racers[0].ask("issue", count=size, tokens=tokens)
    course.keys += size
    first = time.monotonic() + 0.3
    begins = [first + APART_SECONDS * place for place in range(size)]
    revoked = [moment + chance.uniform(0.0, 0.04) for moment in begins]
    by = [chance.randrange(PROCESSES) for _ in keys]
    for number, racer in enumerate(course.racers):
        duels = [
            (
                key,
                text,
                begins[place],
                begins[place] + seconds,
                revoked[place] if by[place] == number else None,
            )
            for place, (key, text) in enumerate(keys)
        ]
        racer.tell("race", path=course.path, duels=duels)
    return [key for key, _ in keys], [racer.hear() for racer in course.racers]


def weigh(seen: Seen, keys: list[str], reports: list[Any], outcomes: dict[str, int]) -> None:
    """Counts the races of a batch, and answers whose entry lies behind the revocation."""
    for place, key in enumerate(keys):
        begun, _, outcome = next(r["revokes"][place] for r in reports if r["revokes"][place] is not None)
        outcomes[key] = outcome
        for report in reports:
            for _, ended, said in report["reads"][place]:
                if ended <= begun:  # not across the revocation
                    continue
                seen.races += 1
                seen.ended["served" if isinstance(said, int) else said] += 1
                seen.stale += isinstance(said, int) and said > outcome
    seen.keys += len(keys)


def behind(dsn: str, outcomes: dict[str, int]) -> int:
    """Gives how many `served` entries of the log lie behind the outcome of their key's revocation."""
    found = 0
    for stored in audit.tail(audit.postgres(dsn), 10_000_000):
        entry = orjson.loads(stored.bytes)
        if entry["kind"] == "served":
            keys = [proof.partition(":")[2] for proof in entry["principal"]["proven"]]
            found += any(stored.seq > outcomes.get(key, stored.seq) for key in keys)
    return found


def races(
    course: Course,
    wanted: int,
    size: int,
    seconds: float,
    chance: random.Random,
    *,
    fence: bool,
    tokens: bool = False,
) -> Seen:
    """Races until so many races were run, so many keys at once; then reads the log, of each database that was full."""
    seen, behind_in_log = Seen(), 0
    everyone(course.racers, "fence", on=fence)
    while seen.races < wanted:
        course.ready()
        outcomes: dict[str, int] = {}
        while seen.races < wanted and course.keys < KEYS_A_DATABASE:
            weigh(seen, *batch(course, size, seconds, chance, tokens=tokens), outcomes)
        behind_in_log += behind(course.dsn, outcomes)
        assert verify_postgres(course.dsn).intact
    seen.stale = max(seen.stale, behind_in_log)
    return seen


@pytest.mark.campaign
@pytest.mark.postgres
@pytest.mark.timeout(0)
def test_nobody_is_served_behind_a_revocation_and_without_the_fence_somebody_is(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    with four(fresh_dir) as racers:
        course = Course(racers, postgres_server)
        course.ready()
        off = races(course, count(50, 500), 6, 2.0, dice("fence off"), fence=False)
        on = races(course, count(400, 100_000), BATCH, 10.0, dice("fence on"), fence=True)
    print(
        f"proof: a key revoked against reads by {PROCESSES} processes: {on.races} races over {on.keys} keys "
        f"({dict(on.ended)}), {on.stale} served stale; with the fence off {off.stale} of {off.races}"
    )
    assert off.stale > 0
    assert on.stale == 0
    assert on.ended["served"] > 0
    assert on.ended["unidentified"] > 0


@pytest.mark.postgres
@pytest.mark.timeout(0)
@in_proof_alone()
def test_nobody_is_served_by_a_token_behind_its_clients_revocation(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    with four(fresh_dir) as racers:
        course = Course(racers, postgres_server)
        course.ready()
        off = races(course, count(50, 500), 6, 2.0, dice("tokens, fence off"), fence=False, tokens=True)
        on = races(course, count(200, 20_000), BATCH, 10.0, dice("tokens"), fence=True, tokens=True)
    print(
        f"proof: a client revoked against reads with its access token by {PROCESSES} processes: {on.races} races over "
        f"{on.keys} clients ({dict(on.ended)}), {on.stale} served stale; with the fence off {off.stale} of {off.races}"
    )
    assert off.stale > 0
    assert on.stale == 0
    assert on.ended["served"] > 0
    assert on.ended["unidentified"] > 0
