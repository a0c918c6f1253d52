"""Step 10 of the request path: a view becomes bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from audit import Receipt
from gateway.rooms import Answer, Reply
from gateway.words.answer import Content
from gateway.words.decision import Decision
from gateway.words.errors import BadAnswer, Code, GatehouseError, Refused
from gateway.words.json import JsonObject

# What an upstream's refusal becomes for our caller. Its body never passes; its meaning does.
_MEANING = {
    400: Code.VALUE_REFUSED,
    404: Code.NOT_FOUND,
    409: Code.CONFLICT,
    410: Code.NOT_FOUND,
    412: Code.CHANGED_MEANWHILE,
    413: Code.BODY_TOO_LARGE,
    422: Code.VALUE_REFUSED,
    428: Code.CONDITION_MISSING,
    429: Code.TOO_MANY,
}

_SUCCESSES = frozenset({200, 201, 202, 204})


def reply(
    status: int,
    document: JsonObject | None,
    receipt: Receipt,
    decision: Decision,
    passing: Iterable[tuple[str, str]] = (),
    *,
    tick_seconds: float = 0.0,
) -> Reply:
    """Gives the answer: the document (None: no body), where its entry stands, and by which policy it was decided.

    A success that we do not know is told as what it is to whoever does not know it, 200 (RFC 9110 section 15).
    """
    if status not in _SUCCESSES:
        status = 200
    headers = [*passing, ("audit-ref", receipt.ref), ("gatehouse-policy", decision.bundle)]
    if document is None:
        return Reply(status, tuple(headers), b"", tick_seconds=tick_seconds)
    return Reply(
        status,
        (("content-type", "application/json"), *headers),
        orjson.dumps(document),
        tick_seconds=tick_seconds,
    )


# Saved, not shown; and where a browser shows it all the same, nothing in it runs, is loaded or is of this address (CSP level 3, 6.3).
_AS_BYTES = (
    ("content-disposition", "attachment"),
    ("content-security-policy", "sandbox; default-src 'none'"),
    ("accept-ranges", "none"),
)


def attachment(content: Content, receipt: Receipt, decision: Decision) -> Reply:
    """Gives a record's bytes as they are. Of what the upstream said beside them nothing passes, a file's name included: it is a value."""
    if not decision.allowed:
        raise ValueError("bytes leave by a decision that allows")
    headers = (("content-type", content.media_type), *_AS_BYTES)
    ours = (("audit-ref", receipt.ref), ("gatehouse-policy", decision.bundle))
    return Reply(200, (*headers, *ours), content.data)


def check(answer: Answer) -> Answer:
    """Gives the answer when the upstream did what was asked. Raises Refused or BadAnswer with its meaning otherwise."""
    if 200 <= answer.status < 300:
        return answer
    raise refusal_of(answer)


def refusal_of(answer: Answer) -> GatehouseError:
    """Gives the error that an upstream's status means. 401 and 403 are about our credential, not about the caller."""
    meaning = _MEANING.get(answer.status)
    if meaning is not None:
        return Refused(meaning)
    if answer.status in (401, 403) or answer.status >= 500:
        return GatehouseError(Code.UPSTREAM_REFUSED)
    return BadAnswer(answer.status)
