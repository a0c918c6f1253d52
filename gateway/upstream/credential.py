"""Before the path: an upstream's credential, from its reference to a header. Read once at the start and at every load."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from gateway.plainfile import read_plain
from gateway.wire.headers import well_formed
from gateway.words.errors import Misconfigured
from gateway.words.resource import Credential

_MAX_BYTES = 16_384


def credential_header(
    credential: Credential, environment: Mapping[str, str], upstream: str
) -> tuple[str, str]:
    """Gives the header that proves us to the upstream.

    Raises Misconfigured, naming the reference and never what it holds: nothing there, empty, not one line of ASCII, not
    `user:password` for Basic.
    """
    where = f"upstream {upstream}: the credential {credential.reference}"
    secret = _read(credential.reference, environment, where)
    if credential.scheme == "Basic":
        if ":" not in secret:
            raise Misconfigured(f"{where} is not user:password, as the scheme Basic needs")
        secret = base64.b64encode(secret.encode()).decode("ascii")
    value = f"{credential.scheme} {secret}" if credential.scheme else secret
    name = credential.header.lower()
    if not well_formed(name, value):
        raise Misconfigured(f"{where} is not one line of visible ASCII")
    return name, value


def _read(reference: str, environment: Mapping[str, str], where: str) -> str:
    kind, _, place = reference.partition(":")
    if kind == "env" and place:
        secret = environment.get(place, "")
    elif kind == "file" and place:
        try:
            secret = read_plain(Path(place), _MAX_BYTES).decode().removesuffix("\n").removesuffix("\r")
        except (OSError, ValueError):  # a name with a NUL in it, or bytes that are no text
            raise Misconfigured(f"{where} cannot be read") from None
    else:
        raise Misconfigured(f"{where} is neither env:NAME nor file:PATH")
    if not secret:
        raise Misconfigured(f"{where} is not there or empty")
    return secret
