"""`/metrics` as Prometheus reads it: every instrument from the start, the format's own rules, and labels from closed lists alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

import pytest

from audit import BATCH_BOUNDS, Kind
from gateway.observe import (
    TABLE,
    Count,
    Entered,
    Level,
    Metrics,
    Outcome,
    Shown,
    Spread,
    prometheus_name,
    render,
)
from gateway.observe.instruments import BATCHES
from gateway.words.decision import Disclosure
from gateway.words.errors import Code

# The format's grammar: metric names, one label of ours or `le`, a number.
_SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[a-zA-Z0-9+.-]+",?)+)\})? (\d+(?:\.\d+)?(?:e-?\d+)?|\+Inf)')
NAMES = [*Count, *Level, *Spread]


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    made = Metrics()
    yield made
    made.close()


def page(metrics: Metrics) -> list[str]:
    text = render(metrics.collect()).decode()
    assert text.endswith("\n")
    return text.splitlines()


def samples(metrics: Metrics) -> dict[str, float]:
    found = {}
    for line in page(metrics):
        if not line.startswith("#"):
            read = _SAMPLE.fullmatch(line)
            assert read is not None, line
            found[line.rpartition(" ")[0]] = float(read[3])
    return found


def test_every_instrument_is_in_the_table_and_on_the_page_from_the_start(metrics: Metrics) -> None:
    assert list(TABLE) == NAMES
    typed = {line.split()[2]: line.split()[3] for line in page(metrics) if line.startswith("# TYPE")}
    assert typed == {
        prometheus_name(name): "counter"
        if isinstance(name, Count)
        else "histogram"
        if isinstance(name, Spread)
        else "gauge"
        for name in NAMES
    }
    assert set(samples(metrics).values()) == {0.0}


def test_what_was_counted_stands_there(metrics: Metrics) -> None:
    metrics.count(Count.REFUSALS, 3, code=Code.NOT_FOUND)
    metrics.level(Level.INTENTS_OLDEST, 12.5)
    metrics.took(0.004, Outcome.SERVED)
    metrics.took(0.005, Outcome.SERVED)
    metrics.took(99, Outcome.SERVED)
    said = {name: value for name, value in samples(metrics).items() if value}
    assert said == {
        'gatehouse_refusals_total{code="not-found"}': 3,
        "gatehouse_intents_oldest_seconds": 12.5,
        'gatehouse_answer_duration_seconds_sum{outcome="served"}': 99.009,
        'gatehouse_answer_duration_seconds_count{outcome="served"}': 3,
        **{
            f'gatehouse_answer_duration_seconds_bucket{{outcome="served",le="{edge}"}}': n
            for edge, n in {
                "0.005": 2,
                "0.01": 2,
                "0.02": 2,
                "0.05": 2,
                "0.1": 2,
                "0.2": 2,
                "0.5": 2,
                "1": 2,
                "2": 2,
                "5": 2,
                "10": 2,
                "+Inf": 3,
            }.items()
        },
    }


def test_every_label_is_of_a_closed_list_and_none_names_anybody() -> None:
    for instrument in TABLE.values():
        assert instrument.label in (
            None,
            "outcome",
            "code",
            "reason",
            "shown",
            "kind",
            "why",
            "fate",
            "result",
        )
        assert (instrument.label is None) == (instrument.values == ())
        assert all(issubclass(kind, StrEnum) for kind in instrument.values)


def test_words_that_stand_in_two_places_are_the_same() -> None:
    assert {shown.value for shown in Shown} == {how.word for how in Disclosure}
    assert {kind.value for kind in Entered} == {kind.value for kind in Kind}
    assert BATCHES == BATCH_BOUNDS
