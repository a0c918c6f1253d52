"""What one person files and another confirms, as it is kept. The room's public face."""

from gateway.approvals.store import (
    approval_of_intent,
    confirm_approval,
    execute_approval,
    insert_approval,
    lapse_approval,
    read_approval,
    waiting_approvals,
)

__all__ = [
    "approval_of_intent",
    "confirm_approval",
    "execute_approval",
    "insert_approval",
    "lapse_approval",
    "read_approval",
    "waiting_approvals",
]
