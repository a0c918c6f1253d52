"""The deployment without its containers: what the image holds, as the two logins of tools/roles.sql, on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway import demo
from gateway.keys import create_key_file
from gateway.settings import read
from gateway.words.errors import Code, Refused
from gateway.words.principal import RoleHeld
from tests.conftest import PostgresServer, own_postgres
from tests.docs.deployment import ROOT, assemble, compose, scripts
from tools.first_key import issue, read_wish

pytestmark = pytest.mark.postgres

SERVICES: dict[str, dict[str, Any]] = compose()["services"]
_HBA = "local all postgres trust\nlocal all all scram-sha-256\n"
_PROGRAM = ("-c", "from gateway.cli import main; main()")


@dataclass
class Deployment:
    """A server whose roles are those of tools/roles.sql, the image's folder, and the secrets that docs/deploy.md makes."""

    folder: Path
    server: PostgresServer

    @property
    def image(self) -> Path:
        """What the image has as its working directory."""
        return self.folder / "image"

    @property
    def secrets(self) -> Path:
        """The folder with the secrets."""
        return self.folder / "secrets"

    def environment(self, service: str) -> dict[str, str]:
        """Gives a service's variables, with the places of this machine in them."""
        given: dict[str, str] = dict(SERVICES[service]["environment"])
        url = urlsplit(given["GATEHOUSE_DATABASE_URL"])
        passfile = self.secrets / Path(parse_qs(url.query)["passfile"][0]).name
        here = urlsplit(self.server.dsn()).query
        given["GATEHOUSE_DATABASE_URL"] = f"postgresql://{url.username}@{url.path}?{here}&passfile={passfile}"
        if "GATEHOUSE_KEY_FILE" in given:
            given["GATEHOUSE_KEY_FILE"] = str(self.secrets / "keys.json")
            given["GATEHOUSE_POLICIES"] = str(self.image / "policies")
            given |= {"GATEHOUSE_HOST": "127.0.0.1", "GATEHOUSE_PORT": "0"}
        return given | {"GATEHOUSE_HOME": str(self.folder / "home")}

    def start(self, service: str, *words: str, **more: str) -> subprocess.Popen[str]:
        """Starts Python in the image's folder, where nothing of the checkout can be imported (-S: no .pth file is read)."""
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("GATEHOUSE_", "PG"))}
        path = f"{self.image}{os.pathsep}{sysconfig.get_path('purelib')}"
        return subprocess.Popen(
            [sys.executable, "-S", *words],
            cwd=self.image,
            env=plain
            | self.environment(service)
            | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
            | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, service: str, *words: str, **more: str) -> tuple[int, str, str]:
        """Gives exit code, stdout and stderr."""
        process = self.start(service, *words, **more)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def psql(self, service: str, statement: str) -> subprocess.CompletedProcess[str]:
        """Runs a statement with a service's login."""
        url = self.environment(service)["GATEHOUSE_DATABASE_URL"]
        command = [str(self.server.server.bin_path / "psql"), "-qAtX", url, "-c", statement]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def roles(self, secrets: Path) -> subprocess.CompletedProcess[str]:
        """Runs tools/roles.sql as the superuser."""
        return subprocess.run(
            [str(self.server.server.bin_path / "psql"), "-qAtX", self.server.dsn("gatehouse")],
            input=(ROOT / "tools" / "roles.sql").read_text().replace("/run/secrets", str(secrets)),
            capture_output=True,
            text=True,
            timeout=60,
        )


@dataclass
class Serving:
    """The deployment with its gateway running. early: what a start before `prepare` came to; made: what `prepare` said."""

    deployment: Deployment
    base: str
    early: tuple[int, str, str]
    early_tables: str
    made: str
    key: str

    def ask(self, method: str, path: str, key: str, body: Mapping[str, Any] | None = None) -> Any:
        """Gives the answer's JSON, and its Audit-Ref."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.base + path, data, headers, method=method)
        until = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(asked) as answer:
                    return json.load(answer), answer.headers["Audit-Ref"]
            except urllib.error.HTTPError as refusal:
                # A key that another process issued is known here within GATEHOUSE_WATCH_SECONDS.
                if refusal.code != 401 or time.monotonic() > until:
                    raise
            time.sleep(0.2)


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with own_postgres() as server, tempfile.TemporaryDirectory(prefix="gh-") as place:
        deployment = Deployment(Path(place), server)
        assemble(deployment.image)
        script = scripts()[0].replace("postgres:5432:", "*:*:")
        subprocess.run(["/bin/sh", "-ec", script], cwd=place, check=True)
        for secret in deployment.secrets.iterdir():
            secret.chmod(0o400)
        server.sql("CREATE DATABASE gatehouse ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
        done = deployment.roles(deployment.secrets)
        assert (done.returncode, done.stderr) == (0, "")
        (server.folder / "data" / "pg_hba.conf").write_text(_HBA)
        server.sql("SELECT pg_reload_conf()")

        create_key_file(deployment.secrets / "keys.json")
        early = deployment.run("gateway", *_PROGRAM, "run")
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('audit', 'state', 'records')"
        early_tables = server.sql(tables, "gatehouse")
        code, made, err = deployment.run("prepare", *SERVICES["prepare"]["entrypoint"][1:])
        assert code == 0, err
        process = deployment.start("gateway", *_PROGRAM, "run")
        try:
            base = listening(process)
            command = (
                "-m",
                "tools.first_key",
                "app:security",
                "--role",
                "role:security-admin",
                "--purpose",
                "maintenance",
            )
            code, key, err = deployment.run("gateway", *command)
            assert code == 0, err
            yield Serving(deployment, base, early, early_tables, made, key.strip())
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0
        finally:
            process.kill()
            process.communicate()


def listening(process: subprocess.Popen[str]) -> str:
    """Gives the address of a gateway once it serves."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r'"event":"listening","listener":"([^"]+)"', line):
            return f"http://{found[1]}"
    raise AssertionError("the gateway did not serve:\n" + "".join(said))


def test_the_tests_run_on_the_postgresql_of_the_compose_file(serving: Serving) -> None:
    version = serving.deployment.server.sql("SHOW server_version")
    assert SERVICES["postgres"]["image"].startswith(f"postgres:{version}-")


def test_a_start_before_the_stores_are_made_is_refused_and_makes_none(serving: Serving) -> None:
    code, _, err = serving.early
    assert code == 2
    assert "the state store is not at this program's revision, and this login may not migrate it" in err
    assert serving.early_tables == "0"


def test_the_owner_makes_the_stores_once(serving: Serving) -> None:
    assert serving.made == "prepare: three new stores\n"
    again = serving.deployment.run("prepare", *SERVICES["prepare"]["entrypoint"][1:])
    assert again[:2] == (0, "prepare: the stores are at this program's revision\n")


def test_the_health_checks_own_line_tells_a_gateway_that_serves_from_one_that_does_not(
    serving: Serving,
) -> None:
    *_, line = SERVICES["gateway"]["healthcheck"]["test"]
    here = line.replace("http://127.0.0.1:8080", serving.base)
    assert here != line
    assert subprocess.run([sys.executable, "-c", here], timeout=20).returncode == 0
    nobody = line.replace("http://127.0.0.1:8080", "http://127.0.0.1:1")
    assert (
        subprocess.run([sys.executable, "-c", nobody], timeout=20, stderr=subprocess.DEVNULL).returncode != 0
    )


def test_with_the_first_key_others_are_issued_and_with_those_customers_are_served(serving: Serving) -> None:
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    roles = [{"role": "role:supervisor", "unit": "branch:shanghai"}]
    wish = {"application": "app:branch", "roles": roles, "purposes": ["service"], "expires": ends}
    issued, _ = serving.ask("POST", "/v1/keys", serving.key, wish)
    customer = {"name": "彭梓涵", "phone": "15427815000", "unit": "branch:shanghai"}
    created, _ = serving.ask("POST", "/crm/customers", issued["key"], customer)
    read, receipt = serving.ask("GET", f"/crm/customers/{created['id']}", issued["key"])
    assert {name: read[name] for name in customer} == customer
    code, said, err = serving.deployment.run("gateway", *_PROGRAM, "audit", "verify", "--receipt", receipt)
    assert code == 0, said + err


def test_the_serving_login_owns_nothing(serving: Serving) -> None:
    owned = """
      SELECT relname FROM pg_class WHERE relowner = 'gatehouse'::regrole
      UNION ALL SELECT nspname FROM pg_namespace WHERE nspowner = 'gatehouse'::regrole
      UNION ALL SELECT proname FROM pg_proc WHERE proowner = 'gatehouse'::regrole
      UNION ALL SELECT datname FROM pg_database WHERE datdba = 'gatehouse'::regrole
    """
    assert serving.deployment.server.sql(owned, "gatehouse") == ""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.entries SET body = ''",
        "DELETE FROM audit.entries",
        "TRUNCATE audit.entries",
        "DELETE FROM audit.head",
        "UPDATE audit.head SET log = 'another'",
        "UPDATE audit.head SET seq = 0",
        "ALTER TABLE audit.entries DISABLE TRIGGER ALL",
        "DROP TRIGGER head_forward ON audit.head",
        "DROP TABLE audit.parts",
        "CREATE TABLE audit.beside (n integer)",
        "CREATE TABLE state.beside (n integer)",
        "CREATE TABLE public.beside (n integer)",
        "CREATE SCHEMA beside",
        "CREATE TEMPORARY TABLE entries (n integer)",
        "TRUNCATE state.api_keys",
        "ALTER TABLE state.api_keys DISABLE TRIGGER ALL",
        "DROP TABLE records.customers",
        "SET ROLE gatehouse_owner",
        "CREATE ROLE another",
        "SET session_replication_role = replica",
    ],
)
def test_the_serving_login_cannot(serving: Serving, statement: str) -> None:
    done = serving.deployment.psql("gateway", statement)
    assert done.returncode != 0
    assert re.search("permission denied|must be owner|the head of the log only goes forward", done.stderr)


def test_nobody_comes_in_without_the_password(serving: Serving) -> None:
    other = serving.deployment.folder / "other.pgpass"
    other.touch(0o600)
    url = serving.deployment.environment("prepare")["GATEHOUSE_DATABASE_URL"]
    lone = {"GATEHOUSE_DATABASE_URL": re.sub("passfile=.*", f"passfile={other}", url)}
    code, out, err = serving.deployment.run("prepare", "-m", "tools.prepare", **lone)
    assert (code, out, err) == (2, "", "prepare: the database does not answer this login (not-ready)\n")


def test_the_roles_are_not_made_without_passwords(serving: Serving, tmp_path: Path) -> None:
    done = serving.deployment.roles(tmp_path)
    assert done.returncode != 0
    assert "the passwords of both roles belong into files" in done.stderr


def test_prepare_wants_a_database(serving: Serving) -> None:
    code, _, err = serving.deployment.run("prepare", "-m", "tools.prepare", GATEHOUSE_DATABASE_URL="")
    assert (code, "GATEHOUSE_DATABASE_URL is not set" in err) == (2, True)


async def test_on_files_too_the_policy_decides_on_the_first_key(tmp_path: Path) -> None:
    chosen = read({"GATEHOUSE_HOME": str(tmp_path / "home")})
    demo.prepare(chosen)
    words = ["app:security", "--purpose", "maintenance", "--role", "role:agent@branch:shanghai", "--role"]
    issued = await issue(chosen, read_wish([*words, "role:security-admin"]))
    assert issued.key.roles == {RoleHeld("role:agent", "branch:shanghai"), RoleHeld("role:security-admin")}
    with pytest.raises(Refused) as refused:
        await issue(chosen, read_wish([*words, "role:nobody"]))
    assert (refused.value.code, refused.value.params) == (Code.VALUE_REFUSED, {"field": "/roles"})
