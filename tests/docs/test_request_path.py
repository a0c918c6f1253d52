"""The times and bounds that docs/request-path.md names are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.edge.protocol import _FRAMES_BYTES
from gateway.wire.limits import DEFAULT_LIMITS, KIB, MIB

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "request-path.md").read_text()


def test_the_limits_of_slow_clients_are_those_of_the_code() -> None:
    named = dict(re.findall(r"\| `([a-z_]+)`, ([^|]*) \|", PAGE))
    limits = DEFAULT_LIMITS
    assert named == {
        "header_seconds": f"{limits.header_seconds:g}",
        "body_seconds": f"{limits.body_seconds:g}",
        "keep_alive_seconds": f"{limits.keep_alive_seconds}",
        "answer_seconds": f"{limits.answer_seconds:g}, and a second for each {limits.answer_bytes_a_second // KIB} KiB",
        "max_unread_bytes": f"{limits.max_unread_bytes // MIB} MiB",
        "max_unfinished_bytes": f"{limits.max_unfinished_bytes // MIB} MiB",
        "max_connections": f"{limits.max_connections:,}",
    }
    assert f"twice as many bytes on the wire as in itself, and {_FRAMES_BYTES // KIB} KiB more" in PAGE
