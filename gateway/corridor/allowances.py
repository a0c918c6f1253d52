"""Step 9, inside: what an answer takes of the budgets that hold for whoever gets it. Pure: the log counts, in the entry's own transaction.

A counter is a keyed digest of the budget's name and window, the person (the application where there is none), the application and the
purpose; a member is one of the counter and a data subject. So what lies in the store names nobody, and no two counters share a member.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Final

import orjson

from audit import Claim, Over, OverBudget, Receipt
from gateway.rooms import Evidence
from gateway.words.access import Access
from gateway.words.budget import ANY, Budget, Counted
from gateway.words.decision import Disclosure, Facts
from gateway.words.errors import Code, Refused
from gateway.words.record import Alarm, AlarmKind, View
from gateway.words.work import Addressed

_MEMBER_BYTES = 16
Once = Mapping[Claim, Alarm]
"""What may be raised, and the claim that lets each be raised by one request only, of all processes."""


@dataclass(frozen=True, slots=True)
class Showing:
    """One record that is about to be shown: whose it is (or which it is, where nobody knows whose), of what unit, how much in clear."""

    whose: str | None
    unit: object
    clear: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What one answer takes: claims for the log, and the budget that each counter is of."""

    claims: tuple[Claim, ...] = ()
    budgets: Mapping[bytes, Budget] = field(default_factory=dict)

    def refusal(self, over: Sequence[Over], now: datetime) -> Refused:
        """Gives the error for an answer that would exceed: it names the budget whose window ends last, since all of them hold."""
        last = max(over, key=lambda one: one.ends)
        budget = self.budgets[last.claim.counter]
        left = (datetime.fromisoformat(last.ends) - now).total_seconds()
        return Refused(
            Code.OVER_BUDGET,
            budget=budget.name,
            counts=budget.counts.value,
            most=budget.most,
            window_seconds=budget.seconds,
            until=last.ends,
            retry_after_seconds=max(1, ceil(left)),
        )

    def once(self, over: Sequence[Over], what: Addressed, evidence: Evidence) -> dict[Claim, Alarm]:
        """Gives the alarm for each budget that was met, with what counts it: one for a person, a budget and a window."""
        return {
            Claim(
                _digest(evidence, "budget-alarm", [one.claim.counter.hex(), one.ends]),
                *(one.claim.seconds, 1, (), 1),
            ): Alarm(
                AlarmKind.BUDGET_EXCEEDED,
                what.ref.upstream,
                what.ref.resource,
                self.budgets[one.claim.counter].name,
            )
            for one in over
        }


NOTHING: Final = Taken()


def taken(
    what: Addressed,
    budgets: Sequence[Budget],
    showings: Callable[[], Iterable[Showing]],
    evidence: Evidence,
    *,
    searched: bool = False,
) -> Taken:
    """Gives what an answer takes of these budgets. showings: what it shows, asked for only where something counts it."""
    if not budgets:
        return NOTHING
    shown = tuple(showings())
    claims: dict[bytes, Claim] = {}
    of: dict[bytes, Budget] = {}
    for budget in budgets:
        counter = _counter(budget, what.access, evidence)
        here = [one for one in shown if budget.unit in (ANY, one.unit)]
        members: tuple[bytes, ...] = ()
        amount = 0
        match budget.counts:
            case Counted.SUBJECTS:
                whose = dict.fromkeys(one.whose for one in here if one.whose is not None)
                members = tuple(_member(counter, one, evidence) for one in whose)
            case Counted.CLEAR_FIELDS:
                amount = sum(one.clear for one in here)
            case Counted.SEARCHES:
                amount = int(searched)
        if members or amount:
            claims[counter] = Claim(counter, budget.seconds, budget.most, members, amount)
            of[counter] = budget
    return Taken(tuple(claims.values()), of)


def of_views(what: Addressed, views: Sequence[View], evidence: Evidence) -> list[Showing]:
    """Gives what views show."""
    return [
        Showing(
            _whose(what, view.subject, lambda view=view: evidence.reference(view.ref, False)),  # type: ignore[misc]
            view.decision.facts.values.get("unit"),
            sum(how is Disclosure.CLEAR for how in view.shown.values()),
        )
        for view in views
    ]


def of_bytes(what: Addressed, pseudonym: str | None, facts: Facts, evidence: Evidence) -> list[Showing]:
    """Gives what bytes show that nobody reads: their record's data subject, and as much in clear as one field."""
    whose = _whose(what, pseudonym, lambda: evidence.reference(what.ref, False))
    return [Showing(whose, facts.values.get("unit"), 1)]


async def raised_once(
    once: Mapping[Claim, Alarm], append: Callable[[Once], Awaitable[Receipt]]
) -> tuple[Receipt, tuple[Alarm, ...]]:
    """Makes an entry with the claims of alarms that nobody raised yet, and gives those to raise now.

    append: appends an entry with the claims that it is given; asked again without those that another request was first with.
    """
    left = dict(once)
    while True:
        try:
            return await append(left), tuple(left.values())
        except OverBudget as known:
            for over in known.over:
                del left[over.claim]


def _whose(what: Addressed, subject: str | None, which: Callable[[], str]) -> str | None:
    """A record that must be about somebody and of whom nobody knows is counted as somebody of its own; one about nobody is not."""
    if subject is not None:
        return f"subject:{subject}"
    return None if what.resource.subject is None else f"record:{which()}"


def _counter(budget: Budget, access: Access, evidence: Evidence) -> bytes:
    principal = access.principal
    holder = principal.person or principal.application
    named = [budget.name, budget.counts.value, budget.seconds]
    return _digest(
        evidence, "budget-counter", [*named, holder.id, principal.application.id, access.purpose or ""]
    )


def _member(counter: bytes, whose: str, evidence: Evidence) -> bytes:
    return _digest(evidence, "budget-member", [counter.hex(), whose])[:_MEMBER_BYTES]


def _digest(evidence: Evidence, label: str, parts: Sequence[str | int]) -> bytes:
    return bytes.fromhex(evidence.bytes_digest(label, orjson.dumps(parts)))
