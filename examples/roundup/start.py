"""`make example-roundup`: Roundup installed apart, with invented people, and the gateway in front of it. Ctrl-C stops both."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from examples.roundup.front import POLICIES, serve_front
from examples.roundup.seed import Seeder
from examples.roundup.upstream import Failed, Tracker, install
from gateway.observe import configure
from gateway.settings import read
from gateway.text import place
from gateway.words.errors import Misconfigured

PORT = 8917
"""Where the tracker listens: the catalogue's `base` names it."""


def main() -> int:
    """Gives the exit code: 0 stopped by a signal, 2 could not be done."""
    environment = dict(os.environ)
    home = read(environment).home / "roundup"
    environment |= {
        "GATEHOUSE_HOME": str(home / "gateway"),
        "GATEHOUSE_POLICIES": str(POLICIES),
        "GATEHOUSE_UPSTREAM_HOSTS": f"127.0.0.1:{PORT}",
    }
    tracker = Tracker(home / "data", install(home / "venv", say), PORT)
    tracker.set_up(say)
    say("starting Roundup")
    with tracker.served():
        environment["ROUNDUP_LOGIN"] = tracker.login
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(
                serve_front(read(environment), environment, lambda port, keys: welcome(port, keys, home))
            )
        say("stopping Roundup")
    return 0


def welcome(port: int, keys: Mapping[str, str], home: Path) -> None:
    """Brings the people in, and prints lines to paste."""
    say(f"the gateway serves on http://127.0.0.1:{port}; bringing invented people in through it")
    ids = Seeder(port, keys["importer"], home / "seeded.json").seed(say)
    say("\nOne customer, three roles:")
    for line in lines(f"http://127.0.0.1:{port}/tracker", keys, ids):
        say(line)
    say(
        f"\nWhat the tracker holds of it: http://127.0.0.1:{PORT}/issue{ids['i-1']} and {place(home, Path.cwd())}/data. Ctrl-C stops both."
    )


def lines(base: str, keys: Mapping[str, str], ids: Mapping[str, str]) -> list[str]:
    """Gives the example lines: each begins with `curl ` and works when pasted."""
    customer, issue = f"{base}/user/{ids['c-1001']}", f"{base}/issue/{ids['i-1']}"

    def curl(name: str, target: str, more: str = "") -> str:
        return f"curl -s -H 'Authorization: Bearer {keys[name]}' {more}'{target}'"

    return [
        *(curl(name, customer) for name in ("agent", "supervisor", "auditor")),
        curl("agent", f"{base}/issue?status=2&@page_size=2"),
        curl("agent", f"{base}/msg/{ids['m-1-1']}"),
        curl("auditor", f"{base}/msg/{ids['m-1-1']}"),
        curl(
            "supervisor",
            customer,
            "-X PATCH -H 'Content-Type: application/json' -d '{\"phone\":\"13800139999\"}' ",
        ),
        # Roundup answers a change without the record (204): this shows what came of it.
        curl("supervisor", customer),
        # Roundup would retire the issue; the gateway takes it for what it is, a POST to a place that takes none.
        curl("agent", issue, "-X POST -H 'X-HTTP-Method-Override: DELETE' "),
        curl("agent-beijing", customer),
    ]


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    configure()
    try:
        sys.exit(main())
    except Failed as error:
        print(f"example-roundup: {error}", file=sys.stderr)
        sys.exit(2)
    except Misconfigured as error:
        print("\n".join(f"example-roundup: {problem}" for problem in error.problems), file=sys.stderr)
        sys.exit(2)
