"""Commands whose reader went away (`gatehouse audit tail | head -1`) end as other tools do: silently, with 128 and SIGPIPE's number."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import click

READER_GONE = 128 + signal.SIGPIPE


class Commands(click.Group):
    """A group that decides this itself: click would end the process with 1, which says "found wanting" here."""

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        """As click's; `--help` and `--version` print in here."""
        with _read_to_the_end():
            return super().make_context(*given, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """As click's."""
        with _read_to_the_end():
            return super().invoke(ctx)


def hold_places() -> None:
    """Puts nobody's file where stdin, stdout or stderr is closed.

    Else the next file that is opened has that number, a store for one, and what is written to stderr goes into it; libuv aborts a
    process that closes one of the three.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def let_go() -> bool:
    """Tells whether somebody who read stdout or stderr went away. What is still to be written there is written to nobody."""
    gone = [stream for stream in (sys.stdout, sys.stderr) if _gone(stream)]
    for stream in gone:
        # What lies in its buffer would be tried again as the interpreter ends, and the failure told on stderr.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    return bool(gone)


@contextmanager
def _read_to_the_end() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        if let_go():
            raise click.exceptions.Exit(READER_GONE) from None
        error.errno = None  # another pipe than those two: a defect, which click would keep to itself
        raise


def _gone(stream: TextIO | None) -> bool:
    with suppress(OSError, ValueError):  # no file of the system's
        if stream is not None:
            looking = select.poll()
            looking.register(stream.fileno(), 0)
            return any(seen & (select.POLLERR | select.POLLHUP) for _, seen in looking.poll(0))
    return False
