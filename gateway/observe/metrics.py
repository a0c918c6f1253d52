"""Counts and durations behind a small face: names from one list, labels only from closed enums, so that no value can become one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final, cast

from opentelemetry.metrics import CallbackOptions, Histogram, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.resources import Resource


class Count(StrEnum):
    """Everything that is counted."""

    ANSWERS = "gatehouse.answers"  # label outcome
    REFUSALS = "gatehouse.refusals"  # label code
    ALARMS = "gatehouse.alarms"  # label kind
    ADOPTED = "gatehouse.adopted"  # values shown in clear under `clear_until` that the catalogue seals
    DEFECTS = "gatehouse.defects"  # exceptions that are not of our error tree


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


_SECONDS: Final = "gatehouse.answer.duration"
_BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """One set of instruments, kept in memory; an exporter is joined when there is somewhere to export to."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        # The resource is given, not detected: detection reads the environment and the machine's names.
        self._provider = MeterProvider(
            metric_readers=[self._reader],
            resource=Resource({"service.name": "gatehouse"}),
            shutdown_on_exit=False,
        )
        meter = self._provider.get_meter("gatehouse")
        # Kept by ourselves and asked for when somebody collects: a dictionary's entry costs a tenth of an instrument's.
        self._totals: Mapping[Count, Counter[tuple[tuple[str, StrEnum], ...]]] = {
            name: Counter() for name in Count
        }
        for name in Count:
            meter.create_observable_counter(name.value, [self._observe(name)])
        self._seconds: Histogram = meter.create_histogram(
            _SECONDS, unit="s", explicit_bucket_boundaries_advisory=_BOUNDS
        )

    def count(self, name: Count, amount: int = 1, /, **labels: StrEnum) -> None:
        """Adds to a counter. Raises TypeError for a label that is not a member of a closed enum."""
        for label in labels.values():
            if not isinstance(label, StrEnum):
                raise TypeError("a metric's label is a member of a closed enum")
        self._totals[name][tuple(labels.items())] += amount

    def _observe(self, name: Count) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """Gives what the exporter asks: a counter's totals so far."""

        def observed(_: CallbackOptions) -> Iterable[Observation]:
            totals = dict(self._totals[name])
            return [
                Observation(n, {key: label.value for key, label in labels}) for labels, n in totals.items()
            ]

        return observed

    def took(self, seconds: float, outcome: Outcome) -> None:
        """Notes how long an answer took."""
        self._seconds.record(seconds, {"outcome": outcome.value})

    def totals(self) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], int]:
        """Gives every counter's total by its name and labels (sorted pairs)."""
        data = self._reader.get_metrics_data()
        found: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        for metric in (
            m for r in (data.resource_metrics if data else ()) for s in r.scope_metrics for m in s.metrics
        ):
            for point in metric.data.data_points:
                if isinstance(point, NumberDataPoint):
                    labels = cast(Mapping[str, str], point.attributes or {})
                    found[metric.name, tuple(sorted(labels.items()))] = int(point.value)
        return found

    def close(self) -> None:
        """Ends the instruments. Safe to repeat is not promised."""
        self._provider.shutdown()
