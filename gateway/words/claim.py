"""A change that its caller names by a key, so that it is made once however often it is sent. Keyed digests only: no value, no key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Idempotency-Key stands for.

    key:       whose key it is: application, person and the key's text.   principal: application and person alone.
    request:   what it was sent with: method, target, purpose, condition, headers that pass, body; bound to `key`.
    Shapes: 32 bytes each, made under a key of the root secret: nobody without it can guess a body or a key and compare.
    """

    key: bytes
    principal: bytes
    request: bytes
