"""A log that cannot be written to says so once, when it begins and when it is over, however many requests are refused meanwhile."""

from __future__ import annotations

import io
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from audit import LogUnavailable
from gateway import demo
from gateway.app import open_house
from gateway.corridor.outage import tell_outage
from gateway.observe import configure
from gateway.settings import read
from gateway.stores import LOG_FILE
from gateway.words.errors import Code, GatehouseError
from tests.app.asking import ask


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    written = io.StringIO()
    restore = configure(stream=written)
    yield written
    restore()


def told(stream: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    for line in lines:
        assert line.pop("time")
    return [line for line in lines if line["event"].startswith("log-")]


@contextmanager
def no_growth(_: Path) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def taken_away(home: Path) -> Iterator[None]:
    (home / LOG_FILE).rename(home / "elsewhere")
    try:
        yield
    finally:
        (home / "elsewhere").rename(home / LOG_FILE)


@pytest.mark.parametrize(
    ("fault", "error", "cause"),
    [
        (no_growth, "OperationalError", {"SQLITE_FULL", "SQLITE_IOERR_WRITE"}),
        (taken_away, "FileNotFoundError", {"ENOENT"}),
    ],
)
async def test_two_lines_an_outage_and_none_a_request(
    tmp_path: Path,
    stream: io.StringIO,
    fault: Callable[[Path], AbstractContextManager[None]],
    error: str,
    cause: set[str],
) -> None:
    chosen = read({"GATEHOUSE_HOME": str(tmp_path / "home"), "GATEHOUSE_PORT": "0"})
    demo.prepare(chosen)
    async with open_house(chosen) as house:
        keys = await demo.credentials(house)

        async def refused() -> Code:
            with pytest.raises(GatehouseError) as caught:
                await ask(house, "GET", "/crm/customers/nobody", keys["supervisor"])
            return caught.value.code

        for outages in (1, 2):
            assert await refused() is Code.NOT_FOUND
            with fault(chosen.home):
                assert {await refused() for _ in range(5)} == {Code.LOG_UNAVAILABLE}
            lines = told(stream)[2 * outages - 2 :]
            assert len(lines) == 1
            assert lines[0].pop("cause") in cause
            assert lines[0] == {"level": "error", "event": "log-failing", "error": error}
            assert {await refused() for _ in range(3)} == {Code.NOT_FOUND}
    # The writer says it after it has answered; the house waited for that.
    lines = told(stream)
    assert len(lines) == 4
    for line in lines[1::2]:
        assert 0 < line.pop("seconds") < 60
        assert line == {"level": "info", "event": "log-recovered"}


def test_what_a_message_holds_is_in_no_line(stream: io.StringIO) -> None:
    failure = LogUnavailable("13800001234")
    failure.__cause__ = OSError("13800001234")
    tell_outage(failure, 0.0)
    tell_outage(LogUnavailable("13800001234"), 0.0)
    assert told(stream) == [
        {"level": "error", "event": "log-failing", "error": "OSError"},
        {"level": "error", "event": "log-failing", "error": "LogUnavailable"},
    ]
    assert "1380" not in stream.getvalue()
