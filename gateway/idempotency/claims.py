"""Step 3 for a change that names an Idempotency-Key: reads the header and digests the request. Pure.

draft-ietf-httpapi-idempotency-key-header: the value is a structured-field String (RFC 8941 section 3.3.3). Clients that send the
bare key are many, so that is taken as well, and stands for the same key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Final

from gateway.keys import Keyring, Label
from gateway.words.access import Call
from gateway.words.claim import Claim
from gateway.words.errors import Code, Refused
from gateway.words.work import Addressed

HEADER: Final = "idempotency-key"
MAX_CHARACTERS: Final = 255
SALT_BYTES: Final = 16

# `\\` and `\"` are the only escapes of a String; parameters after it are nobody's and refused.
_STRING: Final = re.compile(r'"(?P<text>(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')
# What needs no quotes: no blank, comma, semicolon, backslash or quote, so that it is no list, no item with parameters and no half String.
_BARE: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")
_ESCAPED: Final = re.compile(r"\\(.)")


def read_key(value: str) -> str:
    """Gives the key that the header's value says. Raises Refused(HEADER_MALFORMED)."""
    text: str | None = None
    if (quoted := _STRING.fullmatch(value)) is not None:
        text = _ESCAPED.sub(r"\1", quoted["text"])
    elif _BARE.fullmatch(value):
        text = value
    if text is None or len(text) > MAX_CHARACTERS:
        raise Refused(Code.HEADER_MALFORMED, header=HEADER)
    return text


class Claims:
    """Makes claims under one root secret: the same in every process that has it."""

    def __init__(self, keyring: Keyring, dice: Callable[[int], bytes] = os.urandom) -> None:
        self._keyring = keyring
        self._dice = dice

    def of(self, call: Call, what: Addressed) -> Claim | None:
        """Gives what a change's key stands for, None where it names none. Raises Refused(HEADER_MALFORMED)."""
        value = call.header(HEADER)
        if value is None:
            return None
        principal = what.access.principal
        person = () if principal.person is None else (principal.person.id,)
        whose = ("principal", principal.application.id, *person)
        key = self._mac("key", *whose, read_key(value))
        request, salt = self._mac("request", key, *_request(call, what)), self._dice(SALT_BYTES)
        return Claim(key, self._mac(*whose), request, salt, self.mark(key, request, salt))

    def mark(self, key: bytes, request: bytes, salt: bytes) -> str:
        """Gives what the entry of this request's intent carries."""
        return self._mac("intent", salt, key, request).hex()

    def _mac(self, *parts: bytes | str) -> bytes:
        return self._keyring.mac(Label.IDEMPOTENCY, *parts)


def _request(call: Call, what: Addressed) -> list[bytes | str]:
    """Gives everything that decides what is forwarded, as it was received: bytes, since two spellings of one document may
    be two to an upstream. The credential is none of it: a key may be renewed between two attempts."""
    purpose = what.access.purpose
    headers = [("if-match", call.header("if-match")), ("content-type", call.header("content-type"))]
    parts: list[bytes | str] = [
        call.method,
        call.path,
        call.raw_query,
        "none" if purpose is None else "for",
        purpose or "",
    ]
    for name, value in [*headers, *what.work.to.headers]:
        parts += (name, "absent" if value is None else "present", value or "")
    return [*parts, "body", call.body]
