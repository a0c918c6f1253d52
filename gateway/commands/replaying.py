"""`gatehouse audit replay`: a recorded decision is made again, and comes out the same or not. And how commands get entries for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from gateway.asking import REPLAY
from gateway.commands.asking import asked, entries
from gateway.commands.saying import FOUND_WANTING, as_json, language, say
from gateway.text import text
from gateway.words.errors import Misconfigured

PAGE = 1_000
"""What one reading of the log gives at most."""


def last_entries(count: int) -> list[Mapping[str, Any]]:
    """Gives the log's last entries, oldest first, from the running gateway, and leaves an entry of that. Raises Misconfigured."""
    found: list[Mapping[str, Any]] = []
    while count > 0:
        limit = min(count, PAGE)
        before = found[0]["seq"] if found else None
        run = entries(limit=limit, after=None if before is None else max(0, before - 1 - limit))
        page = [line for line in run if before is None or line["seq"] < before]
        if not page:
            break
        found[:0] = page
        count -= len(page)
    return found


@click.command("replay")
@click.argument("seq", type=click.IntRange(min=1))
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def replay(seq: int, json_: bool) -> None:
    """Make the recorded decision of entry SEQ again, by the bundle that made it, as the running gateway kept it. The look is recorded.

    Exit code 0: it comes out the same; 1: it does not; 2: there is no such entry or decision, or its bundle is not kept.
    """
    told = asked(REPLAY, seq=seq)
    if not told["there"]:
        raise Misconfigured(text("cli.replay.no-entry", language(), seq=seq))
    if told["decisions"] is None and told["bundle"]:
        raise Misconfigured(text("cli.replay.not-kept", language(), seq=seq, bundle=told["bundle"]))
    if not told["decisions"]:
        raise Misconfigured(text("cli.replay.no-decision", language(), seq=seq))
    same = told["same"] == told["decisions"]
    if json_:
        as_json({name: told[name] for name in ("seq", "bundle", "decisions", "same")})
    else:
        say(
            "cli.replay.same" if same else "cli.replay.otherwise",
            seq=seq,
            same=told["same"],
            count=told["decisions"],
        )
    if not same:
        raise click.exceptions.Exit(FOUND_WANTING)
