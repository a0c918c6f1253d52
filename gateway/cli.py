"""The command line: a door. It translates; every operation is somebody else's function.

Exit codes: 0 done or intact; 1 checked and found wanting; 2 could not be done, with what to do on stderr; 141 its reader went away.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import io
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar, cast

import click
import orjson

from audit import AuditError
from audit.verify import Report, Unreadable, verify_sqlite
from gateway import __version__, settings_page
from gateway.keys import AssertionKey, Keyring, create_key_file, from_file
from gateway.machine import make_home
from gateway.observe import configure, place_of
from gateway.pipes import READER_GONE, Commands, let_go
from gateway.settings import CONFIG, MOST_WORKERS, Settings, given, read, table
from gateway.stores import LOG_FILE, prepare_stores
from gateway.text import Language, place, text
from gateway.words.errors import GatehouseError, Misconfigured

T = TypeVar("T")
FOUND_WANTING, NOT_DONE = 1, 2
# What a start loads stays; looking through it for garbage every 700 objects took a tenth of the start. `serve` sets its own.
_WHILE_LOADING = 100_000
MOST = 1_000
"""Entries that one reading of the log gives; a test holds it to trail's own number, which only the running house loads."""


def main() -> NoReturn:
    """The `gatehouse` command."""
    gc.set_threshold(_WHILE_LOADING)
    try:
        code = _done()
    except BrokenPipeError:  # what went wrong could not be told
        let_go()
        code = READER_GONE
    sys.exit(code)


def _done() -> int:
    try:
        # Outside of its standalone mode click gives the code of an Exit back instead of raising it.
        return group(standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
    except (click.Abort, KeyboardInterrupt):
        return 128 + signal.SIGINT
    except Misconfigured as error:
        for problem in error.problems:
            click.echo(f"gatehouse: {problem}", err=True)
    except GatehouseError as error:
        click.echo(f"gatehouse: {text(f'problem.{error.code.value}.title', language())}", err=True)
        click.echo(f"           {text(f'problem.{error.code.value}.next', language())}", err=True)
    except AuditError as error:
        click.echo(f"gatehouse: the log: {error}", err=True)
    except Exception as error:  # noqa: BLE001 - a defect: a traceback would show messages, which may hold values
        _tell_defect(error)
    return NOT_DONE


def _tell_defect(error: Exception) -> None:
    if sys.excepthook is not sys.__excepthook__:  # this process writes lines already: that is one of them
        sys.excepthook(type(error), error, error.__traceback__)
        return
    name, at = place_of(error)
    click.echo(text("cli.defect", language(), error=name, at=at), err=True)


def environment() -> Mapping[str, str]:
    """Gives the environment; `gatehouse --config FILE` counts as GATEHOUSE_CONFIG and wins over it."""
    context = click.get_current_context(silent=True)
    config = context.find_root().params.get("config") if context else None
    return os.environ if config is None else {**os.environ, CONFIG: str(config)}


def settings() -> Settings:
    """Gives the settings from the environment and the file that it names. Raises Misconfigured."""
    return read(environment())


def language() -> Language:
    """Gives the language of what is printed: the setting's, English where it cannot be read."""
    here = environment()
    chosen = here.get("GATEHOUSE_LANGUAGE", "").lower()
    if not chosen and here.get(CONFIG):
        with suppress(Misconfigured):
            chosen = read(here).language
    return Language.CHINESE if chosen.startswith("zh") else Language.ENGLISH


def say(key: str, **params: str | int) -> None:
    """Prints a text of the message catalogue."""
    click.echo(text(key, language(), **params))


def as_json(value: Any) -> None:
    """Prints one line of JSON, for scripts."""
    click.echo(orjson.dumps(value).decode())


def running(work: Callable[[], Coroutine[Any, Any, T]], *, told: bool = True) -> T:
    """Gives what a command's coroutine gives, on uvloop where it is there. A signal before it serves ends it with 128 and its number.

    told: and says so; a worker leaves that to its parent.
    """
    taken = [signal.SIGINT]

    async def interruptible() -> T:
        # As the loop takes Ctrl-C: the work is cancelled and closes what it opened. Serving sets handlers of its own.
        as_keyboard = signal.getsignal(signal.SIGINT)

        def ended(number: int, frame: FrameType | None) -> None:
            taken[0] = signal.Signals(number)
            if callable(as_keyboard):
                as_keyboard(number, frame)

        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, ended)
        return await work()

    try:
        return _on_a_loop(interruptible())
    except KeyboardInterrupt:
        if told:
            click.echo(text("cli.ended", language()), err=True)
        raise click.exceptions.Exit(128 + taken[0]) from None


def _on_a_loop(work: Coroutine[Any, Any, T]) -> T:
    try:
        import uvloop  # noqa: PLC0415 - the one optional accelerator; absent on some machines
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gatehouse")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The settings file, as GATEHOUSE_CONFIG names it (gatehouse.toml.example).",
)
def group(config: Path | None) -> None:
    """Gatehouse guards customer records and message threads: it decides, seals, and leaves evidence.

    Begin with `gatehouse demo`. Settings are environment variables that begin with GATEHOUSE_, or lines of a settings file;
    `gatehouse settings` shows them.
    """


@group.command()
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    help="How many processes serve on the one port, on PostgreSQL; without it, what GATEHOUSE_WORKERS says.",
)
@click.option("--worker", hidden=True)
def run(workers: int | None, worker: str | None) -> None:
    """Serve. Refuses to start, saying why, where anything that it promises cannot be kept."""
    if worker is not None:
        _run_worker(worker)
        return
    configure()
    chosen = settings()
    count = workers or chosen.workers
    if count > 1:
        _run_workers(chosen, count)
        return
    from gateway.serving import serve_forever  # noqa: PLC0415 - other commands start without loading the whole house

    running(lambda: serve_forever(chosen))


def _run_workers(chosen: Settings, count: int) -> None:
    if not chosen.database_url:
        raise Misconfigured(text("cli.workers.need-postgres", language()))
    from gateway.supervising import Ending, supervise  # noqa: PLC0415 - as in run; a parent loads no house at all

    ending = running(lambda: supervise(chosen, count))
    if ending is Ending.GAVE_UP:
        click.echo(text("cli.workers.gave-up", language()), err=True)
    if ending is not Ending.STOPPED:
        raise click.exceptions.Exit(NOT_DONE)


def _run_worker(handed: str) -> None:
    from gateway.serving import serve_worker  # noqa: PLC0415 - as in run
    from gateway.worker import Handed, Worker  # noqa: PLC0415 - as in run

    worker = Worker(Handed.read(handed))
    configure(worker=worker.number)
    running(lambda: serve_worker(settings(), worker), told=False)


@group.command()
@click.option(
    "--customers",
    type=click.IntRange(12, 200),
    default=200,
    show_default=True,
    help="How many invented customers; each has threads and messages.",
)
def demo(customers: int) -> None:
    """Set everything up under var/, load invented people, serve, and print lines to try."""
    from gateway.serving import serve_demo  # noqa: PLC0415 - as in run

    configure()
    running(lambda: serve_demo(settings(), say, customers))


@group.command("demo-token")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def demo_token(json_: bool) -> None:
    """Print a token with which the demonstration's desk acts for a person; it works for 15 minutes, beside the running demo too."""
    from gateway.demo import person_token  # noqa: PLC0415 - as in run

    token, until = person_token(settings())
    if json_:
        as_json({"token": token, "until": until})
    else:
        click.echo(token)


@group.command()
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def doctor(json_: bool) -> None:
    """Check everything that a start needs, and say what to do about what is missing."""
    from gateway.doctor import examine  # noqa: PLC0415 - as in run

    # JSON is for scripts: its words are the same in every language.
    checks = examine(environment(), Language.ENGLISH if json_ else language())
    if json_:
        as_json([dataclasses.asdict(check) for check in checks])
    else:
        for check in checks:
            mark = text("doctor.ok" if check.good else "doctor.missing", language())
            click.echo(f"{mark} {check.what}" + (f": {check.todo}" if check.todo else ""))
    if not all(check.good for check in checks):
        raise click.exceptions.Exit(FOUND_WANTING)


@group.command("settings")
@click.option(
    "--explain", is_flag=True, help="Print the table: what each setting does, its range and default."
)
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def show_settings(explain: bool, json_: bool) -> None:
    """Say what is in force and where each value comes from; secrets are not shown."""
    if explain:
        if json_:
            as_json([settings_page.described(row) for row in table()])
        else:
            click.echo("\n".join(settings_page.explained(table())))
        return
    chosen = settings()
    told = [settings_page.shown(found, getattr(chosen, found.row.name)) for found in given(environment())]
    if json_:
        as_json(told)
        return
    for one in told:
        click.echo(settings_page.line(one))


@group.group()
def audit() -> None:
    """The log: verify it, read its end."""


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
    """Show entries of the running gateway. Reading the log is recorded in it."""
    from gateway.local import ask  # noqa: PLC0415 - as in run

    wanted = {} if callers_id is None else {"callers_id": callers_id}
    found = asyncio.run(ask(settings().home, "audit.tail", limit=limit, after=after, **wanted))
    for line in found["entries"]:
        if json_:
            as_json(line)
        else:
            click.echo(_summary(line))


def _summary(line: dict[str, Any]) -> str:
    """Gives one entry on one line: when, what came of it, who, what, how many records."""
    entry = line["entry"]
    who = entry["principal"]
    person = f" for {who['person']}" if who.get("person") else ""
    decided = entry.get("decision") or {}
    reason = f"  {decided['reason']}" if decided else ""
    parts = sum("caller" not in part for part in line["parts"])
    records = f"  records {parts}" if parts else ""
    return f"{line['seq']:>8}  {entry['time']}  {entry['kind']:<8} {entry['action']:<20} {who['application']}{person}{reason}{records}"


@group.group()
def stores() -> None:
    """The three stores: log, state, records."""


@stores.command("prepare")
def stores_prepare() -> None:
    """On PostgreSQL, make the stores or bring them to this program's schema, as the login that owns them (docs/deploy.md)."""
    configure()
    made = asyncio.run(prepare_stores(settings()))
    say("cli.stores.made" if made else "cli.stores.prepared")


@group.group()
def keys() -> None:
    """The key-encryption keys."""


@keys.command("create")
def keys_create() -> None:
    """Make the key file (mode 0600). Keep a copy elsewhere: without it nothing that is sealed can be read again."""
    chosen = settings()
    if chosen.keys.exists():
        raise Misconfigured(f"{place(chosen.keys, Path.cwd())} is there already; it is never overwritten")
    make_home(chosen.home)
    create_key_file(chosen.keys)
    say("cli.keys.created", file=place(chosen.keys, Path.cwd()))


@keys.command("status")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def keys_status(json_: bool) -> None:
    """Say which key-encryption keys there are, without showing any."""
    status = Keyring(from_file(settings().keys)).status()
    if json_:
        as_json(dataclasses.asdict(status))
        return
    for kek in status.keks:
        does = text("cli.keys.wraps" if kek.wraps else "cli.keys.opens", language())
        say("cli.keys.kek", version=kek.version, made=kek.created, fingerprint=kek.fingerprint, does=does)


@keys.command("assertions")
def keys_assertions() -> None:
    """Print the public keys of the signed header that upstreams get, as a JSON key set. `/v1/assertion-keys` gives the same."""
    as_json(AssertionKey(Keyring(from_file(settings().keys))).jwks())


@group.group()
def policy() -> None:
    """The Casbin model, rules and cases."""


@policy.command("check")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def policy_check(folder: Path | None, json_: bool) -> None:
    """Load a policy folder as `run` would, lint it and run its cases. Exit code 1 when `run` would refuse it."""
    from gateway.bundles import catalogue_of, mistake  # noqa: PLC0415 - as in run
    from gateway.policy import Finding, Severity, check  # noqa: PLC0415 - as in run

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


@policy.command("decide")
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
def policy_decide(model: Path, rules: Path, engine: str, section: str) -> None:
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
    from gateway.policy.engine import Unfit, open_engine  # noqa: PLC0415 - as in run
    from gateway.policy.engine.faults import MODEL  # noqa: PLC0415 - as in run
    from gateway.policy.engine.stream import CHUNK, answers  # noqa: PLC0415 - as in run

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
    gc.freeze()  # what was loaded stays
    asked, told, spoken = cast(io.BufferedReader, sys.stdin.buffer), sys.stdout.buffer, language()
    for said in answers(made, lambda: asked.read1(CHUNK), lambda key: text(key, spoken)):
        told.write(said)
        told.flush()


@group.group()
def catalogue() -> None:
    """The field catalogue: upstreams, routes, fields."""


@catalogue.command("check")
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def catalogue_check(folder: Path | None, json_: bool) -> None:
    """Read a catalogue folder and say everything that is wrong with it, by file and line."""
    from gateway.bundles import mistake, sealable  # noqa: PLC0415 - as in run
    from gateway.catalogue import load  # noqa: PLC0415 - as in run

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
