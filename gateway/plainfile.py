"""Beside the path: reads a file that somebody named, and nothing that is no file: a pipe of that name would hold a start up for ever,
and a device never ends. Files of keys, which ask more of a file, are read by `gateway.keys`."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_plain(path: Path, most: int) -> bytes:
    """Gives what the file holds. Raises OSError, also where it is no plain file, or is longer than `most` bytes."""
    # Not blocking: to open a pipe is to wait for whoever writes into it.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a plain file")
    with os.fdopen(handle, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data
