"""Real causes, each made by the system itself and taken away again. None of them is inside the gateway.

- ENOSPC: the home lies on a tmpfs of its own; a file fills it up. Needs the right to mount.
- EFBIG: RLIMIT_FSIZE of the running process is lowered (prlimit): the kernel refuses every write beyond it.
- EIO: strace attaches to the running process and answers the log's write and sync calls with EIO. Needs strace.
- PostgreSQL: its connections terminated, all its processes stopped (SIGSTOP), the server stopped at once and started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import psutil

from tests.conftest import PostgresServer

Cause = Callable[[], AbstractAsyncContextManager[None]]
DISK = "48m"
_SYNCS = "fsync,fdatasync"
_WRITES = "pwrite64,write"


@contextmanager
def small_disk() -> Iterator[tuple[Path, bool]]:
    """An empty folder, and whether it is a file system of its own that can be filled up."""
    folder = Path(tempfile.mkdtemp(prefix="gh-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder)]
    mounted = (
        shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0
    )
    try:
        yield folder, mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder)


def full_disk(disk: Path) -> Cause:
    """Fills the file system to its last block."""

    @asynccontextmanager
    async def cause() -> AsyncIterator[None]:
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 65536)
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 512)
        try:
            yield
        finally:
            filler.unlink()

    return cause


def refused_writes(pid: int) -> Cause:
    """Lets no file grow, nor any byte be written beyond the first 1,024."""

    @asynccontextmanager
    async def cause() -> AsyncIterator[None]:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024, hard))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

    return cause


def failing_log(pid: int, home: Path, calls: str, when: str = "1+") -> Cause:
    """Answers the given system calls on the log's files with EIO, as a dying disk would. when: which of them, as strace has it."""

    @asynccontextmanager
    async def cause() -> AsyncIterator[None]:
        files = [option for name in ("", "-wal") for option in ("-P", str(home / f"audit.sqlite{name}"))]
        process = await asyncio.create_subprocess_exec(
            *("strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), *files),
            *("-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO:when={when}"),
            stderr=subprocess.DEVNULL,
        )
        await _until(lambda: _traced(pid) or process.returncode is not None)
        assert process.returncode is None, "strace could not attach"
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            await process.wait()

    return cause


def of_files(pid: int, home: Path, disk: Path | None) -> dict[str, Cause]:
    """Gives the causes that this machine allows, by name."""
    causes = {"EFBIG": refused_writes(pid)}
    if disk is not None:
        causes["ENOSPC"] = full_disk(disk)
    if shutil.which("strace"):
        causes["EIO on write"] = failing_log(pid, home, _WRITES)
        causes["EIO on sync"] = failing_log(pid, home, _SYNCS)
        causes["EIO now and then"] = failing_log(pid, home, f"{_WRITES},{_SYNCS}", "7+9")
    return causes


def of_postgres(
    server: PostgresServer, database: str, still_seconds: Callable[[], float]
) -> dict[str, Cause]:
    """Gives the causes around a PostgreSQL of the campaign's own. still_seconds: how long it stands still."""

    @asynccontextmanager
    async def terminated() -> AsyncIterator[None]:
        query = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        over = asyncio.Event()

        async def ending() -> None:
            while not over.is_set():
                await asyncio.to_thread(server.sql, query, database)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), 0.05)

        task = asyncio.ensure_future(ending())
        try:
            yield
        finally:
            over.set()
            await task

    @asynccontextmanager
    async def still() -> AsyncIterator[None]:
        processes = _family(server.pid)
        _signal(processes, signal.SIGSTOP)
        resuming = asyncio.get_running_loop().call_later(still_seconds(), _signal, processes, signal.SIGCONT)
        try:
            yield
        finally:
            resuming.cancel()
            _signal(processes, signal.SIGCONT)

    @asynccontextmanager
    async def down() -> AsyncIterator[None]:
        await asyncio.to_thread(_quit, server)
        try:
            yield
        finally:
            await asyncio.to_thread(_restart, server)

    return {"connections terminated": terminated, "SIGSTOP": still, "stopped at once": down}


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - another process's state has no event
            await asyncio.sleep(0.01)


def _traced(pid: int) -> bool:
    """True when every thread of the process is traced."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)


def _family(pid: int) -> list[psutil.Process]:
    postmaster = psutil.Process(pid)
    return [postmaster, *postmaster.children(recursive=True)]


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _quit(server: PostgresServer) -> None:
    """An immediate shutdown: no checkpoint, every connection cut; the next start recovers from the WAL."""
    processes = _family(server.pid)
    processes[0].send_signal(signal.SIGQUIT)
    _, left = psutil.wait_procs(processes, 60)
    assert not left, "PostgreSQL did not stop"


def _restart(server: PostgresServer) -> None:
    for _ in range(6):
        # On a busy machine recovery may outlast the ten seconds that the package gives it.
        with contextlib.suppress(subprocess.SubprocessError, AssertionError):
            server.server.ensure_postgres_running()
            return
        time.sleep(1)
    raise AssertionError("PostgreSQL did not start again")
