"""`gatehouse policy decide`: requests by any stock Casbin model and policy, one a line, without a gateway."""

from __future__ import annotations

import gc
import io
import sys
from pathlib import Path
from typing import cast

import click

from gateway.commands.saying import NOT_DONE, language
from gateway.text import text


@click.command("decide")
@click.option(
    "--model",
    required=True,
    type=click.Path(path_type=Path),
    help="The model, as Casbin reads it (model.conf).",
)
@click.option(
    "--policy",
    "rules",
    required=True,
    type=click.Path(path_type=Path),
    help="The rules, as Casbin reads them (policy.csv).",
)
@click.option(
    "--engine",
    type=click.Choice(["compiled", "pycasbin"]),
    default="compiled",
    show_default=True,
    help="What decides.",
)
@click.option(
    "--section",
    default="",
    metavar="N",
    help="Decide by rN, pN and mN, where the model has several (2, 3 …).",
)
@click.option(
    "--portable",
    is_flag=True,
    help="Say first, on stderr, what Go's Casbin or node-casbin would read otherwise.",
)
def decide(model: Path, rules: Path, engine: str, section: str, portable: bool) -> None:
    """Decide requests by any stock Casbin model and policy. Needs no running gateway and no settings.

    Requests come on stdin, one JSON array of the request's values a line, in the order of the model's request definition; an
    object where the matcher looks at attributes. One answer a line goes to stdout, as soon as it is there:

    \b
      ["alice", "data1", "read"]              {"allowed":true,"rule":["alice","data1","read"],"engine":"compiled/1"}
      [{"Age": 17}, "data1", "read"]          {"allowed":false,"rule":null,"engine":"compiled/1"}
      what cannot be decided                  {"error":"…"}

    `rule` is the rule that decided, as pycasbin explains it; null where no rule matched. An error is never an allow.
    `engine` names what decided: a model that the compiler does not know runs on pycasbin, which stderr tells once.

    Files that Casbin would read in a dangerous way are refused with file and line: exit code 2. docs/policy-engine.md lists how.

    \b
    Example:  gatehouse policy decide --model M.conf --policy P.csv < requests.jsonl > decisions.jsonl
    """
    from gateway.policy.engine import Unfit, open_engine  # noqa: PLC0415 - other commands start without loading it
    from gateway.policy.engine.faults import MODEL  # noqa: PLC0415 - other commands start without loading it
    from gateway.policy.engine.stream import CHUNK, answers  # noqa: PLC0415 - other commands start without loading it

    given_files = []
    for path in (model, rules):
        try:
            given_files.append(path.read_bytes())
        except OSError as error:
            click.echo(
                text("cli.policy.unread", language(), file=str(path), why=error.strerror or ""), err=True
            )
            raise click.exceptions.Exit(NOT_DONE) from None
    try:
        made, part = open_engine(*given_files, engine=engine, suffix=section)
    except Unfit as unfit:
        for fault in unfit.faults:
            at = f"{model if fault.file == MODEL else rules}:{fault.line}"
            click.echo(f"{at}: {text(fault.key, language(), **fault.params)}", err=True)
        raise click.exceptions.Exit(NOT_DONE) from None
    if part:
        click.echo(text("cli.policy.beyond", language(), engine=made.name, part=part), err=True)
    if portable:
        _say_elsewhere(model, rules, *given_files)
    gc.freeze()  # what was loaded stays
    asked, told, spoken = cast(io.BufferedReader, sys.stdin.buffer), sys.stdout.buffer, language()
    for said in answers(made, lambda: asked.read1(CHUNK), lambda key: text(key, spoken)):
        told.write(said)
        told.flush()


def _say_elsewhere(model: Path, rules: Path, model_file: bytes, rules_file: bytes) -> None:
    from gateway.policy.engine.faults import MODEL  # noqa: PLC0415 - other commands start without loading it
    from gateway.policy.portable import SPOKEN, remarks  # noqa: PLC0415 - other commands start without loading it

    for one in remarks(model_file.decode(), rules_file.decode()):
        at = f"{model if one.file == MODEL else rules}:{one.line}"
        said = text(SPOKEN[one.kind], language(), part=one.part)
        click.echo(text("cli.policy.elsewhere", language(), at=at, remark=said), err=True)
