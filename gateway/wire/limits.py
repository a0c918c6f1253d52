"""How much the data-plane door takes, and how long it waits. Constants in units; settings may replace them at the start."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """One set of bounds, passed in. Sizes in bytes, times in seconds.

    max_target_bytes: path and query together → 414. max_headers, max_header_bytes: all header lines of a request together → 431.
    max_body_bytes: → 413, before it is read where Content-Length says so.
    header_seconds: from a request's first byte (or a connection's opening) to the end of its headers.
    body_seconds: from there to the body's last byte. keep_alive_seconds: an idle connection's life.
    max_connections: per process; the next one takes the place of one that only waits, or is answered 503.
    answer_seconds, answer_bytes_a_second: an answer's life until its client has taken it: so long, and a second for so many bytes.
    max_unread_bytes, max_unfinished_bytes: of a listener's answers that nobody has taken yet, and of bodies that are not whole yet,
    together; beyond it the oldest are let go.
    stop_seconds: how long a stop waits for the requests under way.
    """

    max_target_bytes: int = 8 * KIB
    max_headers: int = 64
    max_header_bytes: int = 32 * KIB
    max_body_bytes: int = 1 * MIB
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    keep_alive_seconds: int = 60
    max_connections: int = 2_000
    answer_seconds: float = 30.0
    answer_bytes_a_second: int = 64 * KIB
    max_unread_bytes: int = 128 * MIB
    max_unfinished_bytes: int = 64 * MIB
    stop_seconds: int = 30


DEFAULT_LIMITS = Limits()
