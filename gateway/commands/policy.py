"""`gatehouse policy` and `gatehouse catalogue`: what security administrators edit, looked at before it is served."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import click

from gateway import __version__
from gateway.commands.activating import activate, history, rollback
from gateway.commands.deciding import decide
from gateway.commands.explaining import explain, what_can, who_can
from gateway.commands.planning import plan
from gateway.commands.saying import FOUND_WANTING, as_json, say, settings
from gateway.words.errors import Misconfigured


@click.group()
def policy() -> None:
    """The Casbin model, rules and cases."""


for command in (plan, activate, rollback, history, explain, who_can, what_can, decide):
    policy.add_command(command)


@policy.command("check")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.option("--strict", is_flag=True, help="Exit code 1 for warnings too.")
@click.option(
    "--sarif", "report", type=click.Path(path_type=Path, dir_okay=False), help="Write SARIF 2.1.0 here too."
)
@click.option(
    "--portable", is_flag=True, help="Warn also of what Go's Casbin or node-casbin would read otherwise."
)
def policy_check(folder: Path | None, json_: bool, strict: bool, report: Path | None, portable: bool) -> None:
    """Load a policy folder as `run` would, lint it and run its cases. Exit code 1 when `run` would refuse it."""
    from gateway.loading import catalogue_of, mistake  # noqa: PLC0415 - other commands start without loading it
    from gateway.policy import Finding, Review, Severity, review  # noqa: PLC0415 - other commands start without loading it
    from gateway.policy.sarif import sarif  # noqa: PLC0415 - other commands start without loading it

    chosen = settings()
    place = folder or chosen.policies
    try:
        known = catalogue_of(place, chosen.upstream_hosts, chosen.max_opaque_bytes)
        found = review(place, known)
        if portable:
            from gateway.policy.portable.bundle import with_remarks  # noqa: PLC0415 - only where it is asked for

            found = with_remarks(found, place)
    except Misconfigured as error:
        mistakes = map(mistake, error.problems)
        could = "Nothing could be decided"
        found = Review(
            tuple(
                Finding(one.file, one.line, Severity.ERROR, one.what, could, one.do, "catalogue")
                for one in mistakes
            )
        )
    if report is not None:
        _keep(report, sarif(found, place, __version__))
    if json_:
        as_json([dataclasses.asdict(finding) for finding in found.findings])
    else:
        for finding in found.findings:
            click.echo(str(finding))
        if found.engine is not None:
            say(
                "cli.policy.covered", decided=found.decided, rules=found.rules, percent=f"{found.covered:.1f}"
            )
            say("cli.policy.engine", engine=found.engine)
    warnings = found.count(Severity.WARNING)
    if found.count(Severity.ERROR) or (strict and warnings):
        raise click.exceptions.Exit(FOUND_WANTING)
    if not json_:
        say("cli.policy.good", warnings=warnings)


def _keep(report: Path, document: Mapping[str, object]) -> None:
    try:
        report.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"{report} cannot be written: {error.strerror}") from error


@click.group()
def catalogue() -> None:
    """The field catalogue: upstreams, routes, fields."""


@catalogue.command("check")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def catalogue_check(folder: Path | None, json_: bool) -> None:
    """Read a catalogue folder and say everything that is wrong with it, by file and line."""
    from gateway.catalogue import load  # noqa: PLC0415 - other commands start without loading it
    from gateway.loading import mistake, sealable  # noqa: PLC0415 - other commands start without loading it

    chosen = settings()
    problems: tuple[str, ...] = ()
    try:
        place = folder or chosen.policies / "catalogue"
        hosts, most = chosen.upstream_hosts, chosen.max_opaque_bytes
        found = sealable(load(place, allowed_hosts=hosts, max_opaque_bytes=most))
    except Misconfigured as error:
        problems = error.problems
    else:
        if not json_:
            routes = sum(len(upstream.routes) for upstream in found.upstreams.values())
            say("cli.catalogue.good", upstreams=len(found.upstreams), routes=routes)
    if json_:
        as_json([dataclasses.asdict(mistake(problem)) for problem in problems])
    for problem in () if json_ else problems:
        click.echo(problem)
    if problems:
        raise click.exceptions.Exit(FOUND_WANTING)
