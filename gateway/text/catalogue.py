"""The message catalogue: `en.toml` and `zh.toml` beside this file, read once when this module is imported.

A key is the dotted path to a string: `problem.denied.title`. To add a text, add it under one key to both files and name its
placeholders alike, in braces: `{count}`. Tests compare the files and search the code for every key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from gateway.words.errors import Misconfigured


class Language(StrEnum):
    """The languages that there are; the value is the Content-Language tag."""

    ENGLISH = "en"
    CHINESE = "zh-Hans"


_FILES: Final = {Language.ENGLISH: "en.toml", Language.CHINESE: "zh.toml"}
PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_RANGE: Final = re.compile(
    r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*(?:;\s*[qQ]=([01](?:\.[0-9]{0,3})?)\s*)?"
)
_MAX_RANGES: Final = 32


def _flat(prefix: str, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            yield from _flat(path, value)
        elif isinstance(value, str):
            yield path, value
        else:
            raise Misconfigured(f"message catalogue: {path} is not a text")


def load(language: Language) -> Mapping[str, str]:
    """Gives every text of one language by its key. Raises Misconfigured, OSError, tomllib.TOMLDecodeError."""
    source = Path(__file__).with_name(_FILES[language]).read_text(encoding="utf-8")
    return dict(_flat("", tomllib.loads(source)))


# Part of the program like its code, so it is read with it: a broken file stops the start, not a request.
_TEXTS: Final = {language: load(language) for language in Language}


def text(key: str, language: Language, **params: str | int) -> str:
    """Gives the text with its placeholders filled in. Raises KeyError for a key or a placeholder that is not there."""
    return PLACEHOLDER.sub(lambda found: str(params[found[1]]), _TEXTS[language][key])


def place(path: Path, here: Path) -> str:
    """Gives a path as whoever works in the folder `here` would write it: from there where it lies below, else whole."""
    below = path.is_relative_to(here) and here != here.parent  # below the root lies everything
    return str(path.relative_to(here) if below else path)


def pick_language(accept: str | None) -> Language:
    """Gives the language that an Accept-Language value prefers (RFC 9110 section 12.5.4); English without a usable one.

    Every tag whose first subtag is `zh` means Chinese, `zh-Hant` too: it is nearer to its reader than English.
    A range that cannot be read, or that has q=0, is passed over. Never raises.
    """
    best, best_quality = Language.ENGLISH, 0.0
    for part in (accept or "").split(",")[:_MAX_RANGES]:
        found = _RANGE.fullmatch(part)
        if found is None:
            continue
        quality = float(found[2] or 1)
        primary = found[1].partition("-")[0].lower()
        language = Language.CHINESE if primary == "zh" else Language.ENGLISH
        if primary in ("zh", "en", "*") and best_quality < quality <= 1:
            best, best_quality = language, quality
    return best
