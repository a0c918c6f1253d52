"""Whatever a start can refuse, `gatehouse doctor` says before, under the right heading. Each scenario is a start that is refused."""

from __future__ import annotations

import ast
import asyncio
import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from gateway import demo
from gateway.app import open_house, serve
from gateway.edge import Server
from gateway.settings import ROOT, read
from tests.app.spoiled import ROUNDUP, SPOILED, WAIT_SECONDS, a_free_port, damage, missing, started


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that a start takes as it is: made once, copied for each scenario."""
    home = tmp_path_factory.mktemp("good") / "home"
    chosen = read({"GATEHOUSE_HOME": str(home), "GATEHOUSE_PORT": "0"})
    demo.prepare(chosen)

    async def opened() -> None:
        async with open_house(chosen):
            pass

    asyncio.run(opened())
    return home


@pytest.fixture
def copied(good: Path, fresh_dir: Path) -> Path:
    return Path(shutil.copytree(good, fresh_dir / "home"))


def test_a_good_home_lacks_nothing_and_looking_changes_nothing(copied: Path) -> None:
    before = {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()}
    assert missing({"GATEHOUSE_HOME": str(copied), "GATEHOUSE_PORT": "0"}) == {}
    after = {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()}
    assert {n: b for n, b in after.items() if not n.endswith(("-wal", "-shm"))} == {
        n: b for n, b in before.items() if not n.endswith(("-wal", "-shm"))
    }


def test_an_upstream_that_is_told_who_asks_lacks_nothing(copied: Path) -> None:
    folder = Path(shutil.copytree(ROUNDUP["GATEHOUSE_POLICIES"], copied.parent / "policies"))
    path = folder / "catalogue" / "roundup.yaml"
    text = path.read_text()
    assert "\nheaders:" in text
    path.write_text(text.replace("\nheaders:", "\nassertion: true\nheaders:", 1))
    environment = {
        **ROUNDUP,
        "GATEHOUSE_HOME": str(copied),
        "GATEHOUSE_PORT": "0",
        "GATEHOUSE_POLICIES": str(folder),
    }
    assert list(missing(environment)) == ["upstreams and their credentials"]
    assert "ROUNDUP_LOGIN" in missing(environment)["upstreams and their credentials"]
    assert missing(environment | {"ROUNDUP_LOGIN": "gateway:secret"}) == {}


@pytest.mark.parametrize("name", ["state.sqlite", "records.sqlite"])
@pytest.mark.parametrize("spoil", [damage, lambda path: path.write_bytes(b"no database" * 1_000)])
def test_a_start_says_which_store_cannot_be_read(
    copied: Path, name: str, spoil: Callable[[Path], object]
) -> None:
    spoil(copied / name)
    (said,) = started({"GATEHOUSE_HOME": str(copied), "GATEHOUSE_PORT": "0"})
    assert said.startswith(f"{name} cannot be read: ")
    assert "restore" in said


@pytest.mark.parametrize("name", SPOILED)
def test_what_a_start_refuses_the_doctor_says_before(copied: Path, name: str) -> None:
    check, _, spoil = SPOILED[name]
    with ExitStack() as stack:
        environment = {"GATEHOUSE_HOME": str(copied), "GATEHOUSE_PORT": "0"} | spoil(copied, stack)
        found = missing(environment)
        assert list(found) == [check]
        assert found[check]
        assert started(environment)


def test_one_number_on_two_addresses_is_two_ports(copied: Path) -> None:
    port = a_free_port()
    two = {"GATEHOUSE_PORT": port, "GATEHOUSE_ADMIN_PORT": port, "GATEHOUSE_ADMIN_HOST": "127.0.0.2"}
    assert missing({"GATEHOUSE_HOME": str(copied), **two}) == {}


@pytest.mark.parametrize("askable", [True, False])
async def test_beside_a_running_gateway_its_own_ports_are_well_and_a_strangers_is_named(
    copied: Path, askable: bool
) -> None:
    ours = {"GATEHOUSE_HOME": str(copied), "GATEHOUSE_PORT": a_free_port()}
    if not askable:
        ours["GATEHOUSE_SOCKET"] = "off"
    settings = read(ours)
    serving: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
    async with open_house(settings) as house:
        task = asyncio.create_task(serve(house, started=serving.set_result))
        server = await asyncio.wait_for(serving, WAIT_SECONDS)
        with closing(socket.socket()) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.listen()
            taken = str(stranger.getsockname()[1])
            looked = [
                ours,
                ours | {"GATEHOUSE_PORT": taken},
                ours | {"GATEHOUSE_ADMIN_PORT": taken},
            ]
            found = [list(await asyncio.to_thread(missing, environment)) for environment in looked]
        server.stop()
        await task
    # One without a socket cannot be asked which port is its own.
    assert found == ([[], [f"port {taken}"], [f"port {taken}"]] if askable else [[], [], []])


# Completeness: a new refusal has its scenario, or its reason

# Files whose refusals no scenario meets, and why the doctor need not, or cannot, foresee them.
ELSEWHERE = {
    "audit/__init__.py": "the extra `postgres` is absent: gateway/store/postgres.py says the same before, and doctor opens that",
    "audit/store/base.py": "a checkout or wheel without its migrations: no state of a machine, a broken installation",
    "audit/store/postgres.py": "the scenarios on PostgreSQL",
    "gateway/starting.py": "what the log stands at is read by a start; tests/activating/test_what_the_log_says.py takes it away",
    "gateway/loading.py": "how the loaders' mistakes are placed: the scenarios of policy and catalogue",
    "gateway/commands/activating.py": "commands, not a start",
    "gateway/cli.py": "commands, not a start",
    "gateway/asking.py": "commands, not a start",
    "gateway/commands/asking.py": "commands, not a start",
    "gateway/commands/audit.py": "commands, not a start",
    "gateway/commands/replaying.py": "commands, not a start",
    "gateway/beside.py": "`gatehouse audit tail` on PostgreSQL: no start",
    "gateway/commands/keys.py": "commands, not a start",
    "gateway/commands/policy.py": "commands, not a start",
    "gateway/planning.py": "`gatehouse policy plan` alone: a start reads one folder, by gateway/loading.py",
    "gateway/demo.py": "`gatehouse demo` and `demo-token` alone",
    "gateway/doctor.py": "the doctor itself",
    "gateway/observe/collecting.py": "the extra `otlp` is absent: doctor asks can_collect, as a start does",
    "gateway/edge/tls.py": "doctor makes the same context: the scenario of a certificate",
    "gateway/fetching.py": "an address that is read while it runs; read_issuers refuses it at a start (issuers.py)",
    "gateway/identity/certificates.py": "doctor reads the same file; tests/app/test_certificates.py spoils it",
    "gateway/identity/listed.py": "what read_issuers and read_holders share: the scenario of an issuers file",
    "gateway/identity/demo.py": "`gatehouse demo` alone",
    "gateway/store/location.py": "an address that settings.py refuses already",
    "gateway/store/owner.py": "a gateway that runs on this home already: to doctor it is one that is well",
    "gateway/store/postgres.py": "the scenarios on PostgreSQL; what `judge` says has its own tests, and doctor connects as a start does",
    "gateway/store/upgrade.py": "the login that may not migrate, by gateway/store/inspect.py",
    "gateway/text/catalogue.py": "a wheel whose texts are broken: no state of a machine",
    "gateway/upstream/address.py": "the catalogue's loader reads the same addresses before",
    "gateway/upstream/tls.py": "look_at_upstreams makes the same terms",
    "gateway/upstream/http.py": "look_at_upstreams makes the same transports",
    "gateway/upstream/place.py": "look_at_upstreams makes the same places",
    "gateway/upstream/places.py": "look_at_upstreams loads the same places",
}


def refusing() -> set[str]:
    """The files that raise a refusal of a start, by their source."""
    found = set()
    for path in (p for part in ("gateway", "audit") for p in (ROOT / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = node.exc.func
                if isinstance(name, ast.Name) and name.id in ("Misconfigured", "LogRefused"):
                    found.add(str(path.relative_to(ROOT)))
    return found


def test_every_file_that_can_refuse_a_start_has_a_scenario_or_a_reason() -> None:
    foreseen = {file for _, file, _ in SPOILED.values()}
    assert refusing() - foreseen - set(ELSEWHERE) == set(), "add a scenario, or say why there is none"
    assert set(ELSEWHERE) - refusing() == set()
    assert foreseen & set(ELSEWHERE) == set()
