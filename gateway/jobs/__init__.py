"""Ground: work that runs by itself while the gateway serves."""

from gateway.jobs.ending import CANCEL_SECONDS, cut_short
from gateway.jobs.loops import Loops

__all__ = ["CANCEL_SECONDS", "Loops", "cut_short"]
