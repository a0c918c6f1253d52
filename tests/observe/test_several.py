"""Several processes' metrics on one page: side by side, each with its own, and nothing that is not in the table."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from gateway.observe import Count, Level, Metrics, Outcome, Shown, joined, packed, render, unpacked


@pytest.fixture
def two() -> Iterator[tuple[Metrics, Metrics]]:
    one, other = Metrics(), Metrics()
    one.count(Count.FIELDS, 3, shown=Shown.MASKED)
    one.took(0.003, Outcome.SERVED)
    one.level(Level.INTENTS_OLDEST, 1.5)
    other.count(Count.FIELDS, 4, shown=Shown.MASKED)
    yield one, other
    one.close()
    other.close()


def through_a_pipe(metrics: Metrics) -> object:
    return orjson.loads(orjson.dumps(packed(metrics.collect())))


def test_what_is_packed_is_unpacked_as_it_was(two: tuple[Metrics, Metrics]) -> None:
    for metrics in two:
        assert render(unpacked(through_a_pipe(metrics))) == render(metrics.collect())


def test_each_process_keeps_its_own_series_under_its_number(two: tuple[Metrics, Metrics]) -> None:
    pages = {str(number): unpacked(through_a_pipe(one)) for number, one in enumerate(two, 1)}
    lines = render(joined(pages)).decode().splitlines()
    assert 'gatehouse_fields_total{worker="1",shown="masked"} 3' in lines
    assert 'gatehouse_fields_total{worker="2",shown="masked"} 4' in lines
    assert 'gatehouse_intents_oldest_seconds{worker="1"} 1.5' in lines
    assert 'gatehouse_answer_duration_seconds_bucket{worker="1",outcome="served",le="0.005"} 1' in lines
    # The format wants a metric's lines together, and its kind said once (prometheus.io, "Exposition formats").
    kinds = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds))
    alone = render(two[0].collect()).decode().splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        line for line in alone if line.startswith("#")
    ]
    assert sum(not line.startswith("#") for line in lines) == 2 * sum(
        not line.startswith("#") for line in alone
    )


def test_a_process_that_says_only_some_things_adds_only_those(two: tuple[Metrics, Metrics]) -> None:
    own = [series for series in two[0].collect() if series.name is Level.WORKERS_MISSING]
    page = render(joined({"parent": own})).decode().splitlines()
    assert page[1:] == [
        "# TYPE gatehouse_workers_missing gauge",
        'gatehouse_workers_missing{worker="parent"} 0',
    ]


def test_what_a_newer_process_says_besides_is_left_out() -> None:
    assert unpacked([["gatehouse.of.tomorrow", [[[], 1]]]]) == []


@pytest.mark.parametrize(
    "wrong",
    [None, 3, [3], [["gatehouse.log.batch", [[[], 3]]]], [["gatehouse.log.batch", [[[], [[1, 2], 3]]]]]],
)
def test_what_no_process_of_ours_says_is_an_error(wrong: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        unpacked(wrong)
