"""A log line is made of an allow-list: whatever is logged, by whomever, no value gets into it."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import casbin
import pytest

from gateway.observe import configure, event, place_of

ROOT = Path(__file__).resolve().parents[2]
SECRET = "13800001234"
NAME = "张伟"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    written = io.StringIO()
    restore = configure(logging.INFO, written)
    yield written
    restore()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_its_fields(stream: io.StringIO) -> None:
    event(
        "alarm",
        logging.ERROR,
        kind="field-unknown",
        upstream="crm",
        pattern="/messages/*/body",
        count=3,
        bundle=None,
    )
    (line,) = lines(stream)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "error",
        "event": "alarm",
        "kind": "field-unknown",
        "upstream": "crm",
        "pattern": "/messages/*/body",
        "count": 3,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "张伟"),
        ("kind", "a b"),
        ("upstream", "li@x.example"),
        ("pattern", "/customers/13800001234"),
        ("pattern", "phone 13800001234"),
        ("pattern", "/li wei"),
        ("request", "req_short"),
        ("at", "/home/somebody with blanks/x.py:1"),
        ("bundle", "sha256:zz"),
        ("code", "a" * 200),
    ],
)
def test_a_text_without_its_fields_form_is_not_written(stream: io.StringIO, field: str, value: str) -> None:
    event("something", **{field: value})
    assert lines(stream)[0][field] == "unfit"


def test_a_field_or_an_event_that_is_not_listed_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="not on the list"):
        event("something", phone=SECRET)
    with pytest.raises(ValueError, match="not on the list"):
        event(f"customer {SECRET} read")


def test_a_librarys_message_and_arguments_are_left_out(stream: io.StringIO) -> None:
    logging.getLogger("somebody.else").warning("phone %s of %s", SECRET, NAME, extra={"phone": SECRET})
    logging.getLogger("somebody.else").warning(f"phone {SECRET}")
    logging.getLogger("gatehouse").warning("phone %s", SECRET)
    assert [line["event"] for line in lines(stream)] == ["library"] * 3
    assert lines(stream)[0]["at"].startswith("observe/test_logs.py:")
    assert SECRET not in stream.getvalue()
    assert NAME not in stream.getvalue()


def test_an_exceptions_type_and_place_are_written_and_its_message_is_not(stream: io.StringIO) -> None:
    try:
        int(SECRET + "x")
    except ValueError:
        logging.getLogger("somebody.else").exception("failed for %s", SECRET)
    (line,) = lines(stream)
    assert (line["error"], line["raised_at"].split(":")[0]) == ("ValueError", "observe/test_logs.py")
    assert SECRET not in stream.getvalue()


def test_a_line_that_cannot_be_written_is_not_told_to_stderr_instead(
    capfd: pytest.CaptureFixture[str],
) -> None:
    broken = io.StringIO()
    restore = configure(logging.INFO, broken)
    broken.close()
    logging.getLogger("somebody.else").warning("phone %s", SECRET)
    restore()
    assert "".join(capfd.readouterr()) == ""


def test_the_place_of_an_error_is_where_it_was_raised() -> None:
    def inner() -> None:
        raise KeyError(SECRET)

    with pytest.raises(KeyError) as caught:
        inner()
    name, at = place_of(caught.value)
    assert (name, at) == ("KeyError", f"observe/test_logs.py:{inner.__code__.co_firstlineno + 1}")
    assert place_of(ValueError()) == ("ValueError", "unknown:0")


def test_casbin_logs_no_request_even_when_its_logging_is_asked_for(
    stream: io.StringIO, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.conf"
    model.write_text(
        "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n"
        "[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.sub == p.sub\n"
    )
    enforcer = casbin.Enforcer(str(model), enable_log=True)
    assert not enforcer.enforce(SECRET, NAME, "read")
    out, err = capfd.readouterr()
    assert SECRET not in stream.getvalue() + out + err
    assert NAME not in stream.getvalue() + out + err


def test_a_thread_that_dies_leaves_its_type_and_place(
    stream: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    def die() -> None:
        raise LookupError(SECRET)

    thread = threading.Thread(target=die)
    thread.start()
    thread.join()
    (line,) = lines(stream)
    assert (line["event"], line["error"]) == ("uncaught", "LookupError")
    assert SECRET not in stream.getvalue() + "".join(capfd.readouterr())


CRASH = """
import asyncio, logging, sys, warnings
from gateway.observe import configure
configure()
def crash(phone):
    warnings.warn("phone " + phone)
    logging.getLogger("x").warning("%d", phone)
    class Bad:
        def __del__(self): raise ValueError(phone)
    Bad()
    async def forgotten(): raise ValueError(phone)
    async def main():
        task = asyncio.ensure_future(forgotten())
        await asyncio.sleep(0)
        del task
    asyncio.run(main())
    raise ValueError(phone)
crash("13800001234")
"""


def test_a_process_that_crashes_prints_no_value_anywhere() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["error"] for line in told if line["event"] == "uncaught"] == ["ValueError", "ValueError"]
    assert {line.get("logger") for line in told} >= {"asyncio", "py.warnings", "x"}


def test_configuring_can_be_taken_back() -> None:
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook, logging.getLogger().handlers[:])
    configure(logging.INFO, io.StringIO())()
    assert before == (sys.excepthook, threading.excepthook, sys.unraisablehook, logging.getLogger().handlers)


def test_a_worker_says_its_number_on_each_of_its_lines() -> None:
    written = io.StringIO()
    restore = configure(logging.INFO, written, worker=3)
    try:
        event("stopping")
        logging.getLogger("somebody").warning("said")
    finally:
        restore()
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(line["event"], line["worker"]) for line in lines] == [("stopping", 3), ("library", 3)]
