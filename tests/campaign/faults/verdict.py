"""What must hold afterwards, read from the log as a stranger would and held against what callers and the upstream noted.

The laws (issue 2, invariants 1 and 8): no answer without a durable entry of its own request, and none whose Audit-Ref is not in
the log; no forwarded change without its own intent; every acknowledged change in the upstream's record; no intent left open;
what an outcome says of a create, an update or a delete is what the upstream's record says (test_lies.py holds this one to it).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

import audit
from audit.verify import Report, verify_sqlite
from audit.verify_postgres import verify_postgres
from gateway.keys import KeyedEvidence, Keyring, from_file
from tests.campaign.faults.caller import Answer, Load
from tests.campaign.faults.estate import Estate
from tests.campaign.faults.ledger import Ledger

_ALL = 10_000_000


@dataclass
class Entries:
    """Every entry of a log, found by what the laws ask for."""

    by_request: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    intents: dict[int, dict[str, Any]] = field(default_factory=dict)
    outcomes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    count: int = 0

    @property
    def open(self) -> list[int]:
        return [seq for seq in self.intents if seq not in self.outcomes]


@dataclass
class Verdict:
    """faults: what was broken, one line a case; empty means that every law held."""

    report: Report
    entries: Entries
    faults: list[str] = field(default_factory=list)


def store(estate: Estate) -> audit.Store:
    return audit.postgres(estate.dsn) if estate.dsn else audit.sqlite(estate.home / "audit.sqlite")


def verify(estate: Estate, receipts: Sequence[str] = ()) -> Report:
    if estate.dsn:
        return verify_postgres(estate.dsn, receipts=receipts)
    return verify_sqlite(estate.home / "audit.sqlite", receipts)


def entries(estate: Estate) -> Entries:
    """Reads the whole log."""
    found = Entries()
    for stored in audit.tail(store(estate), _ALL):
        entry = orjson.loads(stored.bytes)
        entry["parts"] = [orjson.loads(part.body) for part in stored.parts]
        found.count += 1
        found.by_request.setdefault(entry["request"], []).append(entry)
        if entry["kind"] == "intent":
            found.intents[stored.seq] = entry
        elif entry["of"] is not None:
            found.outcomes.setdefault(entry["of"], []).append(entry)
    return found


async def settled(estate: Estate, seconds: float = 120) -> None:
    """Returns when no intent is open any more; the reconciler of a running gateway sees to it."""
    async with asyncio.timeout(seconds):
        while (await asyncio.to_thread(entries, estate)).open:  # noqa: ASYNC110 - another process's work
            await asyncio.sleep(0.5)


def judge(estate: Estate, load: Load, ledger: Ledger) -> Verdict:
    """Holds a campaign to the laws. Blocks: call it off the loop, once the gateways have stopped."""
    found = entries(estate)
    receipts = [a.headers["audit-ref"] for a in load.answers if "audit-ref" in a.headers]
    verdict = Verdict(verify(estate, receipts), found)
    if not verdict.report.intact:
        verdict.faults.append(f"the log or a receipt: {verdict.report.found}")
    verdict.faults += _answers(load, found)
    verdict.faults += _forwarded(estate, ledger, found)
    verdict.faults += _acknowledged(load, ledger)
    verdict.faults += contradicted(estate, ledger, found)
    verdict.faults += [f"intent {seq} is open" for seq in found.open]
    return verdict


def unevidenced(load: Load, found: Entries) -> list[Answer]:
    """Gives the 2xx answers whose own request has no entry that says what was shown or done."""
    return [a for a in load.good() if not _has(found, a, ("served", "outcome"))]


def _answers(load: Load, found: Entries) -> Iterator[str]:
    for answer in load.answers:
        if answer.good and not _has(found, answer, ("served", "outcome")):
            yield f"{answer.what} was answered {answer.status} without an entry ({answer.phase})"
        if answer.good and "audit-ref" not in answer.headers:
            yield f"{answer.what} was answered {answer.status} without an Audit-Ref"
        if answer.status in (403, 404) and not _has(found, answer, ("denied", "outcome")):
            yield f"{answer.what} was refused {answer.status} without an entry ({answer.phase})"
        if answer.status == 500:
            yield f"{answer.what} met a defect ({answer.phase})"


def _has(found: Entries, answer: Answer, kinds: tuple[str, ...]) -> bool:
    return any(entry["kind"] in kinds for entry in found.by_request.get(answer.request, ()))


def _forwarded(estate: Estate, ledger: Ledger, found: Entries) -> Iterator[str]:
    """Each change that arrived has an intent that names it: a create's key, an update's ciphertexts, a delete's record."""
    evidence = KeyedEvidence(Keyring(from_file(estate.home / "keys.json")))
    parts = [entry["parts"][0] for entry in found.intents.values() if entry["parts"]]
    markers = {part["marker"] for part in parts if part.get("marker")}
    sealed = {digest for part in parts for digest in part.get("sealed", {}).values()}
    deletes = Counter(part["reference"] for part in parts if part["verb"] == "delete")
    for change in ledger.forwarded:
        if change.method == "POST":
            known = change.key in markers
        elif change.method == "DELETE":
            reference = evidence.token("ledger", "account", str(change.record))
            known = deletes[reference] > 0
            deletes[reference] -= 1
        else:
            known = bool(change.sealed & sealed)
        if not known:
            yield f"{change.method} was forwarded without an intent"


def _acknowledged(load: Load, ledger: Ledger) -> Iterator[str]:
    deletes = sum(1 for change in ledger.forwarded if change.method == "DELETE" and change.status == 204)
    if len(load.good("delete")) > deletes:
        yield "more deletes were acknowledged than the upstream made"
    for answer in load.good("create", "update"):
        etag = answer.headers.get("etag", "")
        if answer.body is None:
            continue  # done, recorded, and overtaken by a start that raised the fence: nothing of it is shown
        if (answer.body["id"], etag) not in ledger.stood:
            yield f"an acknowledged {answer.what} never stood in the upstream"


def contradicted(estate: Estate, ledger: Ledger, found: Entries) -> list[str]:
    """Gives the intents of which an outcome says what the upstream's record does not, creates, updates and deletes alike."""
    evidence = KeyedEvidence(Keyring(from_file(estate.home / "keys.json")))
    made = Made(ledger, lambda record: evidence.token("ledger", "account", record))
    deletes: dict[str, set[str]] = {}
    faults: list[str] = []
    for seq, intent in found.intents.items():
        part = intent["parts"][0] if intent["parts"] else {}
        results = {entry["upstream"]["result"] for entry in found.outcomes.get(seq, ())}
        if part.get("verb") not in ("create", "update", "delete") or not results:
            continue
        if len(results) > 1:
            faults.append(f"intent {seq} has outcomes that differ: {sorted(results)}")
        said = results & UNDONE
        match part["verb"]:
            case "create" if part.get("marker"):
                faults += _of_a_create(seq, part, results, ledger)
            case "update":
                digests = frozenset(part["sealed"].values())
                done = bool(digests & made.digests)
                if "done" in results and not done:
                    faults.append(f"intent {seq} is said to be done, and the upstream did no such update")
                if said and done:
                    faults.append(f"intent {seq} is said not to be done, and the upstream did it")
                if "unknowable" in results and not made.others(part["reference"], digests):
                    faults.append(
                        f"intent {seq} is said to be unknowable, and nobody else changed its record"
                    )
            case "delete":
                # Of several deletes of one record the upstream makes one, and nothing tells which: what is said is held together.
                deletes.setdefault(part["reference"], set()).update(results)
                if "unknowable" in results and not made.others(part["reference"]):
                    faults.append(
                        f"intent {seq} is said to be unknowable, and nobody else changed its record"
                    )
    for reference, results in deletes.items():
        if "done" in results and reference not in made.deleted:
            faults.append("a delete is said to be done, and the record stands")
        if "done" not in results and reference in made.deleted:
            faults.append(f"a delete is said to be {sorted(results)}, and the upstream did it")
    return faults


def _of_a_create(seq: int, part: dict[str, Any], results: set[str], ledger: Ledger) -> Iterator[str]:
    record = ledger.keys.get(part["marker"])
    if "done" in results and record is None:
        yield f"intent {seq} is said to be done, and the upstream never saw it"
    if results & UNDONE and record is not None and record not in ledger.closed:
        yield f"intent {seq} is said not to be done, and the upstream did it"
    if "unknowable" in results:
        yield f"intent {seq} is said to be unknowable, and its record has an id of its own"


UNDONE = frozenset({"not-done", "not-sent", "refused"})


class Made:
    """What the upstream really did, by what an intent may say of it. deleted: references. digests: of every ciphertext it took."""

    def __init__(self, ledger: Ledger, reference: Callable[[str], str]) -> None:
        changes = [change for change in ledger.forwarded if change.status < 300]
        named = [(reference(change.record), change) for change in changes if change.record is not None]
        self.deleted = {name for name, change in named if change.method == "DELETE"}
        self.digests = frozenset(
            digest for change in changes if change.method == "PATCH" for digest in change.sealed
        )
        self._of: dict[str, list[frozenset[str]]] = {}
        for name, change in named:
            self._of.setdefault(name, []).append(change.sealed)

    def others(self, reference: str, own: frozenset[str] = frozenset()) -> bool:
        """Tells whether the record was changed by anything but the change with those ciphertexts."""
        return any(not sealed & own for sealed in self._of.get(reference, ()))
