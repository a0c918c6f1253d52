"""Ground: a process that holds keys and clear values keeps its memory to itself, also when it crashes."""

from __future__ import annotations

import ctypes
import resource
import sys
from typing import Final

from gateway.words.errors import Misconfigured

_PR_SET_DUMPABLE: Final = 4
"""prctl(2), <linux/prctl.h>."""


def keep_memory_private() -> None:
    """Lets no crash of this process write its memory anywhere, whatever limits it was started with. Repeating does nothing more.

    Two guards: no core file (RLIMIT_CORE), and not dumpable, since a `core_pattern` that is a pipe ignores the limit (core(5)).
    Raises Misconfigured where the kernel does not grant it.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise Misconfigured(
            "the kernel does not let this process keep its memory out of crash dumps: allow prctl(PR_SET_DUMPABLE)"
        )
