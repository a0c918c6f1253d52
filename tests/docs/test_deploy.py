"""docker-compose.yml, Dockerfile and docs/deploy.md are held to the program: settings, commands, routes, and what they promise."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import pytest
from ruamel.yaml import YAML

from gateway import cli, settings
from gateway.control.health import alive, ready
from gateway.control.keys import KeyController
from gateway.edge import RECORD_SECONDS
from gateway.ending import LEAVE_SECONDS
from gateway.exposure import check_address
from gateway.supervising import HANGS_SECONDS
from gateway.words.errors import Misconfigured
from tests.docs.deployment import ROOT, compose, copies, ignored, one, page, scripts, shell_lines, stages
from tests.docs.json_schema import Schema, UnknownKeyword, problems

COMPOSE = compose()
SPECIFICATION: Schema = json.loads(
    (Path(__file__).parent / "compose-spec" / "compose-spec.json").read_bytes()
)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("gatehouse:"))
EACH = pytest.mark.parametrize("name", sorted(SERVICES))
COLLECTOR_FILE = ROOT / "docs" / "observability" / "collector.yaml"
COLLECTOR: dict[str, Any] = YAML(typ="safe", pure=True).load(COLLECTOR_FILE.read_text())
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BUILD, FINAL = stages()

# All that a service may say. Another word (privileged, cap_add, devices, pid, network_mode, extra_hosts …) is looked at first.
WORDS = re.compile(
    "image|build|user|restart|stop_grace_period|environment|secrets|volumes|ports|networks|depends_on|healthcheck|tmpfs|ulimits"
    "|entrypoint|command|cpus|mem_limit|pids_limit|shm_size|read_only|cap_drop|security_opt|init|logging"
)
# What the image of PostgreSQL reads (its page on Docker Hub).
POSTGRES_VARIABLES = frozenset({"POSTGRES_DB", "POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS"})
_PINNED = re.compile(r"[a-z]+(?:/[a-z-]+)?:\d+\.\d+(\.\d+)?(-[a-z0-9]+)*(@sha256:[0-9a-f]{64})?")
_BYTES = {"k": 2**10, "m": 2**20, "g": 2**30}


def size(text: str) -> int:
    return int(text[:-1]) * _BYTES[text[-1]]


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def tmpfs(service: dict[str, Any]) -> dict[str, dict[str, str]]:
    mounts = (mount.partition(":") for mount in service.get("tmpfs", []))
    return {place: dict(option.split("=") for option in options.split(",")) for place, _, options in mounts}


def gatehouse(words: list[str]) -> str | None:
    """Gives what is wrong with the words of a `gatehouse` command, None where there is such a command with such options."""
    here: click.Command = cli.group
    for word in words:
        if word.startswith("-"):
            if not any(word in parameter.opts for parameter in here.params):
                return f"{here.name} has no {word}"
        elif isinstance(here, click.Group):
            if word not in here.commands:
                return f"{here.name} has no command {word}"
            here = here.commands[word]
    return f"{here.name} needs a command" if isinstance(here, click.Group) else None


def command(service: dict[str, Any]) -> list[str]:
    """Gives the words that a container of ours runs: the service's own, else the image's."""
    first, then = (json.loads(one(FINAL, word)) for word in ("ENTRYPOINT", "CMD"))
    return [*service.get("entrypoint", first), *service.get("command", then)]


def wrong(words: list[str]) -> str | None:
    """Gives what is wrong with the words that a container of ours runs: a command of the program, or a tool that the image holds."""
    if words[0] == "gatehouse":
        return gatehouse(words[1:])
    if words[:2] != ["python", "-m"]:
        return f"{words[0]} is neither gatehouse nor python -m"
    file = f"{words[2].replace('.', '/')}.py"
    held = {source for sources, _ in copies(BUILD) for source in sources}
    return None if file in held and (ROOT / file).is_file() else f"the image holds no {file}"


# docker-compose.yml


def test_the_file_is_one_by_the_specification() -> None:
    assert list(problems(COMPOSE, SPECIFICATION, SPECIFICATION)) == []


@pytest.mark.parametrize(
    ("schema", "value", "at"),
    [
        ({"type": ["string", "null"]}, 3, ""),
        ({"type": "integer"}, True, ""),
        ({"enum": ["a"]}, "b", ""),
        ({"pattern": "^[a-z]+$"}, "B", ""),
        ({"minimum": 2}, 1, ""),
        ({"maximum": 2}, 3, ""),
        ({"required": ["a"]}, {}, ""),
        ({"properties": {"a": {"type": "null"}}}, {"a": 1}, "/a"),
        ({"patternProperties": {"^x-": {"type": "null"}}}, {"x-a": 1}, "/x-a"),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1, "b": 1}, "/b"),
        ({"items": {"type": "string"}}, ["a", 1], "/1"),
        ({"uniqueItems": True}, ["a", "a"], ""),
        ({"oneOf": [{"type": "string"}, {"enum": ["a"]}]}, "a", ""),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, ""),
        ({"allOf": [{}, {"type": "null"}]}, 1, ""),
        ({"$ref": "#/$defs/one", "$defs": {"one": {"enum": [1]}}}, 2, ""),
        ({"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}, {"a": 1, "b": 1}, "/b"),
    ],
)
def test_what_a_schema_forbids_is_found(schema: Schema, value: object, at: str) -> None:
    assert [problem.partition(":")[0] for problem in problems(value, schema, schema)] == [at]


def test_a_keyword_that_is_not_looked_at_is_no_silence() -> None:
    with pytest.raises(UnknownKeyword):
        list(problems(1, {"multipleOf": 2}, {}))


def test_there_are_the_four_services() -> None:
    assert sorted(SERVICES) == ["collector", "gateway", "postgres", "prepare"]


def test_the_gateway_sends_where_the_collector_listens_and_does_not_wait_for_it() -> None:
    gateway = SERVICES["gateway"]
    sent = urlsplit(gateway["environment"]["GATEHOUSE_OTLP_ENDPOINT"])
    listens = COLLECTOR["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    assert (sent.hostname, f"0.0.0.0:{sent.port}") == ("collector", listens)
    assert "collector" not in gateway["depends_on"]
    assert set(gateway["networks"]) & set(SERVICES["collector"]["networks"]) == {"telemetry"}


def test_the_collectors_file_is_the_one_that_it_reads_and_uses_what_it_describes() -> None:
    collector = SERVICES["collector"]
    (mount,) = collector["volumes"]
    assert collector["command"] == [f"--config={mount['target']}"]
    assert (ROOT / mount["source"]).read_text() == COLLECTOR_FILE.read_text()
    assert set(COLLECTOR) == {"receivers", "processors", "exporters", "service"}
    pipelines = COLLECTOR["service"]["pipelines"]
    assert set(pipelines) == {"metrics", "traces"}
    for part in ("receivers", "processors", "exporters"):
        used = {name for pipeline in pipelines.values() for name in pipeline[part]}
        assert used == set(COLLECTOR[part])
    # Before anything is kept: a collector without it ends by being killed.
    assert all(pipeline["processors"][0] == "memory_limiter" for pipeline in pipelines.values())
    limiter = COLLECTOR["processors"]["memory_limiter"]
    assert limiter["limit_mib"] * 2**20 < size(collector["mem_limit"])


def test_the_collector_shows_its_metrics_where_its_port_is_published() -> None:
    (port,) = SERVICES["collector"]["ports"]
    assert COLLECTOR["exporters"]["prometheus"]["endpoint"] == f"0.0.0.0:{port['target']}"


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_documented_setting_with_a_value_that_it_takes(name: str) -> None:
    variables = SERVICES[name]["environment"]
    assert set(variables) <= {row[0] for row in settings.table()}
    settings.read(variables)


def test_what_listens_for_others_declares_who_ends_tls() -> None:
    gateway = SERVICES["gateway"]["environment"]
    check_address(settings.read(gateway))
    with pytest.raises(Misconfigured):
        check_address(settings.read(gateway | {"GATEHOUSE_TLS_TERMINATED": "off"}))


def test_the_image_of_postgresql_is_given_only_what_it_reads() -> None:
    assert set(SERVICES["postgres"]["environment"]) == POSTGRES_VARIABLES


@pytest.mark.parametrize("name", OURS)
def test_every_container_of_ours_runs_a_command_that_there_is(name: str) -> None:
    assert wrong(command(SERVICES[name])) is None


def test_the_health_check_asks_a_route_of_the_program_where_it_listens() -> None:
    gateway = SERVICES["gateway"]
    (address,) = re.findall(r"http://[^']+", gateway["healthcheck"]["test"][-1])
    asked = urlsplit(address)
    assert asked.path in alive.paths | ready.paths
    assert (asked.hostname, str(asked.port)) == ("127.0.0.1", gateway["environment"]["GATEHOUSE_PORT"])


# The collector's image holds one program and no shell: nothing in it could ask. That nothing arrives is seen from outside.
@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"prepare", "collector"}))
def test_whatever_goes_on_running_says_whether_it_is_well(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"  # no shell
    assert seconds(check["timeout"]) < seconds(check["interval"])


@EACH
def test_every_image_is_pinned(name: str) -> None:
    assert _PINNED.fullmatch(SERVICES[name]["image"])


def test_our_image_has_the_version_of_the_program() -> None:
    assert {SERVICES[name]["image"] for name in OURS} == {f"gatehouse:{VERSION}"}


@EACH
def test_nothing_is_privileged(name: str) -> None:
    service = SERVICES[name]
    assert [word for word in service if not WORDS.fullmatch(word)] == []
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    user, _, group = service["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0


@EACH
def test_nothing_of_the_machine_is_mounted_but_files_of_the_checkout_to_read(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        if mount["type"] == "volume":
            assert mount["source"] in COMPOSE["volumes"]
            continue
        assert mount["type"] == "bind"
        assert mount["read_only"] is True
        assert (ROOT / mount["source"]).resolve().is_relative_to(ROOT)
        assert (ROOT / mount["source"]).exists()


@EACH
def test_what_may_be_written_is_small_and_its_users_own(name: str) -> None:
    service = SERVICES[name]
    for options in tmpfs(service).values():
        assert set(options) == {"size", "mode", "uid", "gid"}
        assert f"{options['uid']}:{options['gid']}" == service["user"]
        assert options["mode"] == "0700"


def test_the_home_folder_can_be_written_and_is_above_the_floor_of_doctor() -> None:
    home = dict(pair.split("=") for pair in one(FINAL, "ENV").split())["GATEHOUSE_HOME"]
    for name in OURS:
        assert size(tmpfs(SERVICES[name])[home]["size"]) > settings.read({}).disk_floor_bytes


def test_only_the_gateway_and_the_collector_publish_ports_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert sorted(published) == ["collector", "gateway"]
    assert {port["host_ip"] for ports in published.values() for port in ports} <= {"127.0.0.1", "::1"}
    for port in published["gateway"]:
        assert str(port["target"]) == SERVICES["gateway"]["environment"]["GATEHOUSE_PORT"]


def test_upstreams_and_the_database_have_no_way_out_and_the_gateway_alone_joins_the_upstreams() -> None:
    inside = sorted(name for name, network in COMPOSE["networks"].items() if network.get("internal") is True)
    joined = {n: sorted(s for s in SERVICES if n in SERVICES[s]["networks"]) for n in COMPOSE["networks"]}
    assert inside == ["database", "telemetry", "upstream"]
    assert joined == {
        "front": ["gateway"],
        "upstream": ["gateway"],
        "telemetry": ["collector", "gateway"],
        "operators": ["collector"],
        "database": ["gateway", "postgres", "prepare"],
    }


@EACH
def test_every_container_has_limits(name: str) -> None:
    service = SERVICES[name]
    assert 0 < service["cpus"] <= 2
    assert 0 < size(service["mem_limit"]) <= 2**30
    assert 0 < service["pids_limit"] <= 256
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def test_what_serves_starts_again_and_what_migrates_does_not() -> None:
    policies = {name: service["restart"] for name, service in SERVICES.items()}
    going_on = dict.fromkeys(["collector", "gateway", "postgres"], "unless-stopped")
    assert policies == going_on | {"prepare": "no"}


def test_the_gateway_starts_when_its_stores_are_ready_and_may_finish_before_it_is_killed() -> None:
    gateway = SERVICES["gateway"]
    assert {name: need["condition"] for name, need in gateway["depends_on"].items()} == {
        "postgres": "service_healthy",
        "prepare": "service_completed_successfully",
    }
    longest = (
        settings.read(gateway["environment"]).stop_seconds + RECORD_SECONDS + LEAVE_SECONDS + HANGS_SECONDS
    )
    assert seconds(gateway["stop_grace_period"]) > longest


def test_a_crash_of_ours_leaves_no_core_file() -> None:
    assert {SERVICES[name]["ulimits"]["core"] for name in OURS} == {0}


# Secrets


def test_each_secret_goes_to_those_alone_who_need_it() -> None:
    assert {name: sorted(service["secrets"]) for name, service in SERVICES.items()} == {
        "gateway": ["gateway.pgpass", "keys.json"],
        "prepare": ["owner.pgpass"],
        "postgres": ["gateway_password", "owner_password", "postgres_password"],
        "collector": [],
    }


def test_every_secret_is_a_file_that_neither_git_nor_an_image_ever_holds() -> None:
    files = {name: secret["file"] for name, secret in COMPOSE["secrets"].items()}
    assert files == {name: f"./secrets/{name}" for name in files}
    assert all(ignored(f"secrets/{name}") for name in files)
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", OURS)
def test_a_database_url_holds_no_password_but_the_place_of_one(name: str) -> None:
    service = SERVICES[name]
    url = urlsplit(service["environment"]["GATEHOUSE_DATABASE_URL"])
    assert url.password is None
    assert (url.hostname, url.port) == ("postgres", 5432)
    assert url.path == "/" + SERVICES["postgres"]["environment"]["POSTGRES_DB"]
    assert [Path(place).name for place in parse_qs(url.query)["passfile"]] == [
        secret for secret in service["secrets"] if secret.endswith(".pgpass")
    ]


@EACH
def test_every_file_under_run_secrets_that_is_named_is_given(name: str) -> None:
    service = SERVICES[name]
    named = set(re.findall(r"/run/secrets/([\w.]+)", str(service["environment"])))
    assert named <= set(service["secrets"])


def test_the_roles_file_reads_the_secrets_that_postgresql_is_given() -> None:
    named = set(re.findall(r"/run/secrets/(\w+)", (ROOT / "tools" / "roles.sql").read_text()))
    assert named == {"owner_password", "gateway_password"}
    assert named <= set(SERVICES["postgres"]["secrets"])


# Dockerfile


def test_both_stages_begin_with_one_pinned_image_of_the_python_that_the_tests_run_on() -> None:
    (first, named), (second, unnamed) = (one(stage, "FROM").partition(" ")[::2] for stage in (BUILD, FINAL))
    assert (first, named, unnamed) == (second, "AS build", "")
    assert _PINNED.fullmatch(first)
    minor = first.removeprefix("python:").rsplit(".", 1)[0]
    assert f"lib/python{minor}/" in (ROOT / "Dockerfile").read_text()
    assert minor == "3.11"


def test_everything_that_is_copied_is_there_and_reaches_the_build() -> None:
    sources = [source for sources, _ in copies(BUILD) for source in sources]
    assert [s for s in sources if not (ROOT / s).exists() or ignored(s)] == []
    assert list(copies(FINAL)) == []


def test_nothing_else_reaches_the_build() -> None:
    wanted = {source.rstrip("/") for sources, _ in copies(BUILD) for source in sources}
    reaches = {str(p.relative_to(ROOT)) for p in ROOT.iterdir() if not ignored(p.name)}
    reaches |= {
        str(p.relative_to(ROOT))
        for f in ("locks", "tools")
        for p in (ROOT / f).glob("*.*")
        if not ignored(f"{f}/{p.name}")
    }
    assert reaches == wanted
    assert ignored("gateway/__pycache__/cli.cpython-311.pyc")


def test_packages_come_from_the_hashed_lock_alone_and_nothing_is_compiled() -> None:
    steps = [step.rest for stage in (BUILD, FINAL) for step in stage if step.word == "RUN"]
    (install,) = [step for step in steps if "pip" in step]
    options = shlex.split(install.partition(" install ")[2])
    assert set(options) == {"--no-compile", "--only-binary=:all:", "--require-hashes", "-r", "locks/run.txt"}
    assert not re.search(r"apt|curl|wget|gcc|ADD |http", " ".join(steps))


def test_the_final_image_brings_its_bytecode_and_takes_only_what_the_build_made() -> None:
    assert "compileall -q --invalidation-mode unchecked-hash /opt/venv/lib /opt/gatehouse" in BUILD[-1].rest
    taken = [step.rest for step in FINAL if step.word == "COPY"]
    assert taken == [f"--from=build {place} {place}" for place in ("/opt/venv", "/opt/gatehouse")]


def test_the_user_of_the_image_is_the_user_of_its_containers() -> None:
    user = one(FINAL, "USER")
    assert {SERVICES[name]["user"] for name in OURS} == {user}
    assert f"--uid {user.partition(':')[0]} --gid {user.partition(':')[2]}" in one(FINAL, "RUN")


def test_the_settings_in_the_image_are_settings() -> None:
    names = [pair.partition("=")[0] for pair in one(FINAL, "ENV").split()]
    ours = {name for name in names if name.startswith("GATEHOUSE_")}
    assert ours == {"GATEHOUSE_HOME"}
    assert ours <= {row[0] for row in settings.table()}


# docs/deploy.md


def test_every_line_of_the_page_names_services_and_commands_that_there_are() -> None:
    found: list[str | None] = []
    for words in shell_lines():
        if words[:2] == ["docker", "run"]:
            at = words.index(SERVICES["gateway"]["image"])
            found.append(gatehouse(words[at + 1 :]))
        if words[:2] != ["docker", "compose"]:
            continue
        rest = [word for word in words[3:] if word not in ("-d", "-T", "--rm", "--no-deps")]
        if words[2] == "exec" and rest[0] == "postgres":
            found.append(
                None if rest[1] in ("pg_dump", "pg_restore") else f"{rest[1]} in the database's container"
            )
        elif words[2] == "exec":
            found.append(wrong(rest[1:]))
        elif words[2] == "run":
            found.append(wrong(["gatehouse", *rest[1:]]) if rest[1:] else wrong(command(SERVICES[rest[0]])))
        found += [f"no service {name}" for name in rest[:1] if name not in SERVICES]
    assert len(found) > 10
    assert [problem for problem in found if problem] == []


def test_each_secret_is_given_to_the_user_of_its_container() -> None:
    owners = {
        Path(f).name: words[2] for words in shell_lines() if words[:2] == ["sudo", "chown"] for f in words[3:]
    }
    wanted = {name: service["user"] for service in SERVICES.values() for name in service["secrets"]}
    assert owners == wanted


def test_the_page_makes_every_secret() -> None:
    script = scripts()[0] + "".join(
        " ".join(words) for words in shell_lines() if words[:2] == ["docker", "run"]
    )
    made = {f"{name}_password" for name in re.findall(r"for name in ([\w ]+);", script)[0].split()}
    made |= {
        name for name in COMPOSE["secrets"] if re.search(rf"(> secrets|/made)/{re.escape(name)}", script)
    }
    assert made == set(COMPOSE["secrets"])


def test_every_event_that_the_page_wants_watched_is_one_of_the_programs() -> None:
    code = "".join(path.read_text() for path in (ROOT / "gateway").rglob("*.py"))
    table = page().partition("| `event` |")[2]
    named = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in re.findall(r"`([a-z-]+)`", row)
    }
    assert {"alarm", "defect", "loop-failed"} <= named
    assert [name for name in sorted(named) if not re.search(rf'event\(\s*"{name}"', code)] == []


def test_every_route_that_the_page_names_is_one_of_the_programs() -> None:
    named = set(re.findall(r"`(?:GET|POST|DELETE) (/[\w/]+?)(?:/\{id\})?`", page()))
    assert named == alive.paths | ready.paths | {KeyController.path}


def test_the_page_says_what_is_not_there() -> None:
    for said in (
        "plain HTTP",
        "TLS-terminating proxy",
        "There was no Docker",
        "never built",
        "Digests could not be looked up",
    ):
        assert said in page()
