"""Commands as a shell runs them, without a process for each: the entry point itself, with its arguments and its environment."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import sys
from pathlib import Path
from unittest.mock import patch

from gateway import cli

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def gatehouse(home: Path, *words: str, **settings: str) -> tuple[int, str]:
    """Gives a command's exit code and everything that it printed. One that goes on to serve needs a process of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    given = plain | {"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0"} | settings
    printed = io.StringIO()
    threshold, handlers = gc.get_threshold(), [signal.getsignal(number) for number in SIGNALS]
    with (
        patch.dict(os.environ, given, clear=True),
        # What this process writes, and where, stays as it is.
        patch.object(cli, "configure", lambda **_: None),
        patch.object(sys, "argv", ["gatehouse", *words]),
        contextlib.chdir(home.parent),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        try:
            cli.main()
        except SystemExit as ended:
            return int(str(ended.code)), printed.getvalue()
        finally:
            gc.set_threshold(*threshold)
            for number, handler in zip(SIGNALS, handlers, strict=True):
                signal.signal(number, handler)
