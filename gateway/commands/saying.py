"""What every command needs: the settings as they are here, the language, one way to say something, the exit codes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click
import orjson

from gateway.settings import CONFIG, Settings, read
from gateway.text import Language, text
from gateway.words.errors import Misconfigured

FOUND_WANTING, NOT_DONE = 1, 2


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
