"""Beside the path of a change: keys by which callers name their changes, so that each is made once. The room's public face."""

from gateway.idempotency.store import KEPT, IdempotencyKeys

__all__ = ["KEPT", "IdempotencyKeys"]
