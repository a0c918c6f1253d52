"""`gatehouse audit`: verify the log, read its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from audit.verify import Report, Unreadable, verify_sqlite
from gateway.commands.asking import entries
from gateway.commands.replaying import replay
from gateway.commands.saying import FOUND_WANTING, as_json, language, settings
from gateway.stores import LOG_FILE
from gateway.text import Language, text
from gateway.words.errors import Misconfigured

MOST = 1_000
"""Entries that one reading of the log gives; a test holds it to trail's own number, which only the running house loads."""


@click.group()
def audit() -> None:
    """The log: verify it, read its end, make a decision again."""


audit.add_command(replay)


@audit.command()
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="The log's SQLite file; without it, that of the home folder.",
)
@click.option("--receipt", multiple=True, metavar="SEQ:HASH", help="An Audit-Ref header that must be found.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def verify(file: Path | None, receipt: tuple[str, ...], json_: bool) -> None:
    """Check every entry, link and record part. Exit code 1 and the first break with its evidence, 0 when intact."""
    chosen = settings()
    try:
        if file is None and chosen.database_url:
            from audit.verify_postgres import verify_postgres  # noqa: PLC0415 - the extra may be absent

            report = verify_postgres(chosen.database_url, receipts=receipt)
        else:
            report = verify_sqlite(file or chosen.home / LOG_FILE, receipt)
    except Unreadable as error:
        raise Misconfigured(f"the log cannot be read: {error}") from error
    if json_:
        as_json({"intact": report.intact, **dataclasses.asdict(report)})
    else:
        click.echo(report_text(report, language()))
    if not report.intact:
        raise click.exceptions.Exit(FOUND_WANTING)


def report_text(report: Report, chosen: Language) -> str:
    """Gives a report for people. The evidence is numbers and hashes, as the verifier says them."""
    whole: dict[str, str | int] = {
        "log": report.log,
        "entries": report.entries,
        "hash": report.hash,
        "stated": report.stated,
    }
    lines = [text("verify.log", chosen, **whole)]
    if report.entries:
        times: dict[str, str | int] = {
            "first": report.first_time,
            "last": report.last_time,
            "fence": report.fence,
        }
        lines.append(text("verify.time", chosen, **times))
    if (found := report.found) is None:
        lines.append(text("verify.intact", chosen, **whole))
    else:
        broken: dict[str, str | int] = {
            "kind": found.kind.value,
            "seq": found.seq,
            "evidence": found.evidence,
        }
        lines.append(text("verify.broken", chosen, **broken))
        lines.append(text("verify.sound", chosen, **whole))
    if not report.entries:
        lines.append(text("verify.nothing", chosen))
    elif report.anchor < report.entries:
        lines.append(text("verify.window", chosen, first=report.anchor + 1, last=report.entries))
    else:
        lines.append(text("verify.anchored", chosen))
    return "\n".join(lines)


@audit.command()
@click.option(
    "--limit", type=click.IntRange(1, MOST), default=20, show_default=True, help="How many entries."
)
@click.option(
    "--after", type=click.IntRange(min=0), help="Entries above this number; without it, the last ones."
)
@click.option(
    "--json", "json_", is_flag=True, help="Print each entry as one line of JSON, its record parts opened."
)
@click.option(
    "--callers-id", help="Only requests that their caller called so (X-Request-Id), of those entries."
)
def tail(limit: int, after: int | None, json_: bool, callers_id: str | None) -> None:
    """Show entries of the log: the running gateway's, or those in the database where it is on PostgreSQL. The look is recorded in it."""
    for line in entries(limit=limit, after=after, callers_id=callers_id):
        if json_:
            as_json(line)
        else:
            click.echo(_summary(line))


def _summary(line: Mapping[str, Any]) -> str:
    """Gives one entry on one line: when, what came of it, who, what, how many records."""
    entry = line["entry"]
    who = entry["principal"]
    person = f" for {who['person']}" if who.get("person") else ""
    decided = entry.get("decision") or {}
    reason = f"  {decided['reason']}" if decided else ""
    parts = sum("caller" not in part for part in line["parts"])
    records = f"  records {parts}" if parts else ""
    return f"{line['seq']:>8}  {entry['time']}  {entry['kind']:<8} {entry['action']:<20} {who['application']}{person}{reason}{records}"
