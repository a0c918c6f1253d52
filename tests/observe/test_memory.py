"""A process that crashes leaves its memory nowhere."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

CRASH = """
import ctypes, os, resource
_, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
from gateway.observe import keep_memory_private
keep_memory_private()
keep_memory_private()
print(resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)
os.abort()
"""


def test_a_crash_leaves_no_core_file_and_hands_nothing_to_a_collector(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -signal.SIGABRT
    # No core size, and PR_GET_DUMPABLE (3) says that a pipe in core_pattern gets nothing either.
    assert done.stdout == "0 0\n"
    assert list(tmp_path.iterdir()) == []
