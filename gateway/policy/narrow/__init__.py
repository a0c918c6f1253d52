"""Which records a question could be allowed on, as the word `Filter`: what an upstream leaves out is not read to be hidden."""

from gateway.policy.narrow.question import askers, within

__all__ = ["askers", "within"]
