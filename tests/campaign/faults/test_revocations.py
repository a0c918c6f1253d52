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
from tests.campaign.counts import count, dice
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


def opened(racers: list[Racer], dsn: str) -> str:
    """Puts all four on a database, the first one alone so that it makes the stores; gives the customer's path."""
    racers[0].ask("open", dsn=dsn)
    everyone(racers[1:], "open", dsn=dsn)
    return str(racers[0].ask("seed"))


def batch(racers: list[Racer], path: str, chance: random.Random) -> tuple[list[str], list[Any]]:
    """Issues keys and races for them; gives the keys and what each process saw."""
    keys = racers[0].ask("issue", count=BATCH)
    first = time.monotonic() + 0.3
    begins = [first + APART_SECONDS * place for place in range(BATCH)]
    revoked = [moment + chance.uniform(0.0, 0.04) for moment in begins]
    by = [chance.randrange(PROCESSES) for _ in keys]
    for number, racer in enumerate(racers):
        duels = [
            (key, text, begins[place], revoked[place] if by[place] == number else None)
            for place, (key, text) in enumerate(keys)
        ]
        racer.tell("race", path=path, duels=duels)
    return [key for key, _ in keys], [racer.hear() for racer in racers]


def weigh(seen: Seen, keys: list[str], reports: list[Any], outcomes: dict[str, int]) -> None:
    """Counts the races of a batch, and answers whose entry lies behind the revocation."""
    for place, key in enumerate(keys):
        begun, _, outcome = next(r["revokes"][place] for r in reports if r["revokes"][place] is not None)
        outcomes[key] = outcome
        for report in reports:
            for _, ended, said in report["reads"][place]:
                if ended <= begun:
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
            keys = [proof.removeprefix("api-key:") for proof in entry["principal"]["proven"]]
            found += any(stored.seq > outcomes.get(key, stored.seq) for key in keys)
    return found


def races(
    racers: list[Racer], server: PostgresServer, wanted: int, chance: random.Random, *, fence: bool
) -> Seen:
    """Races until so many races were run; reads the log of each database when it is full."""
    seen = Seen()
    everyone(racers, "fence", on=fence)
    while seen.races < wanted:
        database = server.new_database()
        dsn = server.dsn(database)
        path = opened(racers, dsn)
        outcomes: dict[str, int] = {}
        while seen.races < wanted and len(outcomes) < KEYS_A_DATABASE:
            weigh(seen, *batch(racers, path, chance), outcomes)
        in_log = behind(dsn, outcomes)
        assert in_log >= seen.stale if not fence else in_log == 0
        seen.stale = max(seen.stale, in_log)
        assert verify_postgres(dsn).intact
    return seen


@pytest.mark.campaign
@pytest.mark.postgres
@pytest.mark.timeout(0)
def test_nobody_is_served_behind_a_revocation_and_without_the_fence_somebody_is(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    with four(fresh_dir) as racers:
        off = races(racers, postgres_server, 100, dice("fence off"), fence=False)
        on = races(racers, postgres_server, count(400, 100_000), dice("fence on"), fence=True)
    print(
        f"proof: a key revoked against reads by {PROCESSES} processes: {on.races} races over {on.keys} keys "
        f"({dict(on.ended)}), {on.stale} served stale; with the fence off {off.stale} of {off.races}"
    )
    assert off.stale > 0
    assert on.stale == 0
    assert on.ended["served"] > 0
    assert on.ended["unidentified"] > 0
