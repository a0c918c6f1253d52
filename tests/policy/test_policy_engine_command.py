"""`gatehouse policy decide`: lines in, lines out, as they come; bad files end it with 2, bad lines do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway import cli
from gateway.policy.engine import open_engine
from gateway.policy.engine.stream import MAX_LINE, answers
from tests.policy.test_policy_engine_refused import model

MODEL = model("g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act", roles="g = _, _")
RULES = "p, admin, data1, read\ng, alice, admin\n"
YES = {"allowed": True, "rule": ["admin", "data1", "read"], "engine": "compiled/1"}
NO = {"allowed": False, "rule": None, "engine": "compiled/1"}
GATEHOUSE = [sys.executable, "-c", "from gateway.cli import main; main()"]


def files(folder: Path, model_text: str = MODEL, rules: str = RULES) -> list[str]:
    (folder / "m.conf").write_text(model_text)
    (folder / "p.csv").write_text(rules)
    return ["policy", "decide", "--model", str(folder / "m.conf"), "--policy", str(folder / "p.csv")]


def decided(folder: Path, lines: bytes, *more: str, language: str = "en", **given: str) -> Result:
    words = [*files(folder, **given), *more]
    return CliRunner().invoke(cli.group, words, input=lines, env={"GATEHOUSE_LANGUAGE": language})


def told(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_line_has_its_answer(tmp_path: Path) -> None:
    lines = b'["alice", "data1", "read"]\n["bob","data1","read"]\nno\n\n["alice"]\n["alice", "data1", "read"]'
    result = decided(tmp_path, lines)
    assert result.exit_code == 0
    found = told(result)
    assert [found[0], found[1], found[5]] == [YES, NO, YES]
    assert [list(one) for one in found[2:5]] == [["error"]] * 3


@pytest.mark.parametrize(
    "line",
    [
        b'[{"Age": 1, "Age": 99}, "data1", "read"]',
        b'["\\ud800", "data1", "read"]',
        b'["alice\\u0000", "data1", "read"',
        b"[" * 100_000 + b"]" * 100_000,
        b'["alice", "data1", 123456789012345678901234567890]',
        b'["alice", "data1", NaN]',
        b'["alice", "data1", 1e999]',
        b'{"sub": "alice"}',
        b'"alice"',
        b"null",
        b"\xff\xfe",
        b"\xef\xbb\xbf[]",
        b'["alice", "data1", "read"] ["alice", "data1", "read"]',
        b'["' + b"x" * MAX_LINE + b'", "data1", "read"]',
    ],
    ids=lambda line: line[:40].decode("latin-1"),
)
def test_a_malformed_line_is_an_error_and_the_rest_goes_on(line: bytes) -> None:
    engine, _ = open_engine(MODEL.encode(), RULES.encode())
    whole = line + b'\n["alice","data1","read"]\n'
    for size in (1 << 16, 7):
        if size == 7 and len(line) > 100_000:
            continue
        pieces = iter([whole[at : at + size] for at in range(0, len(whole), size)] + [b""])
        found = b"".join(answers(engine, lambda pieces=pieces: next(pieces), lambda key: key)).splitlines()
        assert [json.loads(one) for one in found] == [{"error": "engine.error.malformed"}, YES]


def test_a_line_without_an_end_is_not_kept() -> None:
    engine, _ = open_engine(MODEL.encode(), RULES.encode())
    piece = b"x" * (1 << 16)
    pieces = iter([*[piece] * 400, b'\n["alice","data1","read"]\n', b""])
    tracemalloc.start()
    found = b"".join(answers(engine, lambda: next(pieces), lambda key: key)).splitlines()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [json.loads(one) for one in found] == [{"error": "engine.error.malformed"}, YES]
    assert peak < 6 * MAX_LINE


def test_unusual_values_are_values() -> None:
    engine, _ = open_engine(MODEL.encode(), RULES.encode())
    pieces = iter([b'["\\u0000", "data1", null]\n[true, 1.5, -9007199254740993]\n[[], {}, ""]\n', b""])
    found = b"".join(answers(engine, lambda: next(pieces), lambda key: key)).splitlines()
    assert [json.loads(one) for one in found] == [NO, NO, {"error": "engine.error.raises"}]


def test_both_engines_answer_alike_and_say_who_they_are(tmp_path: Path) -> None:
    lines = b'["alice", "data1", "read"]\n["bob","data1","read"]\n[{},"data1","read"]\n'
    ours, theirs = (told(decided(tmp_path, lines, "--engine", engine)) for engine in ("compiled", "pycasbin"))
    assert [one.get("engine") for one in ours] == ["compiled/1", "compiled/1", None]
    assert {str(one.get("engine"))[:10] for one in theirs[:2]} == {"pycasbin/2"}
    assert (
        [one.get("allowed") for one in ours] == [one.get("allowed") for one in theirs] == [True, False, None]
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_bad_files_end_it_with_file_and_line_before_anything_is_read(tmp_path: Path, language: str) -> None:
    result = decided(tmp_path, b'["a"]\n', rules="p, admin, data1\nq, x\n", language=language)
    assert (result.exit_code, result.stdout) == (2, "")
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{tmp_path / 'p.csv'}:1: ")
    assert second.startswith(f"{tmp_path / 'p.csv'}:2: ")
    assert first.isascii() is (language == "en")
    result = decided(tmp_path, b"", model_text="nonsense\n", language=language)
    assert result.exit_code == 2
    assert f"{tmp_path / 'm.conf'}:1: " in result.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    words = ["policy", "decide", "--model", str(tmp_path / "none"), "--policy", str(tmp_path)]
    result = CliRunner().invoke(cli.group, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert str(tmp_path / "none") in result.stderr


def test_a_model_beyond_the_compiler_is_told_of_once(tmp_path: Path) -> None:
    beyond = model("r.sub == p.sub && r.act in [a for a in ('read', p.act)]")
    result = decided(tmp_path, b'["admin", "x", "read"]\n' * 3, model_text=beyond, rules="p, admin, x, y\n")
    assert [one["engine"][:8] for one in told(result)] == ["pycasbin"] * 3
    assert len(result.stderr.splitlines()) == 1


def running(words: Sequence[str], **more: Any) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    environment |= {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    return subprocess.Popen([*GATEHOUSE, *words], env=environment, **more)


def test_an_answer_comes_before_the_next_request_and_a_reader_may_leave(tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    with running(files(tmp_path), stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        for request, expected in ((b'["alice","data1","read"]\n', YES), (b'["bob","data1","read"]\n', NO)):
            process.stdin.write(request)
            process.stdin.flush()
            assert json.loads(process.stdout.readline()) == expected
        process.stdout.close()
        process.stdin.write(b'["bob","data1","read"]\n')
        process.stdin.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""
