"""Requests a second with everything on, beside plain proxies and the usual hand-made stack, all before the same upstream."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from cryptography.fernet import Fernet

from bench.children import MEASURED, REST, ROOT, Child, asked, free_port, serving
from bench.people import SEALED, person
from bench.prepare import RULES, settings
from bench.proxies import PROXIES, present
from bench.ratios import HANDMADE, OURS, PLAIN
from gateway.words.json import JsonObject

CONNECTIONS = (1, 48)
CUSTOMERS = 200
ENVIRONMENT = ROOT / "var" / "bench" / "venv"


@dataclass(frozen=True)
class Contender:
    """One thing that is measured.

    requests: how many at 1 and at 48 connections, so that each takes seconds, not minutes. opens: it shows a record's fields in clear.
    """

    name: str
    child: Child
    paths: list[str]
    headers: dict[str, str]
    requests: tuple[int, int]
    opens: bool = False


def peers_python() -> Path:
    """Gives the python of the peers' own environment, made from locks/bench.txt alone, hashes required."""
    python, lock = ENVIRONMENT / "bin" / "python", ROOT / "locks" / "bench.txt"
    mark = ENVIRONMENT / "lock.txt"
    if not mark.exists() or mark.read_bytes() != lock.read_bytes():
        uv = str(Path(sys.executable).parent / "uv")
        subprocess.run(
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, ENVIRONMENT], check=True
        )
        install = [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", lock]
        subprocess.run(install, check=True)
        mark.write_bytes(lock.read_bytes())
    return python


def rounds(scratch: Path, count: int, scale: float, note: Callable[[str], None]) -> dict[str, Any]:
    """Gives, for each contender and number of connections, the figures of every round. Raises SystemExit for a wrong answer."""
    figures: dict[str, dict[int, list[dict[str, float]]]] = {}
    peers_python()
    programs, absent = present(ENVIRONMENT)
    for name, how in absent.items():
        note(f"{name} is absent: {how}")
    with _field(scratch, programs) as (contenders, rules):
        for contender in contenders:
            _right(contender)
        for number in range(count):
            for connections, index in zip(CONNECTIONS, (0, 1), strict=True):
                for contender in contenders:
                    wanted = max(200, int(contender.requests[index] * scale))
                    found = _measured(contender, wanted, connections)
                    figures.setdefault(contender.name, {}).setdefault(connections, []).append(found)
                    note(f"round {number + 1}: {contender.name}, {connections}: {found['per_second']:.0f}/s")
        memory = {c.name: round(c.child.memory_mib()) for c in contenders}
    proxies = {p.name: p.described(programs[p.name]) for p in PROXIES if p.name in programs}
    return {"rules": rules, "figures": figures, "memory_mib": memory, "absent": absent, "proxies": proxies}


def _measured(contender: Contender, wanted: int, connections: int) -> dict[str, float]:
    question = {"port": contender.child.port, "paths": contender.paths, "headers": contender.headers}
    asked("bench.load", {**question, "requests": 100, "connections": connections}, cores=REST)  # warm
    before = contender.child.cpu_seconds()
    said = asked("bench.load", {**question, "requests": wanted, "connections": connections}, cores=REST)
    used = contender.child.cpu_seconds() - before
    if said["statuses"] != {"200": wanted}:
        raise SystemExit(f"{contender.name} answered {said['statuses']} where {wanted} times 200 was right")
    return {
        "per_second": wanted / said["seconds"],
        "cpu_us": used / wanted * 1e6,
        "per_core": wanted / used,
        "p50_ms": said["p50_ms"],
        "p99_ms": said["p99_ms"],
    }


def _right(contender: Contender) -> None:
    """Looks at one answer as a person would: a plain proxy's is closed, the others' are open."""
    document = orjson.loads(_get(contender.child.port, contender.paths[0], contender.headers))
    if (document["name"] == person(0)["name"]) is not contender.opens:
        raise SystemExit(f"{contender.name} gave an answer that is not what it should be")


@contextmanager
def _field(scratch: Path, programs: Mapping[str, str]) -> Iterator[tuple[list[Contender], int]]:
    """Starts upstream and contenders; ends them. programs: those of the proxies that are there."""
    with ExitStack() as stack:
        upstream = stack.enter_context(serving([sys.executable, "-m", "bench.upstream"], cores=REST))
        home, policies = scratch / "home", scratch / "policies"
        question = {
            "home": str(home),
            "policies": str(policies),
            "upstream": upstream.port,
            "customers": CUSTOMERS,
            "rules": RULES,
        }
        made = asked("bench.prepare", question)
        gatehouse = [sys.executable, "-c", "from gateway.cli import main; main()", "run"]
        ours = stack.enter_context(
            serving(gatehouse, cores=MEASURED, settings=settings(home, policies, upstream.port))
        )
        python = str(peers_python())
        peers = ROOT / "bench" / "peers"
        proxy = stack.enter_context(
            serving([python, str(peers / "plain_proxy.py"), str(upstream.port)], cores=MEASURED)
        )
        fernet = Fernet.generate_key()
        closed = _fernet_customers(upstream.port, Fernet(fernet))
        rules, log = scratch / "rules.csv", scratch / "handmade.sqlite"
        rules.write_text(handmade_rules(made["rules"]))
        command = [
            python,
            str(peers / "handmade.py"),
            str(upstream.port),
            "bench-key",
            str(rules),
            str(log),
            fernet.decode(),
        ]
        handmade = stack.enter_context(serving(command, cores=MEASURED))
        yield (
            [
                *(
                    Contender(name, child, _below(made["paths"]), {}, (6000, 30_000))
                    for name, child in _proxies(stack, scratch, programs, upstream.port)
                ),
                Contender(PLAIN, proxy, _below(made["paths"]), {}, (1500, 6000)),
                Contender(OURS, ours, made["paths"], _bearer(made["key"]), (1200, 6000), True),
                Contender(HANDMADE, handmade, closed, _bearer("bench-key"), (200, 400), True),
            ],
            made["rules"],
        )


def _proxies(
    stack: ExitStack, scratch: Path, programs: Mapping[str, str], upstream: int
) -> Iterator[tuple[str, Child]]:
    """Starts the proxies that are there, on the measured core; `stack` ends them."""
    for proxy in PROXIES:
        if proxy.name in programs:
            port = free_port()
            command = proxy.command(programs[proxy.name], proxy.written(scratch / proxy.name, port, upstream))
            yield proxy.name, stack.enter_context(serving(command, cores=MEASURED, port=port))


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _below(paths: list[str]) -> list[str]:
    """A plain proxy has no mount: the upstream's own paths."""
    return [path.removeprefix("/crm") for path in paths]


def _fernet_customers(port: int, fernet: Fernet) -> list[str]:
    """Puts the same customers into the upstream as the hand-made stack would have kept them; gives the stack's paths."""
    for number in range(CUSTOMERS):
        document: JsonObject = person(number)
        for name in SEALED:
            document[name] = fernet.encrypt(str(document[name]).encode()).decode()
        _send(port, "PUT", f"/fernet/customers/{number}", orjson.dumps(document))
    return [f"/crm/customers/{number}" for number in range(CUSTOMERS)]


def handmade_rules(count: int) -> str:
    """As many rules as our policy has, and the role's link; the rule that allows stands in the middle."""
    lines = [f"p, role:other{n}, /crm/things{n}/:id, read, allow" for n in range(count - 1)]
    lines.insert(len(lines) // 2, "p, role:supervisor, /crm/customers/:id, read, allow")
    lines.append("g, app:demo-supervisor, role:supervisor")
    return "\n".join(lines) + "\n"


def _get(port: int, path: str, headers: Mapping[str, str]) -> bytes:
    return _send(port, "GET", path, None, headers)


def _send(port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str] = {}) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, dict(headers), method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())
