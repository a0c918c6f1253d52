"""One wheel holds all that a gateway needs: built the same anywhere, installed into an empty environment, it serves the demonstration."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tools import wheel

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
EPOCH = 1_790_000_000


@pytest.fixture(scope="module")
def built() -> tuple[bytes, bytes, str]:
    return wheel.twice(ROOT, EPOCH)


def names(place: Path) -> list[str]:
    return sorted(str(p.relative_to(place)) for p in place.rglob("*") if p.is_file() and p.suffix != ".pyc")


def test_the_same_sources_give_the_same_bytes_in_another_folder_and_under_another_umask(
    built: tuple[bytes, bytes, str],
) -> None:
    first, second, name = built
    assert wheel.sha256(first) == wheel.sha256(second)
    assert name == "gatehouse-0.1.0-py3-none-any.whl"


def test_the_wheel_holds_both_packages_the_migrations_and_the_policies_and_nothing_else(
    built: tuple[bytes, bytes, str], tmp_path: Path
) -> None:
    (tmp_path / "one.whl").write_bytes(built[0])
    with zipfile.ZipFile(tmp_path / "one.whl") as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
        bodies = {name: file.read(name) for name in held}
    wanted = {
        f"{part}/{name}": ROOT / part / name for part in ("audit", "gateway") for name in names(ROOT / part)
    }
    carried = {
        "audit/migrations": "migrations/audit",
        "gateway/carried/migrations/records": "migrations/records",
        "gateway/carried/migrations/state": "migrations/state",
        "gateway/carried/policies": "policies",
    }
    wanted |= {
        f"{there}/{name}": ROOT / here / name
        for there, here in carried.items()
        for name in names(ROOT / here)
    }
    assert held == set(wanted)
    assert [name for name, path in wanted.items() if bodies[name] != path.read_bytes()] == []


def test_the_wheel_asks_for_what_the_lock_holds(built: tuple[bytes, bytes, str], tmp_path: Path) -> None:
    (tmp_path / "one.whl").write_bytes(built[0])
    with zipfile.ZipFile(tmp_path / "one.whl") as file:
        said = message_from_bytes(file.read("gatehouse-0.1.0.dist-info/METADATA"))
    asked = {re.split(r"[^A-Za-z0-9-]", line)[0].lower() for line in said.get_all("Requires-Dist") or []}
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "locks" / "run.txt").read_text(), re.M))
    assert asked - locked == set()
    assert set(said.get_all("Provides-Extra") or []) == {"postgres", "otlp"}


class Installed:
    """The wheel in an empty environment, called from a folder that has nothing to do with the checkout."""

    def __init__(self, place: Path, wheel_bytes: bytes, name: str) -> None:
        self.venv, self.user, self.cwd = place / "venv", place / "user", place / "elsewhere"
        self.user.mkdir()
        self.cwd.mkdir()
        (place / name).write_bytes(wheel_bytes)
        into = ("--quiet", "--python", str(self.venv / "bin" / "python"))
        for words in (
            ("venv", "--quiet", "--python", sys.executable, str(self.venv)),
            ("pip", "install", *into, "--require-hashes", "-r", str(ROOT / "locks" / "run.txt")),
            ("pip", "install", *into, "--no-deps", "--no-index", str(place / name)),
        ):
            subprocess.run([UV, *words], check=True, capture_output=True, timeout=300)
        (self.site,) = self.venv.glob("lib/python*/site-packages")
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.user), "GATEHOUSE_PORT": "0"}

    @property
    def home(self) -> Path:
        """Where an installed program keeps what it makes, when nobody says."""
        return self.user / ".local" / "state" / "gatehouse"

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.venv / "bin" / "gatehouse", *words],
            env=self.environment, cwd=self.cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        return process.returncode, out + err


@pytest.fixture(scope="module")
def installed(
    built: tuple[bytes, bytes, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    place = tmp_path_factory.mktemp("installed")
    yield Installed(place, built[0], built[2])
    shutil.rmtree(place)


def answered(line: str) -> tuple[int, dict[str, object]]:
    """Asks what a printed curl line asks, and gives status and body."""
    words = shlex.split(line)
    assert words[:2] == ["curl", "-s"]
    headers = dict(words[n + 1].split(": ", 1) for n, word in enumerate(words) if word == "-H")
    target = urlsplit(words[-1])
    connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=30)
    with closing(connection):
        connection.request("GET", target.path, headers=headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


@pytest.mark.timeout(300)
def test_installed_elsewhere_it_serves_the_demonstration_and_stops(installed: Installed) -> None:
    before = names(installed.site)
    process = installed.start("demo", "--customers", "12")
    try:
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "audit verify" in line:
                break
        curls = [line.strip() for line in lines if line.strip().startswith("curl ")]
        assert curls, process.stderr.read() if process.stderr else ""
        (agent, seen), (supervisor, more) = answered(curls[0]), answered(curls[1])
        assert (agent, supervisor, seen["name"]) == (200, 200, more["name"])
        assert "*" in str(seen["phone"])
        assert "*" not in str(more["phone"])
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
    assert {path.name for path in installed.home.glob("*.sqlite")} == {
        "audit.sqlite", "records.sqlite", "state.sqlite",
    }  # fmt: skip
    assert names(installed.site) == before
    assert list(installed.cwd.iterdir()) == []
    code, said = installed.run("audit", "verify")
    assert (code, said.count("INTACT")) == (0, 1)
    code, said = installed.run("doctor")
    assert (code, "MISSING" in said) == (0, False)


def test_installed_elsewhere_it_finds_what_it_carries(installed: Installed) -> None:
    assert installed.run("policy", "check")[0] == 0
    code, said = installed.run("settings", "--json")
    told = {one["variable"]: one["value"] for one in json.loads(said)}
    assert code == 0
    assert told["GATEHOUSE_HOME"] == str(installed.home)
    assert told["GATEHOUSE_POLICIES"] == str(installed.site / "gateway" / "carried" / "policies")


def test_the_home_of_an_installed_program_follows_the_users_state_folder(installed: Installed) -> None:
    for given, expected in (("/srv/state", "/srv/state/gatehouse"), ("not/absolute", str(installed.home))):
        code = "import os; from gateway.settings import read; print(read(os.environ).home)"
        done = subprocess.run(
            [installed.venv / "bin" / "python", "-c", code], env=installed.environment | {"XDG_STATE_HOME": given},
            cwd=installed.cwd, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == expected
