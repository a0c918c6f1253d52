"""What a flood of strangers does to callers who are known, beside what as many plain refusals do to them.

A *plain refusal* is the cheapest 4xx that the edge gives: the 404 of a path below no mount, answered before anybody is asked who he is. Its
cost is that of HTTP, of a problem document and of a count, which no gateway can save. The strangers, each kind in a flood of its own:

* no credential: 401;
* a wrong key: well-formed, of an id that is known, with a secret that is not its own: one keyed hash and one comparison;
* a badly signed person: a known application's key, and with it a token of a believed issuer whose form, claims and key id are good
  and whose signature is not. No two are alike, so no memory of refusals would help.

The callers come at one rate, the flood at another (an open loop: nobody waits for anybody); the p99 of the callers' answers counts.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from bench.children import MEASURED, REST, Child, asked, serving
from bench.prepare import RULES, settings
from bench.ratios import PLAIN_REFUSALS, STRANGERS
from gateway.identity import write_key_text
from gateway.identity.demo import ISSUER, DemoIssuer

QUIET = "no flood"
FLOODS = (PLAIN_REFUSALS, *STRANGERS)
CALLERS_RATE, FLOOD_RATE, CONNECTIONS = 150, 600, 16
SECONDS = 8.0
DISTINCT = 2_000
STATUS = {PLAIN_REFUSALS: "404", **dict.fromkeys(STRANGERS, "401")}
Requests = list[tuple[str, dict[str, str]]]


def rounds(scratch: Path, count: int, scale: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Gives, for each flood, the callers' latencies of every round and what a stranger cost. Raises SystemExit for a wrong answer."""
    figures: dict[str, list[dict[str, float]]] = {}
    home, policies = scratch / "strangers", scratch / "strangers-policies"
    with serving([sys.executable, "-m", "bench.upstream"], cores=REST) as upstream:
        question = {"home": str(home), "policies": str(policies), "upstream": upstream.port}
        made = asked("bench.prepare", {**question, "customers": 50, "rules": RULES})
        issuer = DemoIssuer.open(home / "demo")
        issuers = scratch / "issuers.json"
        believed = {"issuer": ISSUER, "jwks": str(issuer.terms().jwks), "algorithms": ["EdDSA"]}
        issuers.write_bytes(orjson.dumps([believed]))
        given = settings(home, policies, upstream.port) | {"GATEHOUSE_ISSUERS_FILE": str(issuers)}
        command = [sys.executable, "-c", "from gateway.cli import main; main()", "run"]
        with serving(command, cores=MEASURED, settings=given) as ours:
            callers: Requests = [(path, _bearer(made["key"])) for path in made["paths"]]
            asked("bench.load", {"port": ours.port, "paths": made["paths"], "headers": _bearer(made["key"]),
                                 "requests": 300, "connections": 8}, cores=REST)  # fmt: skip
            for number in range(count):
                quiet = _beside(ours, callers, None, "", scale)
                figures.setdefault(QUIET, []).append(quiet)
                for flood in FLOODS:
                    requests = _requests(flood, made["keys"]["desk"], issuer, made["paths"][0])
                    found = _beside(ours, callers, requests, STATUS[flood], scale)
                    found["stranger_cpu_us"] = (
                        (found["cpu"] - quiet["cpu"]) / (FLOOD_RATE * SECONDS * scale) * 1e6
                    )
                    figures.setdefault(flood, []).append(found)
                    note(f"round {number + 1}: beside {flood}: p99 {found['p99_ms']:.1f} ms")
    return {"callers": CALLERS_RATE, "flood": FLOOD_RATE, "figures": figures}


def _beside(
    ours: Child, callers: Requests, flood: Requests | None, status: str, scale: float
) -> dict[str, float]:
    """Gives the callers' latencies while the flood comes; none: without one."""
    seconds = SECONDS * scale
    shape = {"port": ours.port, "seconds": seconds, "connections": CONNECTIONS}
    before = ours.cpu_seconds()
    with ThreadPoolExecutor(2) as both:
        known = both.submit(_paced, {**shape, "requests": callers, "rate": CALLERS_RATE})
        strange = None
        if flood is not None:
            strange = both.submit(_paced, {**shape, "requests": flood, "rate": FLOOD_RATE})
        said = known.result()
        if set(said["statuses"]) != {"200"}:
            raise SystemExit(f"callers were answered {said['statuses']} where 200 was right")
        if strange is not None and set(strange.result()["statuses"]) != {status}:
            raise SystemExit(
                f"strangers were answered {strange.result()['statuses']} where {status} was right"
            )
    return {"p50_ms": said["p50_ms"], "p99_ms": said["p99_ms"], "cpu": ours.cpu_seconds() - before}


def _paced(question: Mapping[str, Any]) -> Any:
    return asked("bench.paced", question, cores=REST)


def _requests(flood: str, desk: str, issuer: DemoIssuer, path: str) -> Requests:
    if flood == PLAIN_REFUSALS:
        return [(f"/nothing/{number}", {}) for number in range(DISTINCT)]
    if flood == STRANGERS[0]:
        return [(path, {})]
    if flood == STRANGERS[1]:
        key_id = "key_" + desk.split("_")[1]
        return [(path, _bearer(write_key_text(key_id, os.urandom(32))[0])) for _ in range(DISTINCT)]
    good = issuer.mint("li.wei", "app:demo-desk", 15, now=datetime.now(UTC))
    return [(path, {**_bearer(desk), "Gatehouse-Person": _badly_signed(good)}) for _ in range(DISTINCT)]


def _badly_signed(good: str) -> str:
    """Gives the token with another signature: one that could be one, by its length and its first half."""
    head, claims, signature = good.split(".")
    data = base64.urlsafe_b64decode(signature + "==")[:32] + os.urandom(31) + b"\x01"
    return ".".join((head, claims, base64.urlsafe_b64encode(data).rstrip(b"=").decode()))


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
