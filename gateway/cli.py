"""The command line: a door. It translates; every operation is somebody else's function.

Exit codes: 0 done or intact; 1 checked and found wanting; 2 could not be done, with what to do on stderr; 141 its reader went away.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import click

from audit import AuditError
from gateway import __version__, settings_page
from gateway.commands.activating import approve
from gateway.commands.audit import audit
from gateway.commands.freezes import freezes
from gateway.commands.keys import keys, stores
from gateway.commands.policy import catalogue, policy
from gateway.commands.saying import FOUND_WANTING, NOT_DONE, as_json, environment, language, say, settings
from gateway.observe import configure, place_of
from gateway.pipes import READER_GONE, Commands, hold_places, let_go
from gateway.settings import MOST_WORKERS, Settings, given, table
from gateway.text import Language, text
from gateway.words.errors import GatehouseError, Misconfigured

T = TypeVar("T")
# What a start loads stays; looking through it for garbage every 700 objects took a tenth of the start. `serve` sets its own.
_WHILE_LOADING = 100_000


def main() -> NoReturn:
    """The `gatehouse` command."""
    hold_places()
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


for commands in (audit, stores, keys, policy, catalogue, approve, freezes):
    group.add_command(commands)
