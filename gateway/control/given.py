"""The control door: what it is given. Names nothing of the framework's, which only `application` loads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audit import Log
from gateway.activating import Activating, History
from gateway.credentials import Clients, Freezes, Keys, Tokens
from gateway.explaining import Explaining
from gateway.rooms import Identifier
from gateway.store import Store


@dataclass(frozen=True, slots=True)
class TokenDoor:
    """What issues tokens. issuer: this gateway's own address, without a slash at its end. jwks: gives the key set of now, as JSON."""

    tokens: Tokens
    clients: Clients
    issuer: str
    audience: str
    jwks: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class ControlDeps:
    """stores: by the name that `/readyz` uses. bundle: the digest of the policy in force, None where there is none.

    edit_refused, edit_waits: whether the policy folder holds an edit that was refused, or that waits for a second person.
    key_file_there: whether a start would still find the keys.
    assertion_keys: the key set of what upstreams are told, as JSON. tokens: None where no tokens are issued.
    """

    identity: Identifier
    keys: Keys
    freezes: Freezes
    log: Log
    stores: Mapping[str, Store]
    bundle: Callable[[], str | None]
    assertion_keys: bytes
    explaining: Explaining
    activating: Activating[Any]
    history: History
    edit_refused: Callable[[], bool] = lambda: False
    edit_waits: Callable[[], bool] = lambda: False
    key_file_there: Callable[[], bool] = lambda: True
    tokens: TokenDoor | None = None
