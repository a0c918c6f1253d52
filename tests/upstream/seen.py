"""What the adapter tests look at: a view to put together, a place, the alarms of an answer."""

from __future__ import annotations

from gateway.words.access import ResourceRef
from gateway.words.answer import Answer
from gateway.words.decision import DecidedBy, Decision, Facts, FieldView, Reason
from gateway.words.record import View


def view(ref: ResourceRef, document) -> View:
    decision = Decision(
        True,
        Reason.RULE_ALLOWED,
        DecidedBy.BUNDLE,
        None,
        FieldView(),
        frozenset(),
        Facts(),
        "sha256:0",
        "test",
        1,
    )
    return View(ref=ref, decision=decision, document=document, shown={}, subject=None, alarms=())


def ref(record: str, resource: str = "customer") -> ResourceRef:
    return ResourceRef("crm", resource, record)


def patterns(answer: Answer) -> list[tuple[str, str | None]]:
    return [(alarm.kind.value, alarm.pattern) for alarm in answer.alarms]
