"""Policies that are empty, broken, half-written or gone: the good bundle goes on deciding, and none is never an allow."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.counts import count, dice, proving
from tests.campaign.secrecy.client import Said
from tests.campaign.secrecy.folders import folder
from tests.campaign.secrecy.house import Opened, entries, serving, settings
from tests.campaign.secrecy.keys import ANYWHERE, Holder
from tests.campaign.secrecy.people import invent
from tests.campaign.serving import ROOT

pytestmark = pytest.mark.campaign

WATCHER = "role:watches"
RULES = [
    f"p, {WATCHER}, *, crm/customer, customer:read, -, service, True, allow",
    f"p, {WATCHER}, *, crm/customer, customer:update, -, service, True, allow",
    f"p, {WATCHER}, *, crm/customer, set, internal, service, True, allow",
    f"p, {WATCHER}, *, crm/customer, show:clear, public, service, True, allow",
    f"p, {WATCHER}, *, crm/customer, show:clear, internal, service, True, allow",
]
MASKED = f"p, {WATCHER}, *, crm/customer, show:masked, contact, service, True, allow"
CLEAR = f"p, {WATCHER}, *, crm/customer, show:clear, contact, service, True, allow"
PERSON = invent(1, dice("policies"))[0]


def write(path: Path, text: str | bytes) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def cut(path: Path, share: float) -> None:
    """What an editor that was interrupted leaves: the beginning of the file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def emptied(at: Path) -> None:
    shutil.rmtree(at)
    at.mkdir()


def more_rules(*rows: str) -> Callable[[Path], None]:
    def add(at: Path) -> None:
        with (at / "policy.csv").open("a", encoding="utf-8") as file:
            file.writelines(f"{row}\n" for row in rows)

    return add


def changed(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(at: Path) -> None:
        text = (at / name).read_text(encoding="utf-8")
        assert old in text, name
        (at / name).write_text(text.replace(old, new), encoding="utf-8")

    return change


def on(name: str, do: Callable[[Path], object]) -> Callable[[Path], None]:
    return lambda at: do(at / name) and None


READ = "p, role:clerk, *, crm/customer, customer:read, -, service, True"
# What happens to the folder. Each is refused, whole, with a place that a person can go to.
BREAKS: dict[str, Callable[[Path], None]] = {
    "the folder gone": shutil.rmtree,
    "the folder empty": emptied,
    "policy.csv gone": on("policy.csv", Path.unlink),
    "policy.csv empty": on("policy.csv", lambda file: write(file, "")),
    "policy.csv cut within a line": on("policy.csv", lambda file: cut(file, 0.51)),
    "policy.csv cut to its first lines": on("policy.csv", lambda file: write(file, file.read_bytes().split(b"\np,")[0])),
    "policy.csv in another encoding": on("policy.csv", lambda file: write(file, file.read_text().encode("utf-16"))),
    "policy.csv with a NUL": changed("policy.csv", "allow\n", "allow\0\n"),
    "policy.csv a folder": on("policy.csv", become_folder),
    "policy.csv a link to nowhere": on("policy.csv", dangle),
    "a rule without an effect": more_rules(READ),
    "a rule with another effect": more_rules(f"{READ}, Deny"),
    "a rule that the cases forbid": more_rules("p, role:clerk, *, *, show:clear, *, *, True, allow"),
    "model.conf empty": on("model.conf", lambda file: write(file, "")),
    "model.conf cut": on("model.conf", lambda file: cut(file, 0.6)),
    "model.conf that allows what nobody denies": changed("model.conf", "some(where (p.eft == allow)) && ", ""),
    "vocabulary.yaml gone": on("vocabulary.yaml", Path.unlink),
    "vocabulary.yaml cut": on("vocabulary.yaml", lambda file: cut(file, 0.4)),
    "no catalogue": on("catalogue", shutil.rmtree),
    "an empty catalogue": on("catalogue/crm.yaml", Path.unlink),
    "crm.yaml empty": on("catalogue/crm.yaml", lambda file: write(file, "")),
    "crm.yaml cut": on("catalogue/crm.yaml", lambda file: cut(file, 0.5)),
    "crm.yaml with an unsealed personal field": changed("catalogue/crm.yaml", "sealed: profile, mask: phone", "mask: phone"),
    "a case file cut": on("cases/branch.yaml", lambda file: cut(file, 0.3)),
}  # fmt: skip


def spoil(at: Path, what: str) -> None:
    BREAKS[what](at)


async def becomes(true: Callable[[], bool], seconds: float = 60) -> float:
    """Waits until it is so; gives the seconds that it took. Raises AssertionError when it takes too long."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds, "waited in vain"
        await asyncio.sleep(0.02)
    return time.monotonic() - started


@dataclass
class Watch:
    """A gateway whose policy folder changes under it, and somebody who asks all the while."""

    opened: Opened
    policies: Path
    kept: Path
    target: str
    answers: list[Said] = field(default_factory=list)

    async def asking(self, done: asyncio.Event) -> None:
        level = 0
        async with self.opened.client() as client:
            while not done.is_set():
                key = self.opened.keys["watcher"]
                self.answers.append(await client.ask("GET", self.target, key))
                level += 1
                if level % 4 == 0:
                    change = {"level": f"l{level}"}
                    self.answers.append(await client.ask("PATCH", self.target, key, change, merge=True))
                await asyncio.sleep(0.01)

    async def until(self, action: str, number: int, seconds: float = 60) -> float:
        """Waits for that many entries of an action; gives the seconds that it took."""
        home = self.opened.house.settings.home
        return await becomes(lambda: sum(e["action"] == action for e in entries(home)) >= number, seconds)

    async def answered(self, number: int) -> None:
        """Waits for that many more answers."""
        before = len(self.answers)
        await becomes(lambda: len(self.answers) >= before + number)

    def restore(self) -> None:
        """Puts the good folder back as a deployment does: whole, by one rename."""
        beside = self.policies.with_name("new")
        shutil.copytree(self.kept, beside)
        if self.policies.exists():
            shutil.rmtree(self.policies)
        beside.rename(self.policies)


@asynccontextmanager
async def watched(at: Path) -> AsyncIterator[Watch]:
    policies = folder(at / "policies", rules=[*RULES, MASKED], roles=[WATCHER])
    shutil.copytree(policies, at / "kept")
    holders = {"watcher": Holder("app:watcher", ("service",), ((WATCHER, ANYWHERE),))}
    chosen = settings(at / "home", policies=policies, watch_seconds=0.1)
    async with serving(chosen, holders=holders) as opened:
        async with opened.client() as client:
            made = await client.ask("POST", "/crm/customers", opened.keys["all"], PERSON.customer())
        watch = Watch(opened, policies, at / "kept", f"/crm/customers/{made.json['id']}")
        done = asyncio.Event()
        task = asyncio.ensure_future(watch.asking(done))
        try:
            yield watch
        finally:
            done.set()
            await task


def said(line: dict[str, Any]) -> str:
    return str(line["parts"][0]["reference"])


def in_force(home: Path) -> dict[int, str]:
    """Gives which bundle was in force at each position of the log, by the activations before it."""
    found, active = {}, ""
    for entry in entries(home):
        if entry["action"] == "bundle:activate":
            active = said(entry)
        found[entry["seq"]] = active
    return found


async def test_a_broken_folder_changes_nothing_while_the_gateway_runs(tmp_path: Path) -> None:
    rolls = dice("breaks")
    chosen = list(BREAKS) if proving() else rolls.sample(sorted(BREAKS), 7)
    async with watched(tmp_path) as watch:
        home = watch.opened.house.settings.home
        good = watch.opened.house.bundles.digest
        for number, what in enumerate(chosen, 1):
            spoil(watch.policies, what)
            # Not by the count alone: a folder that is spoiled or removed file by file may be refused half-way as well.
            await becomes(lambda: bool(watch.opened.house.bundles.refused))
            await watch.until("bundle:refuse", number)
            assert watch.opened.house.bundles.digest == good, what
            await watch.answered(3)
            watch.restore()
            await becomes(lambda: not watch.opened.house.bundles.refused)
        counted = Counter(e["action"] for e in entries(home))
    assert {answer.status for answer in watch.answers} == {200}
    assert {answer.headers["gatehouse-policy"] for answer in watch.answers} == {good}
    assert {answer.json["phone"] for answer in watch.answers} == {
        f"{PERSON.phone[:3]}****{PERSON.phone[-4:]}"
    }
    assert counted["bundle:activate"] == 1
    refused = [line for line in watch.opened.lines if line["event"] == "bundle-refused"]
    assert len(refused) == counted["bundle:refuse"] >= len(chosen)
    print(
        f"proof: {len(chosen)} broken policy folders refused, each with an entry, "
        f"{len(watch.answers)} answers meanwhile by the good one"
    )


async def test_a_good_edit_takes_over_and_a_half_written_one_never_decides(tmp_path: Path) -> None:
    rounds = count(2, 25)
    took = []
    async with watched(tmp_path) as watch:
        home = watch.opened.house.settings.home
        texts = (
            (watch.policies / "policy.csv").read_text().replace(MASKED, CLEAR),
            (watch.kept / "policy.csv").read_text(),
        )
        for number in range(rounds):
            await edit_in_place(watch, texts[number % 2])
            took.append(await watch.until("bundle:activate", number + 2))
        await watch.answered(5)
    active = in_force(home)
    by_seq = {entry["seq"]: entry for entry in entries(home)}
    shown = {said(e): None for e in by_seq.values() if e["action"] == "bundle:activate"}
    assert len(shown) == 2, "the same files are the same bundle"
    masked, clear = list(shown)
    form = {masked: f"{PERSON.phone[:3]}****{PERSON.phone[-4:]}", clear: PERSON.phone}
    overtaken = 0
    for answer in watch.answers:
        entry = by_seq[int(answer.headers["audit-ref"].partition(":")[0])]
        digest = answer.headers["gatehouse-policy"]
        assert entry["decision"]["bundle"] == digest
        if (
            answer.status == 204
        ):  # a change that the new bundle overtook: decided where its intent stands, and nothing shown
            assert active[entry["of"]] == digest
            assert active[entry["seq"]] != digest
            overtaken += 1
            continue
        assert answer.status == 200, answer.body
        assert active[entry["seq"]] == digest
        assert answer.json["phone"] == form[digest]
    assert {answer.headers["gatehouse-policy"] for answer in watch.answers} == set(form)
    refused = sum(e["action"] == "bundle:refuse" for e in by_seq.values())
    print(
        f"proof: {rounds} edits took over, the slowest {max(took):.1f} s after the last byte; half-written ones refused "
        f"{refused} times; {len(watch.answers)} answers, each by the bundle in force at its place in "
        f"the log; {overtaken} changes overtaken, which showed nothing"
    )


async def edit_in_place(watch: Watch, text: str) -> None:
    """Writes as an editor on a slow disk does: the file is cut to nothing and grows."""
    data = text.encode()
    with (watch.policies / "policy.csv").open("wb", buffering=0) as file:
        for start in range(0, len(data), len(data) // 5):
            file.write(data[start : start + len(data) // 5])
            await asyncio.sleep(0.12)


# ── at the start ─────────────────────────────────────────────────────────────────────────────────────────────────────


def started_on(at: Path, what: str) -> subprocess.CompletedProcess[str]:
    """Tries to start a gateway on a folder spoiled in that way."""
    policies = folder(at / "policies")
    spoil(policies, what)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEHOUSE_")}
    environment |= {
        "GATEHOUSE_HOME": str(at / "home"),
        "GATEHOUSE_PORT": "0",
        "GATEHOUSE_POLICIES": str(policies),
    }
    environment["PYTHONPATH"] = str(ROOT)
    begin = "from gateway.cli import main; main()"
    run = [sys.executable, "-c", begin]
    made = subprocess.run(
        [*run, "keys", "create"], env=environment, capture_output=True, text=True, timeout=110
    )
    assert made.returncode == 0, made.stderr
    return subprocess.run([*run, "run"], env=environment, capture_output=True, text=True, timeout=110)


async def test_no_start_without_a_good_policy(tmp_path: Path) -> None:
    names = sorted(BREAKS)
    chosen = names if proving() else dice("starts").sample(names, 2)
    for what in chosen:
        done = await asyncio.to_thread(started_on, tmp_path / what.replace(" ", "-").replace(".", "-"), what)
        assert done.returncode == 2, (what, done.stdout, done.stderr)
        assert "listening" not in done.stderr
        assert "Traceback" not in done.stderr
        told = [line for line in done.stderr.splitlines() if line.startswith("gatehouse: ")]
        assert told, (what, done.stderr)
        # A file that is not there, or not a file, has no line.
        if not re.search("gone|empty|folder|nowhere|no catalogue", what):
            assert any(re.match(r"gatehouse: \S+\.(csv|conf|yaml):\d+: ", line) for line in told), (
                what,
                told,
            )
    print(
        f"proof: {len(chosen)} broken policy folders at the start: exit code 2, each problem with its file and line"
    )
