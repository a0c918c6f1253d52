"""`gatehouse policy` and `gatehouse catalogue`: what security administrators edit, looked at before it is served."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from gateway.commands.explaining import explain, what_can, who_can
from gateway.commands.planning import plan
from gateway.commands.saying import FOUND_WANTING, as_json, say, settings
from gateway.words.errors import Misconfigured


@click.group()
def policy() -> None:
    """The Casbin model, rules and cases."""


policy.add_command(plan)


@policy.command("check")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def policy_check(folder: Path | None, json_: bool) -> None:
    """Load a policy folder as `run` would, lint it and run its cases. Exit code 1 when `run` would refuse it."""
    from gateway.bundles import catalogue_of, mistake  # noqa: PLC0415 - other commands start without loading it
    from gateway.policy import Finding, Severity, check  # noqa: PLC0415 - other commands start without loading it

    chosen = settings()
    place = folder or chosen.policies
    try:
        findings = check(place, catalogue_of(place, chosen.upstream_hosts, chosen.max_opaque_bytes))
    except Misconfigured as error:
        findings = [
            Finding(one.file, one.line, Severity.ERROR, one.what, "Nothing could be decided", one.do)
            for one in map(mistake, error.problems)
        ]
    if json_:
        as_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(str(finding))
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise click.exceptions.Exit(FOUND_WANTING)
    if not json_:
        say("cli.policy.good", warnings=len(findings))


policy.add_command(explain)
policy.add_command(who_can)
policy.add_command(what_can)


@click.group()
def catalogue() -> None:
    """The field catalogue: upstreams, routes, fields."""


@catalogue.command("check")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def catalogue_check(folder: Path | None, json_: bool) -> None:
    """Read a catalogue folder and say everything that is wrong with it, by file and line."""
    from gateway.bundles import mistake, sealable  # noqa: PLC0415 - other commands start without loading it
    from gateway.catalogue import load  # noqa: PLC0415 - other commands start without loading it

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
