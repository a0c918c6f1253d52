"""Counts whose labels are closed, and alarms that are remembered by kind and place."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gateway.observe import Alarms, Count, Metrics, Outcome, Unwritten, configure
from gateway.words.errors import Code
from gateway.words.record import Alarm, AlarmKind

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    made = Metrics()
    yield made
    made.close()


def test_counts_add_up_by_label(metrics: Metrics) -> None:
    metrics.count(Count.REFUSALS, code=Code.UNIDENTIFIED)
    metrics.count(Count.REFUSALS, 2, code=Code.UNIDENTIFIED)
    metrics.count(Count.REFUSALS, code=Code.NOT_FOUND)
    metrics.took(0.01, Outcome.SERVED)
    assert metrics.totals() == {
        ("gatehouse.refusals", (("code", "unidentified"),)): 3,
        ("gatehouse.refusals", (("code", "not-found"),)): 1,
    }


def test_a_label_that_is_no_member_of_a_closed_enum_is_refused(metrics: Metrics) -> None:
    with pytest.raises(TypeError, match="closed enum"):
        metrics.count(Count.REFUSALS, code="13800001234")  # type: ignore[arg-type]  # the mistake under test
    assert metrics.totals() == {}


@pytest.mark.parametrize("name", Count)
def test_no_counter_takes_a_label_beyond_its_own(metrics: Metrics, name: Count) -> None:
    with pytest.raises(TypeError):
        metrics.count(name, customer=Code.NOT_FOUND)
    with pytest.raises(TypeError):
        metrics.count(name, **dict.fromkeys(["code", "kind"], Code.NOT_FOUND))


def test_a_total_that_is_counted_elsewhere_is_taken_as_it_is(metrics: Metrics) -> None:
    metrics.reached(Count.LOG_FAILURES, 7, why=Unwritten.STALE)
    metrics.reached(Count.LOG_FAILURES, 9, why=Unwritten.STALE)
    assert metrics.totals() == {("gatehouse.log.failures", (("why", "stale"),)): 9}


def test_batches_in_other_classes_are_refused(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="classes"):
        metrics.batches((1, 2, 3), 6)


def test_what_is_counted_elsewhere_is_brought_up_to_date_before_each_reading(metrics: Metrics) -> None:
    metrics.before_reading(lambda: metrics.count(Count.DEFECTS))
    assert [metrics.totals(), metrics.totals()] == [
        {("gatehouse.defects", ()): 1},
        {("gatehouse.defects", ()): 2},
    ]


def test_outcomes_are_three() -> None:
    assert [Outcome.of(status).value for status in (200, 304, 400, 499, 500, 504)] == [
        "served",
        "served",
        "refused",
        "refused",
        "failed",
        "failed",
    ]


def test_an_alarm_is_counted_logged_and_remembered(metrics: Metrics) -> None:
    stream = io.StringIO()
    restore = configure(logging.INFO, stream)
    alarms = Alarms(metrics, lambda: NOON)
    alarms.raise_([Alarm(AlarmKind.ENVELOPE_MISPLACED, "crm", "customer", "/phone")])
    restore()
    (line,) = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert (line["event"], line["kind"], line["pattern"]) == ("alarm", "envelope-misplaced", "/phone")
    assert metrics.totals() == {("gatehouse.alarms", (("kind", "envelope-misplaced"),)): 1}
    (kept,) = alarms.recent()
    assert (kept.kind, kept.upstream, kept.resource, kept.pattern, kept.time) == (
        AlarmKind.ENVELOPE_MISPLACED,
        "crm",
        "customer",
        "/phone",
        NOON,
    )


def test_the_last_hundred_alarms_are_kept(metrics: Metrics) -> None:
    alarms = Alarms(metrics, lambda: NOON)
    for number in range(150):
        alarms.raise_([Alarm(AlarmKind.FIELD_UNKNOWN, "crm", "customer", f"/f{number}")])
    assert [alarm.pattern for alarm in alarms.recent()] == [f"/f{number}" for number in range(50, 150)]
