"""Before the path: decisions of the log made again, by the bundle that made them and by another one.

What is replayed are the log's own words: who asked, what for, and the facts, which are never personal. No upstream is asked anything.
"""

from __future__ import annotations

from asyncio import to_thread
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from gateway import policy
from gateway.bundles import Bundles
from gateway.corridor.entries import facts_digest
from gateway.loading import Loaded
from gateway.policy import Recorded
from gateway.words.control import CONTROL_RESOURCES, CONTROL_UPSTREAM
from gateway.words.decision import Decision, Disclosure, Facts, FactValue, Floors
from gateway.words.json import Pattern
from gateway.words.principal import Principal
from gateway.words.replay import Flip, LeftOut, Replayed, Told
from gateway.words.resource import ResourceSpec

_Alike = tuple[tuple[str, ...], str, str, str | None, str, str, str]
_SHOWN = {disclosure.word: disclosure for disclosure in Disclosure}


def replay(entries: Iterable[Mapping[str, Any]], old: Loaded, new: Loaded) -> Replayed:
    """Makes the decisions of entries (`seq`, `entry`, `parts`, as `audit tail --json` prints them) again under both bundles."""
    engines = policy.Engine(old.bundle), policy.Engine(new.bundle)
    left_out: Counter[LeftOut] = Counter()
    flips: Counter[_Alike] = Counter()
    example: dict[_Alike, int] = {}
    decisions = again = 0
    for line in entries:
        for recorded in recorded_in(line, old):
            decisions += 1
            before = made_again(line["entry"], recorded, old, engines[0])
            if isinstance(before, LeftOut):
                left_out[before] += 1
                continue
            again += 1
            asker, was = before
            spec = _resource(new, line["entry"])
            now = None if spec is None else policy.decided(engines[1], recorded, asker, spec)
            roles = tuple(sorted(policy.outermost(old.bundle.roles, recorded.roles, "*")))
            for what, one, other in _differences(was, now):
                place = line["entry"]["resource"]
                key = (
                    roles,
                    f"{place['upstream']}/{place['type']}",
                    recorded.action,
                    recorded.purpose,
                    what,
                    one,
                    other,
                )
                flips[key] += 1
                example.setdefault(key, line["seq"])
    found = tuple(Flip(*key, count, example[key]) for key, count in flips.most_common())
    return Replayed(decisions, again, {why.value: count for why, count in left_out.items()}, found)


def remade(line: Mapping[str, Any], by: Loaded) -> list[LeftOut | None]:
    """Gives, for each decision of an entry, None where it comes out as it was recorded, else why it does not."""
    engine = policy.Engine(by.bundle)
    made = (made_again(line["entry"], recorded, by, engine) for recorded in recorded_in(line, by))
    return [outcome if isinstance(outcome, LeftOut) else None for outcome in made]


async def replayed(bundles: Bundles, line: Mapping[str, Any]) -> Told:
    """Makes the decisions of one entry again, by the bundle that made them as it was kept. Raises Unavailable."""
    digest = (line["entry"].get("decision") or {}).get("bundle")
    by = await bundles.once(digest) if isinstance(digest, str) else None
    outcomes = None if by is None else await to_thread(remade, line, by)
    return Told(line["seq"], digest, outcomes)


def made_again(
    entry: Mapping[str, Any], recorded: Recorded, by: Loaded, engine: policy.Engine
) -> tuple[Principal, Decision] | LeftOut:
    """Gives who asked and the decision, made again by the bundle that made it; or why that cannot be done."""
    if entry["decision"]["bundle"] != by.bundle.digest:
        return LeftOut.ANOTHER_BUNDLE
    if entry["decision"]["engine"] != engine.name:
        return LeftOut.ANOTHER_ENGINE
    spec = _resource(by, entry)
    if spec is None:
        return LeftOut.WITHOUT_RESOURCE
    askers = policy.askers_of(by.bundle, recorded)
    for asker in askers:
        made = policy.decided(engine, recorded, asker, spec)
        if policy.comes_out(made, recorded):
            return asker, made
    return LeftOut.OTHERWISE if askers else LeftOut.ASKER_UNKNOWN


def recorded_in(line: Mapping[str, Any], by: Loaded) -> Iterator[Recorded]:
    """Gives the decisions of one entry: its own, and that of each record of a list. None of an entry that no bundle decided.

    by: the bundle that made them, whose catalogue says which facts there are: one that is missing stood for what is no fact.
    """
    entry = line["entry"]
    decision = entry.get("decision") or {}
    if entry["kind"] not in ("served", "denied", "intent") or decision.get("by") != "bundle":
        return
    spec = _resource(by, entry)
    names = frozenset() if spec is None else frozenset(field.fact for field in spec.fields if field.fact)
    parts = [part for part in line["parts"] if "facts" in part]
    of_one = len(parts) == 1 and _is_of(parts[0], entry)
    if of_one:
        yield _recorded(entry, parts[0], decision["reason"], decision["rule"], names)
        return
    yield _recorded(entry, None, decision["reason"], decision["rule"], names)
    for part in parts:
        yield _recorded(entry, part, None, None, names)


def _is_of(part: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """True where the entry's decision is about that part's record: the facts that it was made on are the part's own."""
    made_on: str = entry["decision"]["facts"]
    return facts_digest(_facts(part["facts"], frozenset())) == made_on


def _recorded(
    entry: Mapping[str, Any],
    part: Mapping[str, Any] | None,
    reason: str | None,
    rule: str | None,
    names: frozenset[str],
) -> Recorded:
    who, allowed = entry["principal"], bool(entry["decision"]["allowed"])
    facts: Facts | None = None
    # A refusal that was certain before its record was looked at has no fact, not even an absent one.
    if part is not None and (allowed or part["facts"]):
        facts = _facts(part["facts"], names)
    elif part is None and allowed and rule is not None:  # what has no facts at all: the control plane's own
        facts = Facts()
    return Recorded(
        application=who["application"],
        person=who["person"],
        roles=frozenset(who["roles"]),
        action=entry["action"],
        purpose=entry["purpose"],
        time=datetime.fromisoformat(entry["time"]),
        facts=facts,
        allowed=allowed,
        reason=reason,
        rule=rule,
        shown={} if part is None else _shown(part),
    )


def _facts(kept: Mapping[str, Any], names: frozenset[str]) -> Facts:
    values: dict[str, FactValue] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in kept.items()
        if name != "floors"
    }
    unfit = names - values.keys() if values else frozenset()
    floors = kept.get("floors")
    if floors is None:
        return Facts(values, unfit=unfit)
    return Facts(values, Floors(floors["erased"], floors["held"], frozenset(floors["refused"])), unfit)


def _shown(part: Mapping[str, Any]) -> dict[Pattern, Disclosure]:
    """How fields were shown, where the entry says it by a pattern: an element's own pointer is somebody's name for it."""
    return {
        pointer: _SHOWN[word]
        for word, pointers in part.get("fields", {}).items()
        for pointer in pointers
        if "/at_" not in pointer
    }


def _resource(by: Loaded, entry: Mapping[str, Any]) -> ResourceSpec | None:
    place = entry["resource"]
    if place["upstream"] == CONTROL_UPSTREAM:
        return CONTROL_RESOURCES.get(place["type"])
    upstream = by.catalogue.upstreams.get(place["upstream"])
    return None if upstream is None else upstream.resources.get(place["type"])


def _differences(was: Decision, now: Decision | None) -> Iterator[tuple[str, str, str]]:
    """What comes out otherwise: the record as a whole, or else each field that is shown in another way."""
    allowed = now is not None and now.allowed
    if now is None or was.allowed != allowed:
        yield "-", _verdict(was.allowed), _verdict(allowed)
        return
    for pattern in sorted({*was.read.by_pattern, *now.read.by_pattern}):
        one, other = was.read.of(pattern), now.read.of(pattern)
        if one is not other:
            yield pattern, one.word, other.word
    for pattern in sorted(was.write ^ now.write):
        yield f"set {pattern}", _verdict(pattern in was.write), _verdict(pattern in now.write)


def _verdict(allowed: bool) -> str:
    return "allowed" if allowed else "denied"
