"""A change that its caller names by a key, so that it is made once however often it is sent. Keyed digests only: no value, no key."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Idempotency-Key stands for.

    key:       whose key it is: application, person and the key's text.   principal: application and person alone.
    request:   what it was sent with: method, target, purpose, condition, headers that pass, body; bound to `key`.
    salt:      random, new for each claim; kept in the row alone.   mark: over salt, key and request, for the intent's entry.
    Shapes: 32 bytes each, the salt 16, the mark 64 hex digits; made under a key of the root secret: nobody without it can guess a
    body or a key and compare. Promises: once the row is gone nobody can by the mark, which the log keeps for ever.
    """

    key: bytes
    principal: bytes
    request: bytes
    salt: bytes = field(compare=False)
    mark: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a key stands for: an intent of the log, and the mark that this intent's entry must carry to be believed."""

    intent: int
    mark: str
