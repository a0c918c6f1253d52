"""Service: API keys and clients are issued, revoked, listed and settled, clients get tokens; a caller learns who he is.

Decided and recorded like any request.
"""

from gateway.credentials.clients import MAX_OVERLAP, Clients, Renewed
from gateway.credentials.freezes import Freezes, Frozen
from gateway.credentials.keys import MAX_LISTED, Issued, Keys, Listed, Page, bound_to
from gateway.credentials.settle import KeySettlement
from gateway.credentials.tokens import Granted, Tokens, Wanted
from gateway.credentials.trapping import Trapping
from gateway.credentials.who import Who, whoami
from gateway.credentials.wish import Declared, Wish

__all__ = [
    "MAX_LISTED",
    "MAX_OVERLAP",
    "Clients",
    "Declared",
    "Freezes",
    "Frozen",
    "Granted",
    "Issued",
    "KeySettlement",
    "Keys",
    "Listed",
    "Page",
    "Renewed",
    "Tokens",
    "Trapping",
    "Wanted",
    "Who",
    "Wish",
    "bound_to",
    "whoami",
]
