"""Beside step 5: why a decision came out as it did, what would change it, and who can do what. No part of the hot path."""

from gateway.policy.why.explain import decided, explain, where
from gateway.policy.why.explanation import (
    Change,
    Column,
    Explanation,
    FieldSaid,
    Kind,
    Near,
    Posed,
    Said,
    Why,
)
from gateway.policy.why.people import May, people_of, who_can
from gateway.policy.why.reach import Can, what_can

__all__ = [
    "Can",
    "Change",
    "Column",
    "Explanation",
    "FieldSaid",
    "Kind",
    "May",
    "Near",
    "Posed",
    "Said",
    "Why",
    "decided",
    "explain",
    "people_of",
    "what_can",
    "where",
    "who_can",
]
