"""Requests in, decisions out: JSON lines, one answer a line, as they come. Nothing that a request says is repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import orjson

from gateway.policy.engine.faults import Undecidable
from gateway.policy.engine.verdict import Engine
from gateway.wire.json import MAX_INT64, parse
from gateway.words.errors import Refused

MAX_LINE = 1 << 20
"""Bytes of one request. A longer line is answered with an error, and none of it is kept."""
CHUNK = 1 << 16
MALFORMED = "engine.error.malformed"


def answers(engine: Engine, read: Callable[[], bytes], say: Callable[[str], str]) -> Iterator[bytes]:
    """Gives what is to be written, for each piece that `read` gives, until that is empty.

    read: the next bytes that are there, waiting only where there are none. say: the text of an error's key.
    Promises: as many lines as came in, in their order; each is a decision or an error. Keeps at most one line that is not whole.
    """
    held = b""
    passing = False  # over the rest of a line that was too long
    while True:
        piece = read()
        *lines, rest = piece.split(b"\n")
        if lines:
            lines[0] = held + lines[0]
            held = rest
        else:
            held += rest
        if not piece and held:
            lines, held = [held], b""
        found = []
        for line in lines:
            found.append(
                _failed(MALFORMED, say) if passing or len(line) > MAX_LINE else answer(engine, line, say)
            )
            passing = False
        if len(held) > MAX_LINE:
            passing, held = True, held[:1]
        if found:
            yield b"".join(found)
        if not piece:
            return


def answer(engine: Engine, line: bytes, say: Callable[[str], str]) -> bytes:
    """Gives the one line for a request's line."""
    try:
        request = parse(line, max_integer=MAX_INT64)
    except Refused:
        return _failed(MALFORMED, say)
    if type(request) is not list:
        return _failed(MALFORMED, say)
    try:
        allowed, rule = engine.decide(request)
    except Undecidable as undecidable:
        return _failed(undecidable.key, say)
    return orjson.dumps({"allowed": allowed, "rule": rule, "engine": engine.name}) + b"\n"


def _failed(key: str, say: Callable[[str], str]) -> bytes:
    return orjson.dumps({"error": say(key)}) + b"\n"
