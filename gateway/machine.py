"""Before the path: what a start asks of the machine, and `gatehouse doctor` too. Each raises Misconfigured with what to do."""

from __future__ import annotations

import os
import resource
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.words.errors import Misconfigured

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock that shows an earlier time is right: this program was written later. A machine that lost its clock shows 1970 or 2000."""

DESCRIPTORS = 8_192
"""Open files and connections that a process asks for: the callers of its port, as many again that wait to be taken, upstreams, stores."""
LEAST_DESCRIPTORS = 256


def descriptors() -> int:
    """Gives how many files and connections this process may have open at once, after taking what it is allowed to, up to DESCRIPTORS.

    Most machines give a process 1,024 and let it raise that. Where they are used up no connection is taken, whoever comes. Raises
    Misconfigured where too few are allowed.
    """
    given, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    wanted = DESCRIPTORS if most == endless else min(DESCRIPTORS, most)
    if given != endless and given < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        given = wanted
    if given != endless and given < LEAST_DESCRIPTORS:
        raise Misconfigured(
            f"this process may have {given} files and connections open at once, and needs {LEAST_DESCRIPTORS}, better {DESCRIPTORS}: raise "
            "the limit (`ulimit -n`, LimitNOFILE of systemd, `ulimits: nofile` of Compose)"
        )
    return DESCRIPTORS if given == endless else given


def make_home(home: Path) -> None:
    """Makes the home folder, private, where it is not there."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Misconfigured(
            f"the home folder cannot be made ({error.strerror}): make it for this user, or set GATEHOUSE_HOME to another"
        ) from error


def look_at_home(home: Path) -> None:
    """What `make_home` would meet, and whether files could be made there; makes nothing."""
    place = standing(home)
    if not place.is_dir():
        raise Misconfigured(
            "the home folder cannot be made (it, or a folder above it, is a file): set GATEHOUSE_HOME to another"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise Misconfigured(
            "this user cannot write into the home folder: `chown` it, or set GATEHOUSE_HOME to another"
        )


def standing(place: Path) -> Path:
    """Gives the nearest there is: the folder itself, or the first above it that is there."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def disk(home: Path, floor_bytes: int) -> None:
    """Refuses where less than the floor is free: a log that fills the disk while it runs stops every answer, and stores that are
    migrated need room for themselves once more."""
    free = shutil.disk_usage(standing(home)).free
    if free < floor_bytes:
        raise Misconfigured(
            f"less than {floor_bytes // 1024**2} MiB are free where the home folder is: make room, set GATEHOUSE_HOME to another, "
            "or lower GATEHOUSE_DISK_FLOOR_BYTES"
        )


def clock(now: datetime) -> None:
    """Refuses a clock that cannot be right: every entry, every key's end and every token is judged by it."""
    if now < EARLIEST:
        raise Misconfigured(
            f"the machine's clock shows {now:%Y-%m-%d}, which is over: set it (and let it be kept by NTP)"
        )


def clock_after(now: datetime, last_entry: str, back_seconds: float) -> None:
    """Refuses a clock that is behind the log's last entry: times in a log never go back, so new entries would all bear that one.

    last_entry: as the log's head has it, empty for a log without entries. back_seconds: what other machines' clocks may differ by.
    """
    if not last_entry:
        return
    last = datetime.fromisoformat(last_entry)
    if now < last - timedelta(seconds=back_seconds):
        raise Misconfigured(
            f"the machine's clock shows {now:%Y-%m-%dT%H:%M:%SZ} and the log's last entry bears {last:%Y-%m-%dT%H:%M:%SZ}: set the "
            "clock. Where it was the entry's that was wrong, wait, or start with a larger GATEHOUSE_CLOCK_BACK_SECONDS"
        )
