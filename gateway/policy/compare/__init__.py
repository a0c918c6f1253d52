"""Beside the request path: two bundles compared. Who gains and who loses, the proof that nobody gains, whether one person could,
recorded decisions made again."""

from gateway.policy.compare.effects import Effect, Effects, Moved, effects
from gateway.policy.compare.gaining import gains
from gateway.policy.compare.replay import Recorded, askers_of, comes_out, decided, outermost
from gateway.policy.compare.widening import widened

__all__ = [
    "Effect",
    "Effects",
    "Moved",
    "Recorded",
    "askers_of",
    "comes_out",
    "decided",
    "effects",
    "gains",
    "outermost",
    "widened",
]
