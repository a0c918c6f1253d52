"""Service: API keys are issued, revoked, listed and settled; a caller learns who he is. Decided and recorded like any request."""

from gateway.credentials.keys import MAX_LISTED, Issued, Keys, Listed, Page, bound_to
from gateway.credentials.settle import KeySettlement
from gateway.credentials.who import Who, whoami
from gateway.credentials.wish import Declared, Wish

__all__ = [
    "MAX_LISTED",
    "Declared",
    "Issued",
    "KeySettlement",
    "Keys",
    "Listed",
    "Page",
    "Who",
    "Wish",
    "bound_to",
    "whoami",
]
