"""Decisions by any Casbin model: ours, pycasbin's two enforcers, and (where they are there) cedarpy and node-casbin.

    python -m bench policy                 rounds of all, interleaved; each measurement is a process of its own
    python -m bench.policy < '{"engine": "compiled", "kind": "RBAC", "rules": 1000, "seconds": 0.5}'        one of ours or pycasbin's

Microseconds of the processor's time, not of the clock: what else runs on the machine is not counted, though it takes its share of
the caches. Each decision is one of 500 different requests, drawn over all the rules; `again` is one of them asked over and over.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import orjson

from bench.children import ROOT, asked
from bench.ratios import spread

SIZES = (10, 1_000, 100_000)
KINDS = ("RBAC", "domains, deny", "ABAC")
OURS, STOCK, FAST, CEDAR, NODE = (
    "compiled",
    "pycasbin Enforcer",
    "pycasbin FastEnforcer",
    "cedarpy",
    "node-casbin",
)
PEER_PYTHON = "GATEHOUSE_BENCH_CEDAR"
ABSENT = {
    CEDAR: f"a virtual environment with `pip install cedarpy`; {PEER_PYTHON} names its python",
    NODE: "nodejs, `npm install casbin` in some folder; NODE_PATH names its node_modules",
}
REQUESTS = 500
_HEAD = "[request_definition]\nr = {}\n[policy_definition]\np = {}\n{}[policy_effect]\ne = {}\n[matchers]\nm = {}\n"
_ALLOW = "some(where (p.eft == allow))"
_BOTH = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
_G2, _G3 = "[role_definition]\ng = _, _\n", "[role_definition]\ng = _, _, _\n"
MODELS = {
    "RBAC": _HEAD.format(
        "sub, obj, act", "sub, obj, act", _G2, _ALLOW, "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act"
    ),
    "domains, deny": _HEAD.format(
        "sub, dom, obj, act",
        "sub, dom, obj, act, eft",
        _G3,
        _BOTH,
        "g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act",
    ),
    "ABAC": _HEAD.format(
        "sub, obj, act", "rule, obj, act", "", _ALLOW, "eval(p.rule) && r.obj == p.obj && r.act == p.act"
    ),
}


def world(kind: str, rules: int) -> dict[str, Any]:
    """Gives rules, links and requests: as many links as rules, ten rules to a role."""
    dice = random.Random(f"{kind} {rules}")
    allow, deny = [], []
    if kind == "RBAC":
        rows = [[f"role{n // 10}", f"data{n}", "read"] for n in range(rules)]
        links = [[f"user{n}", f"role{n // 10}"] for n in range(rules)]
        for n in (dice.randrange(rules) for _ in range(REQUESTS)):
            allow.append([f"user{n}", f"data{n}", "read"])
            deny.append([f"user{n}", f"data{n}", "write"])
    elif kind == "ABAC":
        links = []
        rows = [
            [f'r.sub.Age > {18 + n % 40} && r.sub.Dept == "d{n % 100}"', f"data{n}", "read"]
            for n in range(rules)
        ]
        for n in (dice.randrange(rules) for _ in range(REQUESTS)):
            allow.append([{"Age": 70, "Dept": f"d{n % 100}"}, f"data{n}", "read"])
            deny.append([{"Age": 18, "Dept": f"d{n % 100}"}, f"data{n}", "read"])
    else:
        rows = [
            [f"role{n // 10}", f"house{n // 10 % 50}", f"data{n}", "read", "deny" if n % 10 == 9 else "allow"]
            for n in range(rules)
        ]
        links = [[f"user{n}", f"role{n // 10}", f"house{n // 10 % 50}"] for n in range(rules)]
        for n in (dice.randrange(rules) // 10 * 10 for _ in range(REQUESTS)):
            at = dice.randrange(9)
            allow.append([f"user{n}", f"house{n // 10 % 50}", f"data{n + at}", "read"])
            deny.append([f"user{n}", f"house{n // 10 % 50}", f"data{n + 9}", "read"])
    lines = [", ".join(["p", *row]) for row in rows] + [", ".join(["g", *link]) for link in links]
    return {
        "model": MODELS[kind],
        "policy": "\n".join(lines) + "\n",
        "rules": rows,
        "links": links,
        "allow": allow,
        "deny": deny,
    }


def _made(engine: str, made: Mapping[str, Any], kind: str) -> Callable[..., Any]:
    """Gives the function from a request's list to whether it is allowed."""
    if engine == OURS:
        from gateway.policy.engine import Policy  # noqa: PLC0415 - only one engine is loaded in a process

        return Policy(made["model"], made["policy"]).engine.decide
    import casbin  # noqa: PLC0415 - as above
    from casbin.model import FastModel  # noqa: PLC0415 - as above

    from gateway.policy.reference import Lines  # noqa: PLC0415 - as above

    lines = Lines(made["policy"].splitlines())
    if engine == FAST:
        order = [2, 3] if kind == "domains, deny" else [1, 2]
        model = FastModel(order)
        model.load_model_from_text(made["model"])
        fast = casbin.FastEnforcer(model, lines, cache_key_order=order)
        return lambda request: (fast.enforce(*request),)
    stock = casbin.Enforcer(casbin.Enforcer.new_model(text=made["model"]), lines)
    return lambda request: stock.enforce_ex(*request)


def measured(question: Mapping[str, Any]) -> dict[str, float]:
    """Gives what one engine takes: to load, for the first decision, for an allow, for a deny; and the memory that it holds."""
    made = world(question["kind"], question["rules"])
    import_module(
        "gateway.policy.engine"
    )  # it brings pycasbin too: what a process needs besides is not its policy's cost
    before = _resident()
    began = process_time()
    decide = _made(question["engine"], made, question["kind"])
    found = {"load_s": process_time() - began, "memory_mib": _resident() - before}
    process_time()  # after a load the clock's own first answer takes longer than the decision
    began = process_time()
    decide(made["allow"][0])
    found["first_us"] = (process_time() - began) * 1e6
    checked = (
        50 if question["engine"] == OURS else 1
    )  # pycasbin takes a second for one of them, at 100,000 rules
    for kind in ("allow", "deny"):
        requests = made[kind]
        if any(decide(request)[0] is not (kind == "allow") for request in requests[:checked]):
            raise SystemExit(f"{question['engine']} decides otherwise")
        taken: list[float] = []
        until = perf_counter() + question["seconds"]
        size = 2_000 if question["engine"] == OURS else 1
        batch = (requests * (size // len(requests) + 1))[:size]
        while perf_counter() < until or len(taken) < 2:
            if size == 1:
                batch = [requests[len(taken) % len(requests)]]
            began = process_time()
            for request in batch:
                decide(request)
            taken.append((process_time() - began) / len(batch))
        found[f"{kind}_us"] = median(taken) * 1e6
    if question["engine"] == OURS:
        taken = []
        for _ in range(20):
            began = process_time()
            for _ in range(1_000):
                decide(made["allow"][0])
            taken.append((process_time() - began) / 1_000)
        found["again_us"] = median(taken) * 1e6
        found["change_us"] = _change(made)
    return found


def _change(made: Mapping[str, Any]) -> float:
    """Gives the median microseconds of one rule that comes or goes."""
    from gateway.policy.engine import Policy  # noqa: PLC0415 - as above

    policy = Policy(made["model"], made["policy"])
    rows = [tuple(row) for row in made["rules"]]
    dice = random.Random(1)
    policy.remove("p", rows[0])  # the first removal looks for where each rule stands
    policy.add("p", rows[0])
    taken = []
    for row in (dice.choice(rows) for _ in range(200)):
        for change in (policy.remove, policy.add):
            began = process_time()
            change("p", row)
            taken.append(process_time() - began)
    return median(taken) * 1e6


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def peers() -> dict[str, list[str]]:
    """Gives the commands of the peers that are there."""
    found = {}
    if python := os.environ.get(PEER_PYTHON):
        found[CEDAR] = [python, str(ROOT / "bench" / "peers" / "policy_cedar.py")]
    if os.environ.get("NODE_PATH") and (node := shutil.which("node")):
        found[NODE] = [node, str(ROOT / "bench" / "peers" / "policy_node.js")]
    return found


def rounds(
    count: int, scale: float, note: Callable[[str], None], sizes: Sequence[int] = SIZES
) -> dict[str, Any]:
    """Gives every figure: kind → rules → contender → one a round."""
    there = peers()
    figures: dict[str, dict[int, dict[str, list[dict[str, float]]]]] = {}
    for number in range(count):
        for kind in KINDS:
            for rules in sizes:
                for engine in (OURS, STOCK, FAST, *there):
                    if engine == CEDAR and kind != "RBAC":
                        continue  # the one of the three that Cedar's own policies say alike
                    question = {"engine": engine, "kind": kind, "rules": rules, "seconds": 0.5 * scale}
                    if engine in there:
                        found = _peer(there[engine], {**world(kind, rules), **question})
                    else:
                        found = asked("bench.policy", question)
                    figures.setdefault(kind, {}).setdefault(rules, {}).setdefault(engine, []).append(found)
                    note(f"round {number + 1}: {kind}, {rules} rules, {engine}: {found['allow_us']:.2f} µs")
    return {"figures": figures, "absent": {name: how for name, how in ABSENT.items() if name not in there}}


def _peer(command: Sequence[str], question: Mapping[str, Any]) -> dict[str, float]:
    rules = question["policy"] and [
        line.split(", ")[1:] for line in question["policy"].splitlines() if line[0] == "p"
    ]
    done = subprocess.run(
        command, input=orjson.dumps({**question, "rules": rules}), stdout=subprocess.PIPE, check=True
    )
    found: dict[str, float] = orjson.loads(done.stdout)
    return found


def table(found: Mapping[str, Any]) -> list[str]:
    """Gives the lines to print: a row for each contender at each size, with how many times ours it is."""
    lines = [
        "Decisions by a Casbin model; µs of processor time; median (range)",
        "",
        "| model | rules | | allow | deny | × ours | again | load s | first | a change | MiB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, by_rules in found["figures"].items():
        for rules, by_engine in by_rules.items():
            ours = median(run["allow_us"] for run in by_engine[OURS])
            for engine, runs in by_engine.items():
                ratio = median(run["allow_us"] for run in runs) / ours
                cells = [
                    spread([run["allow_us"] for run in runs], 2),
                    spread([run["deny_us"] for run in runs], 2),
                    f"{ratio:,.1f}",
                    spread([run["again_us"] for run in runs], 2) if engine == OURS else "–",
                    spread([run["load_s"] for run in runs], 2),
                    *(
                        f"{median(run[name] for run in runs):,.0f}" if name in runs[0] else "–"
                        for name in ("first_us", "change_us", "memory_mib")
                    ),
                ]
                lines.append(f"| {kind} | {rules:,} | {engine} | {' | '.join(cells)} |")
    small, large = min(SIZES), max(SIZES)
    for kind, by_rules in found["figures"].items():
        if small in by_rules and large in by_rules:
            pairs = list(zip(by_rules[small][OURS], by_rules[large][OURS], strict=True))
            grown = [
                spread([b[name] / a[name] for a, b in pairs], 2)
                for name in ("allow_us", "deny_us", "again_us")
            ]
            said = "{}: {:,} rules cost, beside {}, allow {} ×, deny {} ×, one request again {} ×"
            lines.append("\n" + said.format(kind, large, small, *grown))
    lines += [
        f"\n{name} is absent and was not measured. To get it: {how}" for name, how in found["absent"].items()
    ]
    return lines


if __name__ == "__main__":
    print(orjson.dumps(measured(orjson.loads(sys.stdin.buffer.read()))).decode())
