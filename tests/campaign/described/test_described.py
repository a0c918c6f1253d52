"""The control plane keeps to its own description: schemathesis asks a running gateway whatever that allows, and what it does not.

Every operation that the description names is asked; a new one needs nothing here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.app import open_house, utc_now
from gateway.control.openapi import document
from gateway.credentials import Wish
from gateway.keys import create_key_file
from gateway.settings import read
from gateway.words.principal import RoleHeld
from tests.campaign.counts import SEED, count, in_proof_alone, proving
from tests.campaign.faults.estate import GUARDED, operator
from tests.campaign.serving import ROOT, Launcher

HERE = Path(__file__).parent
PLANTED = "import sys; from tests.campaign.described.planted import main; main(sys.argv.pop(1))"


@dataclass(frozen=True, slots=True)
class Run:
    """What schemathesis said. seen: how often each operation answered with each status."""

    code: int
    said: str
    summary: dict[str, Any]
    seen: dict[str, dict[str, int]]

    @property
    def failures(self) -> set[str]:
        """The names of the checks that failed."""
        return {failure["type"] for failure in self.summary["failures"]}


@dataclass(frozen=True, slots=True)
class Home:
    """A home folder with one credential of a security administrator."""

    folder: Path
    key: str
    key_id: str


async def prepared(folder: Path) -> Home:
    home = folder / "home"
    home.mkdir(mode=0o700)
    create_key_file(home / "keys.json")
    roles = frozenset({RoleHeld("role:security-admin")})
    wish = Wish("app:security", roles, frozenset({"service"}), utc_now() + timedelta(days=1))
    async with open_house(read({"GATEHOUSE_HOME": str(home)})) as house:
        issued = await house.keys.issue(operator(), lambda: wish)
    return Home(home, issued.text, issued.key.id)


def ask(home: Home, examples: int, phases: str, program: str = GUARDED, *words: str) -> Run:
    """Starts a gateway, has schemathesis ask it, and stops it."""
    folder = home.folder.parent
    gateway = Launcher(home.folder, {}, (*words, "run"), program).start()
    summary, seen = folder / "summary.json", folder / "seen.json"
    seen.write_text("{}")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMA_OWN_KEY": home.key_id,
        "SCHEMA_SEEN": str(seen),
        "PYTHONHASHSEED": "0",
    }
    try:
        done = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run",
                f"{gateway.base}/schema/openapi.json", "--header", f"Authorization: Bearer {home.key}",
                "--phases", phases, "--max-examples", str(examples), "--seed", str(SEED % 2**31), "--checks", "all",
                "--no-color", "--continue-on-failure", "--suppress-health-check", "all", "--report", "json",
                "--report-json-path", str(summary),
            ],
            env=environment, cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        assert gateway.stop() == 0
    said = done.stdout + done.stderr
    assert summary.exists(), said
    return Run(done.returncode, said, json.loads(summary.read_text()), json.loads(seen.read_text()))


@in_proof_alone("some hundred questions to a gateway of its own")
async def test_every_described_operation_keeps_to_its_description(tmp_path: Path) -> None:
    phases = "examples,coverage" + count(0, 1) * ",fuzzing,stateful"
    run = ask(await prepared(tmp_path), count(1, 1000), phases)
    assert (run.code, run.failures) == (0, set()), run.said
    described = {
        f"{method.upper()} {path}": operation["responses"]
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    }
    described.pop("GET /schema/openapi.json")  # by which it learns what there is
    assert set(described) <= set(run.seen)
    # Clean because it was refused everything would be no news.
    for name, responses in described.items():
        good = {status for status in responses if status.startswith("2")}
        if " /v1/" in name and (proving() or "{" not in name):
            assert good & set(run.seen[name]), (name, run.seen[name])
    statuses = sorted({status for seen in run.seen.values() for status in seen})
    print(
        f"proof: {run.summary['test_cases']['generated']} cases to {len(described)} operations, "
        f"{sum(map(sum, (s.values() for s in run.seen.values())))} answers of {', '.join(statuses)}: nothing found"
    )


FOUND_BY = {
    "open_to_strangers": "IgnoredAuth",
    "broken_by_a_parameter": "ServerError",
    "undescribed_status": "UndefinedStatusCode",
    "lenient_body": "AcceptedNegativeData",
    "missing_member": "JsonSchemaError",
    "missing_entry": "MissingHeaders",
    "refused_without_allow": "UnsupportedMethodResponse",
}
"""A defect that is planted → how schemathesis names what it finds."""


@in_proof_alone("seven gateways with a defect each")
@pytest.mark.parametrize("defect", FOUND_BY)
async def test_a_build_with_a_defect_is_found(tmp_path: Path, defect: str) -> None:
    run = ask(await prepared(tmp_path), 50, "examples,coverage,fuzzing", PLANTED, defect)
    assert (run.code, FOUND_BY[defect] in run.failures) == (1, True), run.said
    print(f"proof: {defect}: {', '.join(sorted(run.failures))}")
