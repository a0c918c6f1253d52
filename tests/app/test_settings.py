import re
from pathlib import Path

import pytest

from gateway.app import limits_of
from gateway.settings import ROOT, read, table
from gateway.words.errors import Misconfigured


def test_what_is_not_set_has_its_default() -> None:
    settings = read({})
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", 8080, "")
    assert settings.home.name == "var"
    assert settings.keys == settings.home / "keys.json"


def test_an_unknown_setting_refuses_to_start_and_names_the_nearest() -> None:
    with pytest.raises(Misconfigured) as refusal:
        read({"GATEHOUSE_POTR": "9090", "GATEHOUSE_ZZZ": "1"})
    assert refusal.value.problems == (
        "GATEHOUSE_POTR is not a setting of Gatehouse; did you mean GATEHOUSE_PORT?",
        "GATEHOUSE_ZZZ is not a setting of Gatehouse",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("MAX_WAITING", "0"),
        ("SETTLE_SECONDS", "0"),
        ("SETTLE_SECONDS", "nan"),
        ("SUMMARY_SECONDS", "inf"),
        ("UPSTREAM_HOSTS", "crm.example"),
        ("SOCKET", "maybe"),
        ("LANGUAGE", "fr"),
        ("ADMIN_PORT", "70000"),
        ("OTLP_ENDPOINT", "collector:4318"),
        ("OTLP_ENDPOINT", "file:///etc/passwd"),
        ("OTLP_ENDPOINT", "http://user:word@collector:4318"),
        ("OTLP_ENDPOINT", "http://collector:4318/v1/traces"),
        ("OTLP_ENDPOINT", "http://collector:4318?x=1"),
        ("PUBLIC_URL", "gate.internal"),
        ("PUBLIC_URL", "http://gate.internal"),
        ("PUBLIC_URL", "https://user:word@gateway.example"),
        ("PUBLIC_URL", "https://gateway.example/oauth"),
        ("PUBLIC_URL", "https://gateway.example?x=1"),
        ("PUBLIC_URL", "https://gateway.example:port"),
        ("TOKEN_SECONDS", "59"),
        ("TOKEN_SECONDS", "901"),
        ("SECRET_CHECKS", "0"),
        ("TRACE_RATIO", "1.5"),
        ("TRACE_RATIO", "nan"),
        ("TRACE_PEERS", "proxy.example"),
        ("TRACE_PEERS", "10.0.0.1/8"),
        ("OTLP_ENDPOINT", "http://collector:port"),
        ("OTLP_ENDPOINT", "http://user:secret@ho\u2100st"),
        ("OTLP_ENDPOINT", "http://[bad"),
        ("DATABASE_URL", "postgresql://gate:sec/ret@db/gate"),
        ("DATABASE_URL", "postgresql://gate:12/ret@db/gate"),
        ("DATABASE_URL", "postgresql://gate:se?ret@db/gate"),
        ("DATABASE_URL", "postgresql://gate:se#ret@db/gate"),
        ("DATABASE_URL", "postgresql://gate:se@ret@db/gate"),
        ("DATABASE_URL", "postgresql://gate:se%ret@db/gate"),
        ("DATABASE_URL", "postgresql://db:port/gate"),
        ("PORT", "8_080"),
        ("PORT", " 8080"),
        ("PORT", "+80"),
        ("PORT", "\uff18\uff10"),
        ("WORKERS", "\u0663"),
        ("MAX_BODY_BYTES", "1e6"),
        ("MAX_BODY_BYTES", "9" * 40),
        ("MAX_BODY_BYTES", "9" * 5_000),
        ("DISK_FLOOR_BYTES", "9" * 40),
        ("TLS_WARN_DAYS", "3651"),
        ("SECRET_CHECKS", "1025"),
        ("TOKEN_SECONDS", "600.0"),
        ("WATCH_SECONDS", "1e-320"),
        ("WATCH_SECONDS", "0.001"),
        ("STOP_SECONDS", "1_0"),
        ("CLOCK_BACK_SECONDS", "\uff15"),
        ("UPSTREAM_HOSTS", "https://crm.example:443"),
        ("UPSTREAM_HOSTS", "crm.example:70000"),
        ("UPSTREAM_HOSTS", "crm.example:443/api"),
        ("UPSTREAM_HOSTS", "crm.example:0443, ::1:80"),
        ("PUBLIC_URL", "https://gateway.example:70000"),
    ],
)
def test_a_malformed_setting_is_named_and_its_value_is_not_repeated(name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as refusal:
        read({f"GATEHOUSE_{name}": f"{value}"})
    (problem,) = refusal.value.problems
    assert problem.startswith(f"GATEHOUSE_{name}: ")
    assert value not in problem.removeprefix(f"GATEHOUSE_{name}: ").split(". ")[0] or value in ("0", "-1")


@pytest.mark.parametrize(
    "good",
    [
        "postgresql://gate:secret@db/gate",
        "postgres://gate@db.example:5432/gate",
        "postgresql://gate:s%2Fcret%40@[::1]:5432/gate?sslmode=verify-full",
        "postgresql://gate:a:b!$&'()*+,;=-._~@one:5432,two:5433/gate",
        "postgresql://postgres:@/gate?host=/tmp/socket",
        "postgresql:///gate",
        "postgresql://db",
    ],
)
def test_an_address_of_a_database_is_taken_as_libpq_writes_it(good: str) -> None:
    assert read({"GATEHOUSE_DATABASE_URL": good}).database_url == good


def test_numbers_are_taken_as_they_are_usually_written() -> None:
    settings = read(
        {
            "GATEHOUSE_PORT": "080",
            "GATEHOUSE_TRACE_RATIO": "1e-05",
            "GATEHOUSE_STOP_SECONDS": ".5",
            "GATEHOUSE_REQUEST_SECONDS": "2.",
            "GATEHOUSE_UPSTREAM_HOSTS": "*.crm.example:443,[::1]:1,a:65535",
            "GATEHOUSE_PUBLIC_URL": "https://gateway.example:8443/",
        }
    )
    assert (settings.port, settings.trace_ratio) == (80, 1e-05)
    assert (settings.stop_seconds, settings.request_seconds) == (0.5, 2.0)
    assert settings.upstream_hosts == {"*.crm.example:443", "[::1]:1", "a:65535"}
    assert settings.public_url == "https://gateway.example:8443"


def test_a_variable_in_small_letters_is_not_taken_for_the_one_that_is_meant() -> None:
    with pytest.raises(Misconfigured) as refusal:
        read({"GATEHOUSE_PORT": "8080", "GATEHOUSE_port": "9090"})
    assert refusal.value.problems == (
        "GATEHOUSE_port is not a setting of Gatehouse; did you mean GATEHOUSE_PORT?",
    )


def test_hosts_are_a_list(tmp_path: Path) -> None:
    settings = read(
        {"GATEHOUSE_UPSTREAM_HOSTS": "crm.example:443, [::1]:8080", "GATEHOUSE_HOME": str(tmp_path)}
    )
    assert settings.upstream_hosts == {"crm.example:443", "[::1]:8080"}
    assert settings.home == tmp_path


def test_a_password_in_an_address_is_not_in_the_repr() -> None:
    settings = read({"GATEHOUSE_DATABASE_URL": "postgresql://u:hush-hush@db/x"})
    assert "hush-hush" not in repr(settings)


def test_every_setting_is_used_by_the_program() -> None:
    # Two of them once stood in the table and nowhere else.
    gateway = ROOT / "gateway"
    files = [path for path in gateway.rglob("*.py") if "settings" not in path.name]
    source = "\n".join(path.read_text() for path in files)
    used = set(re.findall(r"\b(?:settings|chosen|read\(here\))\.([a-z_]+)\b", source))
    assert {row.name for row in table()} - used - {"key_file"} == set()
    assert "keys" in used  # what key_file is read through


def test_the_bounds_of_the_doors_are_those_that_are_set() -> None:
    plain, chosen = (
        limits_of(read(environment))
        for environment in (
            {},
            {
                "GATEHOUSE_MAX_BODY_BYTES": "1000",
                "GATEHOUSE_REQUEST_SECONDS": "2.5",
                "GATEHOUSE_STOP_SECONDS": "0.5",
            },
        )
    )
    assert (plain.max_body_bytes, plain.header_seconds, plain.body_seconds, plain.stop_seconds) == (
        1_048_576, 10.0, 30.0, 30,
    )  # fmt: skip
    assert (chosen.max_body_bytes, chosen.header_seconds, chosen.body_seconds, chosen.stop_seconds) == (
        1_000, 2.5, 2.5, 1,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["HOST", "AUDIENCE", "HOME", "POLICIES"])
def test_what_must_say_something_is_not_empty(name: str) -> None:
    with pytest.raises(Misconfigured, match=f"GATEHOUSE_{name}: .* must not be empty"):
        read({f"GATEHOUSE_{name}": ""})


def test_peers_are_addresses_and_networks() -> None:
    settings = read({"GATEHOUSE_TRACE_PEERS": "10.1.0.0/16, ::1,127.0.0.1"})
    assert [str(network) for network in settings.trace_peers] == ["10.1.0.0/16", "::1/128", "127.0.0.1/32"]
    assert (read({}).trace_peers, read({}).trace_ratio, read({}).otlp_endpoint) == ((), 0.01, "")


@pytest.mark.parametrize("port", ["abc", "", "80.5", "-1", "65536"])
def test_a_port_that_is_none_is_told_with_its_range_and_whose_it_is(port: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        read({"GATEHOUSE_PORT": port})
    (problem,) = refused.value.problems
    assert "a port is a number from 0 to 65535" in problem
    assert "the data plane and the control plane listen" in problem
