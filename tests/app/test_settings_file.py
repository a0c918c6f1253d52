"""gatehouse.toml: the same table as a file. The environment wins, what is unknown or open to others refuses, no value is repeated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gateway import settings
from gateway.settings import read
from gateway.words.errors import Misconfigured

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "gatehouse.toml.example"
NEEDLE = "hush-hush"


def written(folder: Path, text: str, mode: int = 0o600) -> dict[str, str]:
    """Writes a settings file and gives the environment that names it."""
    path = folder / "gatehouse.toml"
    path.write_text(text)
    path.chmod(mode)
    return {"GATEHOUSE_CONFIG": str(path)}


def refused(environment: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(Misconfigured) as refusal:
        read(environment)
    assert NEEDLE not in "\n".join(refusal.value.problems)
    return refusal.value.problems


def test_a_file_says_what_the_environment_would(tmp_path: Path) -> None:
    lines = 'port = 9090\nsocket = false\nsettle_seconds = 0.5\nupstream_hosts = ["crm.example:443", "erp.example:443"]\n'
    found = read(written(tmp_path, lines))
    assert (found.port, found.socket, found.settle_seconds) == (9090, False, 0.5)
    assert found.upstream_hosts == {"crm.example:443", "erp.example:443"}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environment = written(tmp_path, "port = 9090\nmax_waiting = 7\n") | {"GATEHOUSE_PORT": "9191"}
    found = {one.row.name: (one.text, one.origin) for one in settings.given(environment)}
    assert found["port"] == ("9191", "GATEHOUSE_PORT")
    assert found["max_waiting"] == ("7", "gatehouse.toml:2")
    assert found["stop_seconds"] == ("30", "default")


def test_paths_in_a_file_are_seen_from_the_file(tmp_path: Path) -> None:
    lines = 'home = "state"\npolicies = "/etc/gatehouse/policies"\nkey_file = ""\n'
    found = read(written(tmp_path, lines))
    assert (found.home, found.policies) == (tmp_path / "state", Path("/etc/gatehouse/policies"))
    assert found.keys == tmp_path / "state" / "keys.json"


def test_a_key_that_is_not_known_is_named_with_its_line_and_the_nearest(tmp_path: Path) -> None:
    assert refused(written(tmp_path, "# ours\n\npotr = 1\nGATEHOUSE_PORT = 2\nzzz = 3\n")) == (
        "gatehouse.toml:3: potr is not a setting of Gatehouse; did you mean port?",
        "gatehouse.toml:4: GATEHOUSE_PORT is not a setting of Gatehouse; did you mean port?",
        "gatehouse.toml:5: zzz is not a setting of Gatehouse",
    )


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (f"port = '{NEEDLE}'\n", 1),
        (f'\ndatabase_url = "{NEEDLE}"\n', 2),
        (f'language = """\n{NEEDLE}"""\n', 1),
        (f'home = "a\\u0000{NEEDLE}"\n', 1),
        (f'audience = "\\u001b[2J{NEEDLE}"\n', 1),
        ("[server]\nport = 1\n", 1),
        ("a.b = 1\n", 1),
        (f"upstream_hosts = ['{NEEDLE}', 3]\n", 1),
        (f"upstream_hosts = ['{NEEDLE},x:1']\n", 1),
        ("port = 2026-11-22\n", 1),
        (f"port = 1\nport = 2 # {NEEDLE}\n", 2),
        (f"port = 1\n\n{NEEDLE} {NEEDLE}\n", 3),
    ],
)
def test_a_mistake_is_named_with_its_line_and_never_with_its_value(
    tmp_path: Path, lines: str, line: int
) -> None:
    (problem,) = refused(written(tmp_path, lines))
    assert problem.startswith(f"gatehouse.toml:{line}: ")


@pytest.mark.parametrize("lines", [f'"{NEEDLE} = 1" = 1\n', f'"{NEEDLE}\\u001b[2J" = 1\n'])
def test_a_key_that_may_be_a_value_is_not_repeated(tmp_path: Path, lines: str) -> None:
    (problem,) = refused(written(tmp_path, lines))
    assert problem == "gatehouse.toml: a key that is no plain word is not a setting of Gatehouse"


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    for mode in (0o620, 0o602):
        (problem,) = refused(written(tmp_path, "port = 1\n", mode))
        assert problem == "the settings file gatehouse.toml: others may write it; `chmod go-w` it"
    assert read(written(tmp_path, "port = 1\n", 0o644)).port == 1


def test_a_secret_in_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secret = f'database_url = "postgresql://u:{NEEDLE}@db/x"\n'
    (problem,) = refused(written(tmp_path, secret, 0o644))
    assert problem.endswith("others may read it and it holds a secret: `chmod 640` it")
    assert NEEDLE in read(written(tmp_path, secret, 0o640)).database_url
    assert read(written(tmp_path, 'database_url = ""\n', 0o644)).database_url == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    environment = written(tmp_path, "port = 1\n")
    os.chown(tmp_path / "gatehouse.toml", 12_345, 12_345)
    # For root the owner is another; a service's own user would meet the file of a third in the same way.
    assert refused(environment) == ("the settings file gatehouse.toml belongs to another user",)


def test_what_is_no_file_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long.toml").write_text("#" * 70_000)
    (tmp_path / "latin.toml").write_bytes(b'host = "\xff"\n')
    for name in (".", "nowhere.toml", "pipe", "long.toml", "latin.toml"):
        (problem,) = refused({"GATEHOUSE_CONFIG": str(tmp_path / name)})
        assert Path(tmp_path / name).name in problem


def test_a_mistyped_name_of_the_file_is_no_silence() -> None:
    (problem,) = refused({"GATEHOUSE_CONFG": "/etc/gatehouse.toml"})
    assert problem.endswith("did you mean GATEHOUSE_CONFIG?")


# The example, and the command


def test_the_example_is_read_with_every_line_in_force(tmp_path: Path) -> None:
    lines = EXAMPLE.read_text().splitlines()
    names = [row.name for row in settings.table()]
    ours = [line.removeprefix("# ") for line in lines if line[2:].partition(" = ")[0] in names]
    environment = written(tmp_path, "\n".join(ours) + "\n")
    assert list(tomllib.loads("\n".join(ours))) == names
    chosen, plain = read(environment), read({})
    assert chosen.home == Path("/var/lib/gatehouse")
    assert chosen.policies == Path("/etc/gatehouse/policies")
    others = [name for name in names if name not in ("home", "policies")]
    assert [getattr(chosen, name) for name in others] == [getattr(plain, name) for name in others]
    assert tomllib.loads(EXAMPLE.read_text()) == {}


def test_every_row_says_its_range_and_what_it_does() -> None:
    assert [row.variable for row in settings.table() if not (row.range and row.effect)] == []
    assert [
        row.variable for row in settings.table() if row.name.endswith("_seconds") != (row.unit == "seconds")
    ] == []
    assert [
        row.variable for row in settings.table() if row.name.endswith("_bytes") != (row.unit == "bytes")
    ] == []


def gatehouse(*words: str, **more: str) -> tuple[int, str]:
    """Gives the entry point's exit code and everything that it printed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    command = Path(sys.executable).with_name("gatehouse")
    done = subprocess.run(
        [command, *words], env=plain | {"PYTHONPATH": str(ROOT)} | more, capture_output=True, text=True, timeout=60
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_command_says_what_is_in_force_and_shows_no_secret(tmp_path: Path) -> None:
    path = written(tmp_path, f'database_url = "postgresql://u:{NEEDLE}@db/x"\nport = 9090\n')[
        "GATEHOUSE_CONFIG"
    ]
    code, said = gatehouse("--config", path, "settings", GATEHOUSE_HOST="::1")
    assert code == 0
    assert NEEDLE not in said
    lines = said.splitlines()
    assert "GATEHOUSE_PORT = 9090  (gatehouse.toml:2)" in lines
    assert "GATEHOUSE_HOST = ::1  (GATEHOUSE_HOST)" in lines
    assert "GATEHOUSE_DATABASE_URL = (set, not shown)  (gatehouse.toml:1)" in lines
    assert "GATEHOUSE_AUDIENCE = gatehouse  (default)" in lines
    code, said = gatehouse("settings", "--json", GATEHOUSE_CONFIG=path)
    told = {one["variable"]: (one["value"], one["origin"]) for one in json.loads(said)}
    assert list(told) == [row.variable for row in settings.table()]
    assert (code, NEEDLE in said, told["GATEHOUSE_PORT"]) == (0, False, (9090, "gatehouse.toml:2"))


def test_the_command_explains_every_setting_also_where_the_file_is_wrong(tmp_path: Path) -> None:
    environment = written(tmp_path, "potr = 1\n")
    code, said = gatehouse("settings", "--explain", **environment)
    rows = settings.table()
    assert (code, [row.variable for row in rows if f"{row.variable}  (default " not in said]) == (0, [])
    told = json.loads(gatehouse("settings", "--explain", "--json", **environment)[1])
    assert [one["range"] for one in told] == [row.range for row in rows]
    code, said = gatehouse("settings", **environment)
    assert (code, "gatehouse.toml:1: potr" in said) == (2, True)


def test_the_files_language_is_that_of_what_is_printed(tmp_path: Path) -> None:
    environment = written(tmp_path, f'language = "zh"\nhome = "{tmp_path / "home"}"\n')
    assert "密钥文件" in gatehouse("doctor", **environment)[1]
