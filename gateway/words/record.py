"""What comes from an upstream, closed; and what the lens makes of it, a view. The clear text of an answer lives only in `View`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.words.access import ResourceRef
from gateway.words.decision import Decision, Disclosure
from gateway.words.json import Json, JsonObject, Pattern, Pointer


@dataclass(frozen=True, slots=True)
class ClosedRecord:
    """One record as the upstream gave it: sealed fields are envelopes. Nothing in it has been decided on or opened.

    fields:  the document at the record's root. version: what a conditional write must name, None where there is none.
    outside: what stands around the record's root in its item or document, by pointer, only pointers listed in Shape.frame.
    links:   link text of the upstream's → the gateway's address for it. Fields hold links as the upstream says them, since that is
             what a replace must send back; a link that is not in here leads past the gateway and is never shown.
    """

    ref: ResourceRef
    fields: JsonObject = field(repr=False)
    version: str | None = None
    outside: Mapping[Pointer, Json] = field(default_factory=dict, repr=False)
    links: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ClosedPage:
    """A run of items in the upstream's order. next: where the following page begins, None at the end.

    places: where a list goes on after each of the items, where the upstream says it. total: how many there are, where it was asked.
    """

    items: tuple[ClosedRecord, ...]
    next: str | None
    outside: Mapping[Pointer, Json] = field(default_factory=dict, repr=False)
    places: tuple[str, ...] | None = field(default=None, repr=False)
    total: int | None = None


class AlarmKind(StrEnum):
    """What a page is sent for."""

    ENVELOPE_MISPLACED = "envelope-misplaced"  # opens, or would, somewhere else; or was altered
    ENVELOPE_MALFORMED = "envelope-malformed"
    CLEAR_WHERE_SEALED = "clear-where-sealed"
    RECORD_UNBOUND = "record-unbound"
    BINDING_BROKEN = "binding-broken"  # its authentication does not hold
    ALREADY_BOUND = "already-bound"  # an upstream answered a create with an id that another record holds
    SUBJECT_MISMATCH = "subject-mismatch"
    KEY_MISSING = "key-missing"  # destroyed, or its row is gone
    KEY_BROKEN = (
        "key-broken"  # a wrapped key does not open where it stands, or its key-encryption key is not here
    )
    FIELD_UNKNOWN = "field-unknown"
    LINK_FOREIGN = "link-foreign"
    CERTIFICATE_ENDING = "certificate-ending"
    CERTIFICATE_REFUSED = "certificate-refused"  # changed files cannot be used; what was in use stays
    ISSUER_SILENT = "issuer-silent"  # a persons' issuer does not answer with its keys
    INTENT_STUCK = "intent-stuck"  # nothing here can tell what became of a change: a person must look
    BUDGET_EXCEEDED = (
        "budget-exceeded"  # somebody asked for more than a budget allows; once a person, budget and window
    )
    DECOY_TOUCHED = (
        "decoy-touched"  # somebody read, changed or asked for a record that nobody has business with
    )
    WORKER_ENDED = "worker-ended"  # one of several processes ended that nobody asked to; another is started


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that was withheld because it should not be. Names a place by its pattern, or a budget by its name; never holds a value."""

    kind: AlarmKind
    upstream: str
    resource: str
    pattern: Pattern | None = None


class View:
    """One record as one decision lets it be seen. Made only by the lens (a test reads the source for other makers).

    document: the record's root, clear, masked, token; withheld fields are absent. shown: pointer → how, withheld ones too.
    """

    __slots__ = ("alarms", "decision", "document", "ref", "shown", "subject")

    def __init__(
        self,
        *,
        ref: ResourceRef,
        decision: Decision,
        document: JsonObject,
        shown: Mapping[Pointer, Disclosure],
        subject: str | None,
        alarms: tuple[Alarm, ...],
    ) -> None:
        if not decision.allowed:
            raise ValueError("a view needs a decision that allows")
        self.ref = ref
        self.decision = decision
        self.document = document
        self.shown = shown
        self.subject = subject
        self.alarms = alarms

    def __repr__(self) -> str:
        return "View()"


@dataclass(frozen=True, slots=True)
class SealedChange:
    """A caller's change, sealed: what will be sent upstream and what the intent's entry says of it.

    document: the record's root as it is to be sent (whole for REPLACE, the members that change for MERGE). Nothing in clear
              that the catalogue seals. set: pointers that change. digests: pointer → SHA-256 (hex) of each new ciphertext's text.
    same:     True when nothing would change: nothing is sent.
    marker:   what finds a create again: the idempotency key, or the envelope's text for SEARCH.
    """

    document: JsonObject = field(repr=False)
    set: tuple[Pointer, ...]
    digests: Mapping[Pointer, str]
    same: bool
    subject: str | None
    marker: str | None = field(default=None, repr=False)
    pending: str | None = (
        None  # the pending binding's seal id: for a create, and for a change that adopts its record
    )
