"""Service: the log is read by people. Reading it is an access like any other: decided, and recorded as one entry a question."""

from gateway.trail.reading import MAX_ENTRIES, Reading, Seen

__all__ = ["MAX_ENTRIES", "Reading", "Seen"]
