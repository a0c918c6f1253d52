"""Everything that is measured, in one table: name, label, the closed list of the label's values, unit, meaning. Nothing else can be.

A label's values are the members of closed enums, so that no name, id or value of anybody can become one (docs/observability.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from gateway.words.decision import Reason
from gateway.words.errors import Code
from gateway.words.record import AlarmKind


class Count(StrEnum):
    """Everything that is counted; a total only grows."""

    ANSWERS = "gatehouse.answers"
    REFUSALS = "gatehouse.refusals"
    DECISIONS = "gatehouse.decisions"
    FIELDS = "gatehouse.fields"
    ALARMS = "gatehouse.alarms"
    ADOPTED = "gatehouse.adopted"
    DEFECTS = "gatehouse.defects"
    ENTRIES = "gatehouse.log.entries"
    LOG_FAILURES = "gatehouse.log.failures"
    UPSTREAM_ERRORS = "gatehouse.upstream.errors"
    SPANS = "gatehouse.telemetry.spans"
    EXPORTS = "gatehouse.telemetry.exports"


class Level(StrEnum):
    """Everything that goes up and down."""

    INTENTS_OPEN = "gatehouse.intents.open"
    INTENTS_OLDEST = "gatehouse.intents.oldest"
    LOG_WAITING = "gatehouse.log.waiting"
    BUNDLE_REFUSED = "gatehouse.bundle.refused"
    WORKERS_MISSING = "gatehouse.workers.missing"


class Spread(StrEnum):
    """Everything whose distribution is kept."""

    ANSWER = "gatehouse.answer.duration"
    UPSTREAM = "gatehouse.upstream.duration"
    BATCH = "gatehouse.log.batch"


class Outcome(StrEnum):
    """Classes of answers."""

    SERVED = "served"
    REFUSED = "refused"
    FAILED = "failed"

    @staticmethod
    def of(status: int) -> Outcome:
        """Gives the class of an HTTP status."""
        if status < 400:
            return Outcome.SERVED
        return Outcome.REFUSED if status < 500 else Outcome.FAILED


class Shown(StrEnum):
    """How a field of a record was shown; the words of entries."""

    CLEAR = "clear"
    MASKED = "masked"
    TOKEN = "token"  # noqa: S105 - the word, no secret
    WITHHELD = "withheld"


class Entered(StrEnum):
    """Kinds of entries; the words of the log."""

    INTENT = "intent"
    OUTCOME = "outcome"
    SERVED = "served"
    DENIED = "denied"
    CHANGE = "change"
    NOTE = "note"


class Unwritten(StrEnum):
    """Why an entry was not written."""

    STALE = "stale"  # decided at an older fence: decided anew
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    OVER_BUDGET = "over-budget"  # it would have exceeded an allowance: refused, or told without the record
    REFUSED = "refused"  # it would have broken the log's own format: a defect of ours


class Trouble(StrEnum):
    """What went wrong with an upstream."""

    NOT_SENT = "not-sent"
    NO_ANSWER = "no-answer"
    BAD_ANSWER = "bad-answer"
    SERVER_ERROR = "server-error"  # 5xx
    CREDENTIAL_REFUSED = "credential-refused"  # 401, 403: ours, not the caller's


class Fate(StrEnum):
    """What became of a span."""

    EXPORTED = "exported"
    DROPPED = "dropped"  # there was no room: the collector is slow or gone
    FAILED = "failed"  # the collector refused it or did not answer


class Exported(StrEnum):
    """What became of an attempt to export."""

    DONE = "done"
    FAILED = "failed"


Labels: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One thing that is measured. label: its one label's name, None where it has none.

    unit: as UCUM writes it; empty for a number of things (`1` would be taken for a ratio by those who translate names).
    """

    help: str
    label: str | None = None
    values: tuple[type[StrEnum], ...] = ()
    unit: str = ""
    bounds: tuple[float, ...] = ()

    def all_labels(self) -> tuple[Labels, ...]:
        """Gives every label that a total may have."""
        if self.label is None:
            return ((),)
        words = dict.fromkeys(str(member) for kind in self.values for member in kind)
        return tuple(((self.label, word),) for word in words)


SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

TABLE: Final[Mapping[Count | Level | Spread, Instrument]] = {
    Count.ANSWERS: Instrument("Answers given, by class of status.", "outcome", (Outcome,)),
    Count.REFUSALS: Instrument("Answers that explain an error, by its code.", "code", (Code,)),
    Count.DECISIONS: Instrument(
        "Decisions in durable entries, by reason; a refusal without a decision by its code.",
        "reason",
        (Reason, Code),
    ),
    Count.FIELDS: Instrument("Fields of records in answers, by how they were shown.", "shown", (Shown,)),
    Count.ALARMS: Instrument("Alarms raised, by kind.", "kind", (AlarmKind,)),
    Count.ADOPTED: Instrument("Values shown in clear under `clear_until` that the catalogue seals."),
    Count.DEFECTS: Instrument("Exceptions that are not of our error tree."),
    Count.ENTRIES: Instrument("Durable entries of the log, by kind.", "kind", (Entered,)),
    Count.LOG_FAILURES: Instrument(
        "Entries that were not written, by why; stale ones were decided anew.", "why", (Unwritten,)
    ),
    Count.UPSTREAM_ERRORS: Instrument(
        "Exchanges with upstreams that went wrong, by kind.", "kind", (Trouble,)
    ),
    Count.SPANS: Instrument("Spans of sampled requests, by what became of them.", "fate", (Fate,)),
    Count.EXPORTS: Instrument(
        "Attempts to send telemetry to the collector, by result.", "result", (Exported,)
    ),
    Level.INTENTS_OPEN: Instrument("Changes whose outcome is not recorded, those under way included."),
    Level.INTENTS_OLDEST: Instrument("Age of the oldest change whose outcome is not recorded.", unit="s"),
    Level.LOG_WAITING: Instrument("Entries waiting for the log's writer, or being written."),
    Level.BUNDLE_REFUSED: Instrument("1 while the policy folder holds an edit that was refused, else 0."),
    Level.WORKERS_MISSING: Instrument(
        "Workers that do not serve, of those that `run --workers` was asked for."
    ),
    Spread.ANSWER: Instrument(
        "Time from a request's head to its answer, by class of status.",
        "outcome",
        (Outcome,),
        "s",
        SECONDS,
    ),
    Spread.UPSTREAM: Instrument("Time of an exchange with an upstream.", unit="s", bounds=SECONDS),
    Spread.BATCH: Instrument("Entries a commit of the log.", bounds=BATCHES),
}
