"""What `/metrics` says: the Prometheus text format 0.0.4, made from the table and nothing else. Pure.

Our own few lines in place of a library: the labels are closed words that need no escaping, and the format is older than most libraries.
Source: prometheus.io, "Exposition formats", text-based format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from gateway.observe.instruments import TABLE, Count, Labels, Level, Spread
from gateway.observe.metrics import Distribution, Series

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_UNITS: Final = {"s": "_seconds"}


def prometheus_name(name: Count | Level | Spread) -> str:
    """Gives the name under which Prometheus knows it: dots as `_`, the unit, and `_total` where it only grows."""
    unit = _UNITS.get(TABLE[name].unit, "")
    return name.value.replace(".", "_") + unit + ("_total" if isinstance(name, Count) else "")


def render(collected: Sequence[Series]) -> bytes:
    """Gives the page."""
    return "".join(line + "\n" for series in collected for line in _lines(series)).encode("ascii")


def _lines(series: Series) -> Iterator[str]:
    name = prometheus_name(series.name)
    kind = "counter" if isinstance(series.name, Count) else "gauge"
    if isinstance(series.name, Spread):
        kind = "histogram"
    yield f"# HELP {name} {series.instrument.help}"
    yield f"# TYPE {name} {kind}"
    for labels, value in series.values.items():
        if isinstance(value, Distribution):
            yield from _histogram(name, labels, value, series.instrument.bounds)
        else:
            yield f"{name}{_braces(labels)} {_number(value)}"


def _histogram(name: str, labels: Labels, value: Distribution, bounds: Iterable[float]) -> Iterator[str]:
    edges = [*(_number(bound) for bound in bounds), "+Inf"]
    below = list(accumulate(value.counts))
    for edge, count in zip(edges, below, strict=True):
        yield f"{name}_bucket{_braces((*labels, ('le', edge)))} {count}"
    yield f"{name}_sum{_braces(labels)} {_number(value.sum)}"
    yield f"{name}_count{_braces(labels)} {below[-1]}"


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{word}"' for name, word in labels) + "}" if labels else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
