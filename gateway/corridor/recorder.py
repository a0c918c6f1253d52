"""Steps 6 and 9: the log as the corridor uses it, with what is seen of it counted. Changes nothing of what the log promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from audit import (
    AuditEvent,
    Claim,
    EventRefused,
    Figures,
    Kind,
    Log,
    LogBusy,
    LogUnavailable,
    OpenIntent,
    OverBudget,
    Receipt,
    Stale,
    StoredEntry,
)
from gateway.observe import Count, Entered, Level, Metrics, Shown, SpanKind, Unwritten, end, here
from gateway.words.decision import Reason
from gateway.words.errors import Code

# Entries that say that something was decided; an outcome repeats its intent's decision.
_DECIDED: Final = frozenset({Kind.INTENT, Kind.SERVED, Kind.DENIED})
_REASONS: Final[Mapping[str, Reason | Code]] = {
    **{code.value: code for code in Code},
    **{reason.value: reason for reason in Reason},
}
_WHY: Final[Mapping[type[Exception], Unwritten]] = {
    Stale: Unwritten.STALE,
    OverBudget: Unwritten.OVER_BUDGET,
    LogBusy: Unwritten.BUSY,
    LogUnavailable: Unwritten.UNAVAILABLE,
    EventRefused: Unwritten.REFUSED,
}
_UNWRITTEN: Final = tuple(_WHY)
_NONE: Final[Mapping[str, object]] = {}
_SHOWN: Final = {shown.value: shown for shown in Shown}


class Appender(Protocol):
    """Makes entries durable, and reads of them what the corridor must know, all as `audit.Log` promises."""

    async def append(
        self,
        event: AuditEvent,
        *,
        fence: int | None = None,
        raises_fence: bool = False,
        claims: Sequence[Claim] = (),
    ) -> Receipt:
        """Gives the receipt of one durable entry. Raises what the log raises."""
        ...

    async def entry(self, seq: int) -> StoredEntry | None:
        """Gives one entry, None where there is none. Raises LogUnavailable."""
        ...

    async def settling(self, intent: int) -> StoredEntry | None:
        """Gives the entry that settled an intent, None while it is open. Raises LogUnavailable."""
        ...

    async def open_intents(self) -> list[OpenIntent]:
        """Gives every intent that nothing settled. Raises LogUnavailable."""
        ...


class Recorder:
    """The log, and beside it how the fields of served records were shown. Fits Appender."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics

    async def append(
        self,
        event: AuditEvent,
        *,
        fence: int | None = None,
        raises_fence: bool = False,
        claims: Sequence[Claim] = (),
    ) -> Receipt:
        """As the log's. What an entry says of fields is counted once it is durable: only then are they shown."""
        traced, span = here.get(), None
        if traced is not None and traced.root is not None:
            span = traced.child(f"append {event.kind.value}", SpanKind.INTERNAL)
        try:
            receipt = await self._log.append(event, fence=fence, raises_fence=raises_fence, claims=claims)
        except _UNWRITTEN as error:
            end(span, error=_WHY.get(type(error)))
            raise
        end(span)
        for part in event.records:
            for word, fields in part.body.get("fields", _NONE).items():
                self._metrics.count(Count.FIELDS, len(fields), shown=_SHOWN[word])
        return receipt

    async def entry(self, seq: int) -> StoredEntry | None:
        """As the log's."""
        return await self._log.entry(seq)

    async def settling(self, intent: int) -> StoredEntry | None:
        """As the log's."""
        return await self._log.settling(intent)

    async def open_intents(self) -> list[OpenIntent]:
        """As the log's."""
        return await self._log.open_intents()


def tell(figures: Figures, metrics: Metrics) -> None:
    """Brings the metrics of the log up to date with what the log counted."""
    kinds: dict[Kind, int] = dict.fromkeys(Kind, 0)
    reasons: dict[Reason | Code, int] = {}
    for (kind, reason), n in figures.entries.items():
        kinds[kind] += n
        if kind in _DECIDED and reason is not None and (known := _REASONS.get(reason)) is not None:
            reasons[known] = reasons.get(known, 0) + n
    for kind, n in kinds.items():
        metrics.reached(Count.ENTRIES, n, kind=Entered(kind.value))
    for known, n in reasons.items():
        metrics.reached(Count.DECISIONS, n, reason=known)
    for why, n in (
        (Unwritten.STALE, figures.stale),
        (Unwritten.OVER_BUDGET, figures.over_budget),
        (Unwritten.BUSY, figures.busy),
        (Unwritten.UNAVAILABLE, figures.unavailable),
        (Unwritten.REFUSED, figures.refused),
    ):
        metrics.reached(Count.LOG_FAILURES, n, why=why)
    metrics.batches(figures.batches, sum(kinds.values()))
    metrics.level(Level.LOG_WAITING, figures.waiting)
