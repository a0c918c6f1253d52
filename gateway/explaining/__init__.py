"""Service: says why the policy in force decides as it does. Decided and recorded like any request; it shows facts and no record's value."""

from gateway.explaining.asking import Asked, asked_of
from gateway.explaining.people import People
from gateway.explaining.service import Explained, Explaining

__all__ = ["Asked", "Explained", "Explaining", "People", "asked_of"]
