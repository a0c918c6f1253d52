"""Every setting in one table: name, default, unit, effect. Read once at the start; nothing below app.py ever sees it.

A setting is the environment variable `GATEHOUSE_<NAME>`. One that is not in the table refuses to start (invariant 3).
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.words.errors import Misconfigured

PREFIX = "GATEHOUSE_"
ROOT = Path(__file__).resolve().parent.parent
# Read by tests, campaigns and benchmarks, not by the product; allowed to stand in the environment.
NOT_OURS = frozenset({"PROOF", "BENCH", "TEST_SEED"})


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:
        raise ValueError("a port is a number from 0 to 65535")
    return number


def _seconds(text: str) -> float:
    number = -1.0
    with suppress(ValueError):  # its text would repeat the value
        number = float(text)
    if not 0 < number <= 86_400:  # NaN is in no order, so it is refused too
        raise ValueError("seconds are a number above 0, at most 86400")
    return number


def _hosts(text: str) -> frozenset[str]:
    hosts = frozenset(part.strip() for part in text.split(",") if part.strip())
    if any(":" not in host for host in hosts):
        raise ValueError("each host is written host:port")
    return hosts


def _count(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise ValueError("a count is a whole number above 0")
    return number


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser().resolve()
    except RuntimeError:
        raise ValueError("there is no user of that name whose home this could be") from None


def _optional_path(text: str) -> Path | None:
    return _path(text) if text else None


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError("a switch is on or off")
    return text == "on"


def _language(text: str) -> str:
    if text not in ("en", "zh"):
        raise ValueError("the languages are en and zh")
    return text


def _setting(
    default: str, read: Callable[[str], Any], effect: str, unit: str = "", *, secret: bool = False
) -> Any:
    return dataclasses.field(
        repr=not secret, metadata={"default": default, "read": read, "effect": effect, "unit": unit}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator decides. Made by `read`; tests build it with `read({...})` too."""

    home: Path = _setting("var", _path, "Everything that a run creates lies in this folder.")
    host: str = _setting("127.0.0.1", str, "The address that the data plane and the control plane listen on.")
    port: int = _setting("8080", _port, "The port that they listen on.")
    tls_certificate_file: Path | None = _setting(
        "",
        _optional_path,
        "The certificate (PEM, with what stands above it) of that address, which then speaks TLS 1.2 or later; empty means plain "
        "HTTP. A changed pair of files is taken while it serves.",
    )
    tls_key_file: Path | None = _setting(
        "", _optional_path, "The private key of that certificate: PEM, no pass phrase, mode 0600."
    )
    tls_client_ca_file: Path | None = _setting(
        "",
        _optional_path,
        "The authorities (PEM) whose client certificates prove an application at that address; empty means that none is asked for.",
    )
    client_certificates_file: Path | None = _setting(
        "",
        _optional_path,
        "A JSON file that says which API key's holder a client certificate proves; such a key counts with its certificate alone.",
    )
    tls_warn_days: int = _setting(
        "21",
        _count,
        "How long before a certificate ends it is an alarm each day, and a line of `doctor`.",
        "days",
    )
    tls_terminated: bool = _setting(
        "off",
        _switch,
        "Declares that a proxy ends TLS in front of this address and nothing else can reach it: without it or a certificate `run` "
        "refuses an address that is not loopback; with it the demo's credentials are refused on every address.",
    )
    database_url: str = _setting(
        "",
        str,
        "postgresql://… puts the three stores into that database, one schema each; empty keeps files under the home folder.",
        secret=True,
    )
    policies: Path = _setting(
        "policies", _path, "The folder with the Casbin model, rules, catalogue and cases."
    )
    key_file: Path | None = _setting(
        "",
        _optional_path,
        "The file with the key-encryption keys, mode 0600; empty means keys.json in the home folder.",
    )
    upstream_hosts: frozenset[str] = _setting(
        "",
        _hosts,
        "host:port of every system that a catalogue may name, separated by commas. Not part of the policy bundle, on purpose.",
    )
    issuers_file: Path | None = _setting(
        "",
        _optional_path,
        "A JSON file with the issuers whose tokens prove a person; empty means that no application acts for one.",
    )
    audience: str = _setting("gatehouse", str, "What a person's token must name in `aud`.")
    assertion_issuer: str = _setting(
        "gatehouse",
        str,
        "What `iss` says in the signed header that upstreams get which the catalogue gives one: this installation's name.",
    )
    socket: bool = _setting(
        "on",
        _switch,
        "Whether commands may talk to the running process over a socket (0600).",
    )
    max_body_bytes: int = _setting("1048576", _count, "The largest request body that is read.", "bytes")
    max_waiting: int = _setting(
        "8192",
        _count,
        "Entries that may wait for the log's writer; more are answered 503 with Retry-After.",
        "entries",
    )
    request_seconds: float = _setting(
        "30", _seconds, "How long a client may take to send a request.", "seconds"
    )
    stop_seconds: float = _setting("30", _seconds, "How long a stop waits for requests under way.", "seconds")
    settle_seconds: float = _setting("5", _seconds, "How often open intents are looked at.", "seconds")
    settle_grace_seconds: float = _setting(
        "60", _seconds, "How old an open intent must be before another process may settle it.", "seconds"
    )
    summary_seconds: float = _setting(
        "60", _seconds, "How often refusals of unknown callers are summed up in an entry.", "seconds"
    )
    watch_seconds: float = _setting(
        "2",
        _seconds,
        "How often the policy folder is looked at for a change, and on PostgreSQL the log for what other processes changed.",
        "seconds",
    )
    language: str = _setting("en", _language, "The language of what the command line prints: en or zh.")

    @property
    def keys(self) -> Path:
        """Where the key-encryption keys are."""
        return self.key_file or self.home / "keys.json"


def read(environment: Mapping[str, str]) -> Settings:
    """Gives the settings. Raises Misconfigured with every unknown or malformed one, never repeating its value."""
    known = {field.name: field for field in dataclasses.fields(Settings)}
    problems: list[str] = []
    given: dict[str, str] = {}
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name.removeprefix(PREFIX) in NOT_OURS:
            continue
        key = name.removeprefix(PREFIX).lower()
        if key in known:
            given[key] = value
            continue
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
        problems.append(f"{name} is not a setting of Gatehouse{hint}")
    values: dict[str, Any] = {}
    for key, field in known.items():
        text = given.get(key, field.metadata["default"])
        try:
            values[key] = field.metadata["read"](text)
        except (ValueError, KeyError) as error:
            reason = (
                error.args[0]
                if isinstance(error, ValueError) and "literal" not in str(error)
                else "it cannot be read"
            )
            problems.append(f"{PREFIX}{key.upper()}: {reason}. {field.metadata['effect']}")
    if problems:
        raise Misconfigured(*problems)
    # Folders that ship with the program are found wherever it is started from.
    if "policies" not in given:
        values["policies"] = ROOT / "policies"
    if "home" not in given:
        values["home"] = ROOT / "var"
    return Settings(**values)


def table() -> list[tuple[str, str, str, str]]:
    """Gives (environment name, default, unit, effect) of every setting, in order: docs/settings.md is made from it."""
    return [
        (PREFIX + f.name.upper(), f.metadata["default"], f.metadata["unit"], f.metadata["effect"])
        for f in dataclasses.fields(Settings)
    ]
