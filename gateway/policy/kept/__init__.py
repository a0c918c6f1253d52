"""Bundles that were in force, kept by their digest in the state store."""

from gateway.policy.kept.standing import Mark, Standing
from gateway.policy.kept.store import KeptBundles

__all__ = ["KeptBundles", "Mark", "Standing"]
