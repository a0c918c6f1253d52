"""Documents are held to the code: every symbol, setting, command, link and path that they name is there."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
import pytest

from gateway import cli, settings, settings_page

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_PATH = re.compile(r"`((?:gateway|audit|tests|tools|policies|docs|migrations|bench|examples)/[\w./*-]+)`")
_SYMBOL = re.compile(r"`((?:gateway|audit)(?:\.\w+)+)`")
_COMMAND = re.compile(r"`gatehouse ((?:[a-z]+ ?)+)`")


def resolve(name: str) -> bool:
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            here: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(here, part):
                return False
            here = getattr(here, part)
        return True
    return False


def commands(group: click.Group, prefix: tuple[str, ...] = ()) -> Iterator[str]:
    for name, command in group.commands.items():
        yield " ".join((*prefix, name))
        if isinstance(command, click.Group):
            yield from commands(command, (*prefix, name))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    links = [link for link in _LINK.findall(document.read_text()) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_every_path_that_is_named_is_there(document: Path) -> None:
    paths = _PATH.findall(document.read_text())
    assert [p for p in paths if not list(ROOT.glob(p.rstrip("/")))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_every_symbol_that_is_named_is_there(document: Path) -> None:
    assert [name for name in _SYMBOL.findall(document.read_text()) if not resolve(name)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_every_command_that_is_named_is_there(document: Path) -> None:
    there = set(commands(cli.group))
    named = [" ".join(c.split()) for c in _COMMAND.findall(document.read_text())]
    assert [c for c in named if c not in there] == []


@pytest.mark.parametrize(
    ("file", "made"),
    [("docs/settings.md", settings_page.page), ("gatehouse.toml.example", settings_page.example)],
)
def test_every_setting_is_documented_as_it_is(
    file: str, made: Callable[[Iterable[settings.Row]], str]
) -> None:
    assert (ROOT / file).read_text() == made(settings.table()), "run `python -m tools.settings_page`"


def test_the_readme_names_every_make_target_of_its_own() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert {"run", "test"} <= named <= targets | {"nothing"}
