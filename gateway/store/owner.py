"""Ground: the lock by which one process owns the SQLite stores of a home."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from gateway.words.errors import Misconfigured


class OwnerLock:
    """Held from construction until `release` or the process's end, however it ends: the kernel lets go, no stale file can block a start.

    Raises Misconfigured when another holds it, in this process or another.
    Promises: the file is 0600, holds the owner's process id for a person to read, and is never removed
    (removing it would let a third process lock a new file beside the second).
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            self.release()
            raise Misconfigured(
                f"the stores belong to a running process (pid {owner or 'unknown'}): stop it first"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode("ascii"), 0)

    @staticmethod
    def holder(path: Path) -> str | None:
        """Gives the process id of whoever holds the lock, None where nobody does. Makes nothing and keeps nobody out."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
        finally:
            os.close(handle)
        return None

    def release(self) -> None:
        """Lets go. Repeating it does nothing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> OwnerLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
