"""Before the path: what is between two bundles: how the one could widen what the other gives, and what an entry says of it. No I/O."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

import orjson

from gateway import policy
from gateway.catalogue import changes
from gateway.loading import Loaded
from gateway.words.json import JsonObject
from gateway.words.widening import Why, Widening

_MOST: Final = 40
"""Names and places that an entry lists; the rest are counted, and a digest stands for all."""


def weigh(old: Loaded, new: Loaded) -> tuple[Widening, ...]:
    """Gives every way found in which the new one could give somebody more, its catalogue's changes included; empty: proven that it
    does not. Computes; call it off the loop."""
    if old.digest == new.digest:
        return ()
    differs = changes(old.catalogue, new.catalogue)
    wider = [Widening(Why.CATALOGUE, about=f"{one.place}: {one.what}") for one in differs if one.widens]
    return (*policy.widened(old.bundle, new.bundle, new.catalogue), *wider)


def weighed_with(old: Loaded, new: Loaded) -> tuple[tuple[Widening, ...], JsonObject]:
    """Gives both: how the new one could widen anybody's access, and what an entry says of the difference."""
    widenings = weigh(old, new)
    return widenings, differences(old, new, widenings)


def differences(old: Loaded | None, new: Loaded, widenings: Iterable[Widening]) -> JsonObject:
    """Gives what an entry says of the way from one to the other: files, rules and links by number, why it could widen anything, with
    the first rule lines and a digest of all reasons. Bounded, and of names of policy and catalogue only."""
    was: Mapping[str, bytes] = {} if old is None else old.files
    now = new.files
    rows = ({}, {}) if old is None else (_rows(old), _rows(new))
    whole = [asdict(one) for one in widenings]
    counts = Counter(str(one["why"]) for one in whole)
    lines = [f"{'-' if w['was'] else '+'}{w['rule']['file']}:{w['rule']['line']}" for w in whole if w["rule"]]
    return {
        "files": {
            "added": _names(now.keys() - was.keys()),
            "removed": _names(was.keys() - now.keys()),
            "changed": _names(name for name in was.keys() & now.keys() if was[name] != now[name]),
        },
        "rows": {
            "added": sum((Counter(rows[1]) - Counter(rows[0])).values()),
            "removed": sum((Counter(rows[0]) - Counter(rows[1])).values()),
        },
        "widens": {
            "reasons": len(whole),
            "by": dict(counts),
            "lines": [*lines[:_MOST]],
            "digest": _digest(whole),
        },
    }


def _rows(loaded: Loaded) -> Mapping[str, int]:
    return Counter(f"{row.kind},{','.join(row.columns)}" for row in loaded.bundle.rows)


def _names(names: Iterable[str]) -> list[Any]:
    found = sorted(names)
    return [*found[:_MOST], *([len(found) - _MOST] if len(found) > _MOST else [])]


def _digest(whole: list[dict[str, Any]]) -> str:
    return "sha256:" + hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()
