"""Ground: work that runs by itself while the gateway serves."""

from gateway.jobs.loops import Loops

__all__ = ["Loops"]
