"""Several processes' metrics as one page: each packs its own for the pipe to its parent, who puts them side by side.

Side by side and never added up: a process that was started anew begins at nought, and a sum that falls would be read as a restart of
all of them. Each series has a label `worker` in front of its own; whoever asks adds up (`sum by (outcome)`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.observe.instruments import TABLE, Count, Labels, Level, Spread
from gateway.observe.metrics import Distribution, Series

LABEL: Final = "worker"
_NAMES: Final = {name.value: name for name in TABLE}


def packed(collected: Sequence[Series]) -> list[Any]:
    """Gives plain values for JSON, from which `unpacked` makes the same."""
    return [
        [
            series.name.value,
            [
                [[[n, str(word)] for n, word in labels], _plain(value)]
                for labels, value in series.values.items()
            ],
        ]
        for series in collected
    ]


def unpacked(data: Any) -> list[Series]:
    """Gives what a process of this very program packed; what a newer one has besides is left out.

    Raises ValueError, TypeError or KeyError for anything else.
    """
    found = []
    for text, values in data:
        name = _NAMES.get(text)
        if name is not None:
            read = {_labels(labels): _value(name, value) for labels, value in values}
            found.append(Series(name, TABLE[name], read))
    return found


def joined(by_worker: Mapping[str, Sequence[Series]]) -> list[Series]:
    """Gives every series of every process, in the table's order, labelled with whose it is."""
    return [
        Series(name, instrument, dict(_of(name, by_worker)))
        for name, instrument in TABLE.items()
        if any(series.name is name for collected in by_worker.values() for series in collected)
    ]


def _of(
    name: Count | Level | Spread, by_worker: Mapping[str, Sequence[Series]]
) -> Iterator[tuple[Labels, float | Distribution]]:
    for worker, collected in by_worker.items():
        for series in collected:
            if series.name is name:
                yield from ((((LABEL, worker), *labels), value) for labels, value in series.values.items())


def _plain(value: float | Distribution) -> Any:
    return [list(value.counts), value.sum] if isinstance(value, Distribution) else value


def _labels(labels: Any) -> Labels:
    return tuple((str(name), str(word)) for name, word in labels)


def _value(name: Count | Level | Spread, value: Any) -> float | Distribution:
    if not isinstance(name, Spread):
        return int(value) if value == int(value) else float(value)
    counts, total = value
    if len(counts) != len(TABLE[name].bounds) + 1:
        raise ValueError("a distribution of other classes")
    return Distribution(tuple(int(count) for count in counts), float(total))
