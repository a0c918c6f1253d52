"""From `gatehouse run` to its first answer, on a home that is there already: seconds, and memory after it."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.children import CORES, asked, serving
from bench.prepare import settings


def starts(scratch: Path, count: int, rules: int | None = None) -> dict[str, Any]:
    """Gives the seconds of each start and the memory of the last. rules: how many the policy has, None for the shipped one."""
    with serving([sys.executable, "-m", "bench.upstream"], cores=set(CORES)) as upstream:
        home, policies = scratch / f"start-{rules}", scratch / f"start-policies-{rules}"
        question = {
            "home": str(home),
            "policies": str(policies),
            "upstream": upstream.port,
            "customers": 20,
            "rules": rules,
        }
        made = asked("bench.prepare", question)
        seconds, memory = [], 0.0
        for _ in range(count):
            began = perf_counter()
            command = [sys.executable, "-c", "from gateway.cli import main; main()", "run"]
            with serving(
                command, cores=set(CORES), settings=settings(home, policies, upstream.port)
            ) as house:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{house.port}{made['paths'][0]}",
                    headers={"Authorization": f"Bearer {made['key']}"},
                )
                with urllib.request.urlopen(request, timeout=30) as answer:
                    answer.read()
                seconds.append(perf_counter() - began)
                memory = house.memory_mib()
    return {"rules": made["rules"], "seconds": seconds, "memory_mib": memory}
