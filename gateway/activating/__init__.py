"""Service: who puts which bundle in force. One files, another who does not gain by it confirms, and the log says so. The public face."""

from gateway.activating.entries import (
    ACTIVATE,
    REFUSE,
    SYSTEM,
    WAIT,
    How,
    Last,
    last_activation,
    said_by,
    standing_at,
)
from gateway.activating.history import MAX_LISTED, History, Told, shown
from gateway.activating.service import Activating, Done, Putting, Wanted
from gateway.activating.settle import ActivationSettlement

__all__ = [
    "ACTIVATE",
    "MAX_LISTED",
    "REFUSE",
    "SYSTEM",
    "WAIT",
    "Activating",
    "ActivationSettlement",
    "Done",
    "History",
    "How",
    "Last",
    "Putting",
    "Told",
    "Wanted",
    "last_activation",
    "said_by",
    "shown",
    "standing_at",
]
