from pathlib import Path

import pytest

from gateway.settings import read
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
    ],
)
def test_a_malformed_setting_is_named_and_its_value_is_not_repeated(name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as refusal:
        read({f"GATEHOUSE_{name}": f"{value}"})
    (problem,) = refusal.value.problems
    assert problem.startswith(f"GATEHOUSE_{name}: ")
    assert value not in problem.removeprefix(f"GATEHOUSE_{name}: ").split(". ")[0] or value in ("0", "-1")


def test_hosts_are_a_list(tmp_path: Path) -> None:
    settings = read(
        {"GATEHOUSE_UPSTREAM_HOSTS": "crm.example:443, [::1]:8080", "GATEHOUSE_HOME": str(tmp_path)}
    )
    assert settings.upstream_hosts == {"crm.example:443", "[::1]:8080"}
    assert settings.home == tmp_path


def test_a_password_in_an_address_is_not_in_the_repr() -> None:
    settings = read({"GATEHOUSE_DATABASE_URL": "postgresql://u:hush-hush@db/x"})
    assert "hush-hush" not in repr(settings)


@pytest.mark.parametrize("port", ["abc", "", "80.5", "-1", "65536"])
def test_a_port_that_is_none_is_told_with_its_range_and_whose_it_is(port: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        read({"GATEHOUSE_PORT": port})
    (problem,) = refused.value.problems
    assert "a port is a number from 0 to 65535" in problem
    assert "the data plane and the control plane listen" in problem
