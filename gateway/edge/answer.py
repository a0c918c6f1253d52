"""Step 10's last yard: an answer's header lines, and its bytes as they leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Protocol

from gateway.text.problems import SAFE_HEADERS
from gateway.wire.headers import well_formed
from gateway.words.errors import Code, GatehouseError

_BODILESS: Final = frozenset({204, 304})  # RFC 9110 sections 15.3.5 and 15.4.5
_REQUEST: Final = "gatehouse-request"
_LENGTH: Final = "content-length"
_OURS: Final = frozenset({*(name for name, _ in SAFE_HEADERS), _REQUEST, _LENGTH})
_SAFE: Final = "".join(f"{name}: {value}\r\n" for name, value in SAFE_HEADERS)
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
# RFC 9112 section 4: the blank before the phrase stands also where there is no phrase.
_STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode("ascii") for status in range(200, 600)
}


class Answer(Protocol):
    """What a Reply and a Problem have in common."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names in lower case."""
        ...

    @property
    def body(self) -> bytes:
        """The whole content; empty when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer made ready. head: its header lines, each with its end. body: empty where its status has none."""

    status: int
    head: str
    body: bytes = field(repr=False)


def answered(answer: Answer, request_id: str) -> Answered:
    """Makes an answer ready: its own header lines, the safe ones in place of its own, the request's id, the content's length.

    Raises GatehouseError(INTERNAL) for lines that could not be sent as they are.
    """
    text = ""
    for name, value in answer.headers:
        if not well_formed(name, value):
            raise GatehouseError(Code.INTERNAL)
        if name not in _OURS:
            text += f"{name}: {value}\r\n"
    if answer.status in _BODILESS:
        return Answered(answer.status, f"{text}{_SAFE}{_REQUEST}: {request_id}\r\n", b"")
    body = answer.body
    return Answered(
        answer.status, f"{text}{_SAFE}{_REQUEST}: {request_id}\r\n{_LENGTH}: {len(body)}\r\n", body
    )


def wire_bytes(made: Answered, added: bytes, *, without: bool) -> bytes:
    """Gives the bytes of an answer. added: further header lines, each with its end. without: to a HEAD the content is left away and
    the header lines stay (RFC 9110 section 9.3.2)."""
    head = made.head.encode("ascii")
    return b"".join((_STATUS_LINES[made.status], added, head, b"\r\n", b"" if without else made.body))


def lines_of(made: Answered) -> list[tuple[bytes, bytes]]:
    """Gives the header lines one by one, as ASGI wants them."""
    pairs = (line.partition(b": ") for line in made.head.encode("ascii").split(b"\r\n") if line)
    return [(name, value) for name, _, value in pairs]
