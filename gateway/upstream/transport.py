"""Step 7 of the request path: the one interface to whatever carries a request to an upstream.

A transport moves bytes. It knows nothing of records, routes or credentials, follows nothing and decodes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.words.errors import BadAnswer

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110 section 9.2.1: these change nothing, so one whose caller left may be stopped half-way."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, ready to be put on the wire.

    target: origin-form (RFC 9112 section 3.2.1) exactly as it will be sent. headers: without framing, host and connection headers.
    body: None for none. connect_seconds: until the request can be written. answer_seconds: from the first byte
    written until the whole answer is there. max_answer_bytes: of the body.
    """

    method: str
    target: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes | None = field(repr=False)
    connect_seconds: float
    answer_seconds: float
    max_answer_bytes: int


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A whole answer, framed in exactly one way. headers: lower-case names in order, values as ISO 8859-1; no trailers."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """Gives the value of the first header of that lower-case name, None when there is none."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Transport(Protocol):
    """Carries exchanges to one upstream. Any number may be under way at once.

    Raises NotSent: no byte of the request was given to anybody. NoAnswer: some of it may have been, and no whole
    answer came. BadAnswer: it was answered, and the answer cannot be read in one way, is too large or is encoded.
    Nothing else, but a cancellation. Promises: never a redirect, a cookie, a proxy or a retry after the first byte.
    """

    async def send(self, exchange: Exchange) -> RawAnswer:
        """Gives the whole answer."""
        ...

    async def close(self) -> None:
        """Ends every connection; what is asked from then on is NotSent."""
        ...


def encoded(headers: Sequence[tuple[str, str]]) -> bool:
    """Tells whether the body comes in a coding (RFC 9110 section 8.4) although only `identity` was accepted."""
    return any(name == "content-encoding" and value.strip().lower() != "identity" for name, value in headers)


def done(raw: RawAnswer) -> bool:
    """Tells whether the upstream did what was asked. Raises BadAnswer for a redirect, a part, or no status that is one."""
    if 300 <= raw.status < 400 or raw.status == 206 or not 200 <= raw.status <= 599:
        raise BadAnswer(raw.status)  # never followed: nobody decided on where it leads
    return raw.status < 300
