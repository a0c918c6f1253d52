"""Before the path: is the key file the one that these stores were written with? With another nothing opens, and what the reconciler
finds with it would be recorded for good as unknowable. Asked before anything is settled.

Where it can be known: a log's first entry is a start, which names the root secret that it ran with (16 hex digits that tell two
secrets apart and give neither). A log of before that said so is judged by its oldest data subjects, whose rows are authenticated: one
that holds is enough, so that a row which somebody altered refuses no start.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from audit import Log, StoredEntry
from gateway.fields import SubjectRow, oldest_subjects
from gateway.keys import Keyring, Label
from gateway.store import Store
from gateway.words.errors import Misconfigured

START: Final = "gateway:start"
ROOT: Final = "root"


def root_of(keyring: Keyring) -> str:
    """Gives what tells this root secret from any other, as `gatehouse keys status --json` shows it."""
    return keyring.status().root_fingerprint


async def refuse_another(file: Path, keyring: Keyring, log: Log, state: Store) -> None:
    """Looks at what is there already. Raises Misconfigured where another key file wrote it."""
    judge(file, keyring, await log.entry(1), await state.read(oldest_subjects))


def judge(
    file: Path, keyring: Keyring, first: StoredEntry | None, subjects: Sequence[SubjectRow] | None
) -> None:
    """Raises Misconfigured where the key file is another than that of the log's first entry, or of all of these data subjects.

    None: there is none, or it cannot be looked at.
    """
    begun = None if first is None else _begun_with(first)
    if begun is not None:
        if begun != root_of(keyring):
            raise _another(file, f" (`gatehouse keys status --json` says the root {begun} of it)")
    elif subjects and not any(_holds(keyring, row) for row in subjects):
        raise _another(file, "")


def _begun_with(first: StoredEntry) -> str | None:
    """Gives the root that a log began with, None where its first entry does not say."""
    try:
        if orjson.loads(first.bytes)["action"] != START:
            return None
        root: Any = orjson.loads(first.parts[0].body)["said"][ROOT]
    except (ValueError, LookupError, TypeError):  # it says nothing of it, or somebody altered it
        return None
    return root if isinstance(root, str) else None


def _holds(keyring: Keyring, row: SubjectRow) -> bool:
    return hmac.compare_digest(keyring.mac(Label.SUBJECT, row.id, row.pseudonym), row.mac)


def _another(file: Path, known: str) -> Misconfigured:
    return Misconfigured(
        f"the key file {file} is not the one that these stores were written with, and would open nothing in them: "
        f"restore that one{known}. To begin anew, begin with other stores too"
    )
