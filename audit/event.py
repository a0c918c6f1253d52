"""What enters the log and what comes out of it: plain values, no I/O. docs/entry-format.md is the page about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = Any  # str, int, bool, None, lists and string-keyed mappings of them; `canon` refuses all else
_Bytes = bytes  # StoredEntry has a field of that name

FORMAT_VERSION = 1
GENESIS = "0" * 64
"""`prev` of the first entry, and the hash of an empty log's head."""


class Kind(StrEnum):
    """What an entry says."""

    INTENT = "intent"  # something is about to be changed
    OUTCOME = "outcome"  # what became of an intent
    SERVED = "served"  # something was shown
    DENIED = "denied"  # something was refused
    CHANGE = "change"  # the gateway's own state changed
    NOTE = "note"  # anything else worth keeping: a start, an alarm, a summary


SETTLING = frozenset({Kind.OUTCOME, Kind.SERVED, Kind.DENIED})
"""Kinds that close the intent which their `of` names."""


@dataclass(frozen=True, slots=True)
class RecordPart:
    """What an entry says of one record. It lies beside the entry; the entry holds only a salted commitment to it.

    body: reference, subject (a pseudonym), fields (pointer → how shown), sealed (pointer → digest of the ciphertext);
          any string-keyed JSON without floats. Never a personal value.
    """

    body: Mapping[str, Json]


@dataclass(frozen=True, slots=True, repr=False)
class AuditEvent:
    """What happened, before it has a place in the log.

    principal: application, person, roles, proven.          resource: upstream, type.
    decision:  allowed, reason, by, rule, bundle, facts (a digest), engine.
    upstream:  what the upstream answered (status …).       of: the intent's seq; an outcome must have it.
    details:   bytes that the caller has sealed; stored beside the entry, which holds their SHA-256.
    """

    kind: Kind
    request: str
    principal: Mapping[str, Json]
    action: str
    trace: str | None = None
    purpose: str | None = None
    resource: Mapping[str, Json] | None = None
    records: tuple[RecordPart, ...] = ()
    decision: Mapping[str, Json] | None = None
    grant: str | None = None
    upstream: Mapping[str, Json] | None = None
    of: int | None = None
    details: bytes | None = None

    def __repr__(self) -> str:
        return f"AuditEvent({self.kind.value}, {self.request})"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof for the caller that its entry is durable. `fence` is the log's fence from this entry on."""

    seq: int
    hash: str
    time: str
    fence: int

    @property
    def ref(self) -> str:
        """`seq:hash`, the form of the Audit-Ref header; `verify` checks it against a log."""
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log ends. Empty: seq 0, hash GENESIS, time ""."""

    seq: int
    hash: str
    fence: int
    time: str
    log: str


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A record's part as it lies in the store: 32 bytes of salt, canonical bytes of the body."""

    salt: bytes
    body: bytes


@dataclass(frozen=True, slots=True, repr=False)
class StoredEntry:
    """An entry as it lies in the store. `bytes` are its canonical bytes, to be shown and exported as they are."""

    seq: int
    bytes: _Bytes
    hash: str
    parts: tuple[StoredPart, ...]
    details: _Bytes | None

    def __repr__(self) -> str:
        return f"StoredEntry({self.seq}:{self.hash})"


@dataclass(frozen=True, slots=True, repr=False)
class OpenIntent:
    """An intent that no entry has settled yet. `fields` are the parsed entry; it may simply still be under way."""

    seq: int
    time: str
    fields: Mapping[str, Json]
    entry: StoredEntry

    def __repr__(self) -> str:
        return f"OpenIntent({self.seq})"
