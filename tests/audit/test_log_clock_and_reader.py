"""The machine's clock, and a store that can no longer be read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NoReturn

import pytest

from audit import Log, LogUnavailable, sqlite
from audit.log import system_clock
from audit.store.base import StoreDown
from tests.audit.builders import event


def test_the_machines_clock_counts_microseconds_since_1970() -> None:
    before = time.time_ns() // 1000
    assert before <= system_clock() <= time.time_ns() // 1000


async def test_a_store_that_cannot_be_read_is_an_unavailable_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await Log.open(sqlite(tmp_path / "log.sqlite"), create=True)
    await log.append(event())

    def down() -> NoReturn:
        raise StoreDown("gone")

    monkeypatch.setattr(log._reader, "head", down)
    with pytest.raises(LogUnavailable) as refusal:
        await log.head()
    assert isinstance(refusal.value.__cause__, StoreDown)
    assert (await log.append(event())).seq == 2
    await log.close()
