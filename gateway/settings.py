"""Every setting in one table: name, default, unit, range, effect. Read once at the start; nothing below app.py ever sees it.

A setting is the environment variable `GATEHOUSE_<NAME>`, or a line `<name> = …` of the file that `GATEHOUSE_CONFIG` names; the
environment wins. One that is not in the table refuses to start (invariant 3).
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from gateway.settings_file import read_file
from gateway.shipped import ROOT, installed, shipped
from gateway.words.errors import Misconfigured

PREFIX = "GATEHOUSE_"
CONFIG = "GATEHOUSE_CONFIG"
"""Names the settings file. Not in the table: it says where the table's values are read from. Empty: none is read."""
DEFAULT = "default"
"""The origin of what nobody set."""
MOST_WORKERS = 64
"""Far more than one log's head row keeps busy."""
# Read by tests, campaigns and benchmarks, not by the product; allowed to stand in the environment.
NOT_OURS = frozenset({"PROOF", "BENCH", "TEST_SEED"})

# RFC 8414 section 2: an issuer is an https address; plain http only where nothing crosses a network.
_ORIGIN = re.compile(
    r"(?:https://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])|http://(?:127\.0\.0\.1|localhost|\[::1\]))(?::([0-9]{1,5}))?/?",
    re.ASCII,
)
_LISTED = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):([0-9]{1,5})", re.ASCII
)
_WHOLE = re.compile(r"[0-9]{1,16}", re.ASCII)
_NUMBER = re.compile(r"(?:[0-9]{1,15}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_LAST_PORT = 65_535
_MOST = 10**15
"""Of anything that is counted: more than any machine has, and less than what arithmetic trips over."""
# RFC 3986 section 3.2, with libpq's lists of hosts. A password with one of / ? # @ in clear would end the host's part early: what reads
# the address next would take a piece of the password for a port, and say so.
_DSN = re.compile(
    r"postgres(?:ql)?://(?:(?:[^@/?#%\s]|%[0-9A-Fa-f]{2})*@)?"
    r"(?:(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:,|(?=[/?]|$)))*"
    r"(?:/[^/?#@\s]*)?(?:\?[^#\s]*)?",
    re.ASCII,
)
Reader = TypeVar("Reader", bound=Callable[[str], Any])
_RANGES: dict[Callable[[str], Any], str] = {}


class _Unfit(ValueError):
    """What is wrong with a value, in words that do not repeat it."""


def _takes(said: str) -> Callable[[Reader], Reader]:
    """Says in words what a reader takes: the range of every row that uses it."""

    def note(reader: Reader) -> Reader:
        _RANGES[reader] = said
        return reader

    return note


@_takes("text")
def _text(text: str) -> str:
    if not text:
        raise _Unfit("it must not be empty")
    return text


def _whole(text: str, least: int, most: int) -> int | None:
    """Gives a whole number in its range, None for anything else. int() would also take 8_0, and digits of other scripts."""
    number = int(text) if _WHOLE.fullmatch(text) else -1
    return number if least <= number <= most else None


def _number(text: str, least: float, most: float) -> float | None:
    """Gives a number in its range, None for anything else; as `_whole` does."""
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if least <= number <= most else None


@_takes("0 to 65535; 0 takes a free one")
def _port(text: str) -> int:
    if (number := _whole(text, 0, _LAST_PORT)) is None:
        raise _Unfit("a port is a number from 0 to 65535")
    return number


@_takes("0 to 65535; 0 takes a free one; or empty")
def _optional_port(text: str) -> int | None:
    return _port(text) if text else None


@_takes("0.01 to 86400")
def _seconds(text: str) -> float:
    if (number := _number(text, 0.01, 86_400)) is None:
        raise _Unfit("seconds are a number from 0.01 to 86400")
    return number


@_takes("0.01 to 315360000")
def _span(text: str) -> float:
    if (number := _number(text, 0.01, 315_360_000)) is None:
        raise _Unfit("seconds are a number from 0.01, here to 315360000, ten years")
    return number


@_takes("host:port, separated by commas, or empty")
def _hosts(text: str) -> frozenset[str]:
    hosts = frozenset(part.strip() for part in text.split(",") if part.strip())
    for host in hosts:
        found = _LISTED.fullmatch(host)
        if found is None or not _whole(found[1], 1, _LAST_PORT):
            raise _Unfit(
                "each host is written host:port, like crm.internal:443, and nothing before or behind it"
            )
    return hosts


@_takes("0 to 1")
def _ratio(text: str) -> float:
    if (number := _number(text, 0, 1)) is None:
        raise _Unfit("a ratio is a number from 0 to 1")
    return number


@_takes("addresses or networks, separated by commas, or empty")
def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    found = []
    for part in (part.strip() for part in text.split(",")):
        if part:
            try:
                found.append(ip_network(part))
            except ValueError:
                raise _Unfit("each peer is an address or a network, like 10.1.2.3 or 10.1.0.0/16") from None
    return tuple(found)


@_takes("http(s)://host:port, or empty")
def _collector(text: str) -> str:
    good = False
    with suppress(ValueError):  # its text would repeat the value
        parts = urlsplit(text)
        plain = not (parts.username or parts.query or parts.fragment) and parts.path in ("", "/")
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and plain and parts.port != 0
    if text and not good:
        raise _Unfit("a collector is written http://host:4318 or https://host:4318, and nothing behind it")
    return text.rstrip("/")


@_takes("https://host, http:// for this machine alone, or empty")
def _address(text: str) -> str:
    found = _ORIGIN.fullmatch(text)
    if text and (found is None or not _whole(found[1] or "443", 1, _LAST_PORT)):
        raise _Unfit(
            "it is written https://gateway.example, with a port where it needs one, and nothing behind it"
        )
    return text.removesuffix("/")


@_takes("whole, 60 to 900")
def _token_seconds(text: str) -> int:
    if (number := _whole(text, 60, 900)) is None:
        raise _Unfit("an access token is good for 60 to 900 seconds")
    return number


@_takes(f"whole, 1 to {_MOST}")
def _count(text: str) -> int:
    if (number := _whole(text, 1, _MOST)) is None:
        raise _Unfit(f"a count is a whole number from 1 to {_MOST}")
    return number


@_takes("whole, 1 to 1024")
def _checks(text: str) -> int:
    if (number := _whole(text, 1, 1_024)) is None:
        raise _Unfit("computations at once are a whole number from 1 to 1024")
    return number


@_takes("whole, 1 to 3650")
def _days(text: str) -> int:
    if (number := _whole(text, 1, 3_650)) is None:
        raise _Unfit("days are a whole number from 1 to 3650")
    return number


@_takes(f"whole, 1 to {MOST_WORKERS}")
def _workers(text: str) -> int:
    if (number := _whole(text, 1, MOST_WORKERS)) is None:
        raise _Unfit(f"workers are a whole number from 1 to {MOST_WORKERS}")
    return number


@_takes(f"whole, 0 to {_MOST}")
def _floor(text: str) -> int:
    if (number := _whole(text, 0, _MOST)) is None:
        raise _Unfit(f"a floor is a whole number from 0 to {_MOST}")
    return number


@_takes("a path")
def _path(text: str) -> Path:
    if not text:
        raise _Unfit("a path must not be empty")
    try:
        return Path(text).expanduser().resolve()
    except (RuntimeError, OSError):
        raise _Unfit("there is no such user, or the links of this path lead in a circle") from None


@_takes("a path, or empty")
def _optional_path(text: str) -> Path | None:
    return _path(text) if text else None


@_takes("a postgresql:// address, or empty")
def _database(text: str) -> str:
    if text and not text.startswith(("postgresql://", "postgres://")):
        raise _Unfit("it is not a postgresql:// address")
    if text and not _DSN.fullmatch(text):
        raise _Unfit(
            "it is written postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in a name or a password write @ / ? # % as %40 %2F %3F %23 %25"
        )
    return text


@_takes("on or off")
def _switch(text: str) -> bool:
    return {"on": True, "off": False}[text]


@_takes("en or zh")
def _language(text: str) -> str:
    if text not in ("en", "zh"):
        raise _Unfit("the languages are en and zh")
    return text


def _setting(
    default: str,
    read: Callable[[str], Any],
    effect: str,
    unit: str = "",
    *,
    secret: bool = False,
    example: str = "",
) -> Any:
    """A row. example: what gatehouse.toml.example shows where the default depends on the machine."""
    row = {"default": default, "read": read, "effect": effect, "unit": unit, "secret": secret}
    return dataclasses.field(repr=not secret, metadata=row | {"example": example or default})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator decides. Made by `read`; tests build it with `read({...})` too."""

    home: Path = _setting(
        "",
        _path,
        "Everything that a run creates lies in this folder. Not set: `var` in a checkout; where installed, `gatehouse` under "
        "XDG_STATE_HOME (`~/.local/state`).",
        example="/var/lib/gatehouse",
    )
    host: str = _setting(
        "127.0.0.1", _text, "The address that the data plane and the control plane listen on."
    )
    port: int = _setting("8080", _port, "The port that the data plane and the control plane listen on.")
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
        _days,
        "How long before a certificate ends it is an alarm each day, and a line of `doctor`.",
        "days",
    )
    tls_terminated: bool = _setting(
        "off",
        _switch,
        "Declares that a proxy ends TLS in front of this address and nothing else can reach it: without it or a certificate `run` "
        "refuses an address that is not loopback; with it the demo's credentials are refused on every address.",
    )
    admin_host: str = _setting("127.0.0.1", _text, "The address that the admin port listens on.")
    admin_port: int | None = _setting(
        "",
        _optional_port,
        "The port of /metrics, /healthz and /readyz with details, for operators' networks; empty opens none.",
    )
    database_url: str = _setting(
        "",
        _database,
        "postgresql://… puts the three stores into that database, one schema each; empty keeps files under the home folder.",
        secret=True,
    )
    policies: Path = _setting(
        "",
        _path,
        "The folder with the Casbin model, rules, catalogue and cases. Not set: the demonstration's, which ship with the program.",
        example="/etc/gatehouse/policies",
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
    audience: str = _setting("gatehouse", _text, "What a person's token must name in `aud`.")
    public_url: str = _setting(
        "",
        _address,
        "By what address callers reach this gateway: the issuer of its access tokens. Empty: its own, where that is loopback; elsewhere "
        "it issues and takes no access tokens then.",
    )
    token_seconds: int = _setting(
        "600", _token_seconds, "How long an access token that a client gets is good for.", "seconds"
    )
    secret_checks: int = _setting(
        "2",
        _checks,
        "How many secrets of clients are computed (argon2id, 19 MiB each) at once; more are answered 429 with Retry-After.",
        "computations",
    )
    assertion_issuer: str = _setting(
        "gatehouse",
        _text,
        "What `iss` says in the signed header that upstreams get which the catalogue gives one: this installation's name.",
    )
    workers: int = _setting(
        "1",
        _workers,
        "How many processes `gatehouse run` serves with on the one port; more than one needs PostgreSQL. `run --workers` wins over it.",
        "processes",
    )
    socket: bool = _setting(
        "on", _switch, "Whether commands may talk to the running process over a socket (0600)."
    )
    max_body_bytes: int = _setting("1048576", _count, "The largest request body that is read.", "bytes")
    max_opaque_bytes: int = _setting(
        "8388608",
        _count,
        "The most that a catalogue may let a route of opaque bytes pass at once; each is held in memory until its entry is durable.",
        "bytes",
    )
    max_waiting: int = _setting(
        "8192",
        _count,
        "Entries that may wait for the log's writer; more are answered 503 with Retry-After.",
        "entries",
    )
    idempotency_keys: int = _setting(
        "100000",
        _count,
        "How many idempotency keys one caller (application and person) may have in use; each is kept for 24 hours.",
        "keys",
    )
    request_seconds: float = _setting(
        "30",
        _seconds,
        "How long a client may take to send a body; for the headers 10 seconds at most.",
        "seconds",
    )
    stop_seconds: float = _setting(
        "30",
        _seconds,
        "How long a stop waits for requests under way, and a start for open intents.",
        "seconds",
    )
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
        "How often the policy folder and issuers' key files are looked at, and on PostgreSQL the log for what other processes changed.",
        "seconds",
    )
    disk_floor_bytes: int = _setting(
        "268435456",
        _floor,
        "A start is refused where less is free in the home folder, if the stores are files there; 0 asks for nothing.",
        "bytes",
    )
    clock_back_seconds: float = _setting(
        "60",
        _span,
        "A start is refused where the machine's clock is further than this behind the log's last entry.",
        "seconds",
    )
    otlp_endpoint: str = _setting(
        "",
        _collector,
        "http(s)://host:port of a collector that takes metrics and traces by OTLP over HTTP (extra `otlp`); empty sends nothing.",
    )
    otlp_seconds: float = _setting("30", _seconds, "How often metrics are sent to the collector.", "seconds")
    trace_ratio: float = _setting(
        "0.01",
        _ratio,
        "Which part of the traces that begin here is kept and sent to the collector.",
        "0 to 1",
    )
    trace_peers: tuple[IPv4Network | IPv6Network, ...] = _setting(
        "",
        _networks,
        "Addresses or networks whose traceparent is believed, its sampling flag too, separated by commas; empty believes nobody.",
    )
    language: str = _setting("en", _language, "The language of what the command line prints: en or zh.")

    @property
    def keys(self) -> Path:
        """Where the key-encryption keys are."""
        return self.key_file or self.home / "keys.json"


class Row(NamedTuple):
    """One row of the table, as documents and `gatehouse settings` show it. range: in words. read: text → value, raises ValueError."""

    variable: str
    default: str
    unit: str
    range: str
    effect: str
    name: str
    secret: bool
    example: str
    read: Callable[[str], Any]

    @property
    def is_path(self) -> bool:
        """Whether it names a file or a folder."""
        return self.read in (_path, _optional_path)


class Given(NamedTuple):
    """What one setting is, as text, and where that stands: `default`, the variable's name, or `gatehouse.toml:3`."""

    row: Row
    text: str
    origin: str


def table() -> tuple[Row, ...]:
    """Gives every setting, in order: docs/settings.md and gatehouse.toml.example are made from it."""
    return tuple(
        Row(
            PREFIX + f.name.upper(), said["default"], said["unit"], _RANGES.get(said["read"], ""), said["effect"],
            f.name, said["secret"], said["example"], said["read"],
        )
        for f in dataclasses.fields(Settings)
        for said in (f.metadata,)
    )  # fmt: skip


def given(environment: Mapping[str, str]) -> tuple[Given, ...]:
    """Gives each setting's text and where it comes from, not read yet. Raises Misconfigured with every unknown one."""
    rows = {row.name: row for row in table()}
    problems: list[str] = []
    found = {name: Given(row, row.default, DEFAULT) for name, row in rows.items()}
    path = environment.get(CONFIG, "")
    lines = read_file(Path(path), frozenset(name for name, row in rows.items() if row.secret)) if path else ()
    for line in lines:
        if (row := rows.get(line.key)) is None:
            problems.append(
                f"{line.where}: {line.shown} is not a setting of Gatehouse{_nearest(line.key, rows)}"
            )
            continue
        # A file's paths are seen from the file, so that it means the same wherever the program is started from.
        seen = (
            str(Path(path).parent / line.text)
            if row.is_path and line.text[:1] not in ("", "~")
            else line.text
        )
        found[line.key] = Given(row, seen, line.where)
    for variable, value in environment.items():
        name = variable.removeprefix(PREFIX)
        if not variable.startswith(PREFIX) or variable == CONFIG or name in NOT_OURS:
            continue
        # In capitals only: two spellings could stand there beside each other, and one of them would win unseen.
        row = rows.get(name.lower()) if name == name.upper() else None
        if row is None:
            near = _nearest(name, [*rows, "config"], lambda key: PREFIX + key.upper())
            problems.append(f"{variable} is not a setting of Gatehouse{near}")
            continue
        found[row.name] = Given(row, value, row.variable)
    if problems:
        raise Misconfigured(*problems)
    return tuple(found.values())


def read(environment: Mapping[str, str]) -> Settings:
    """Gives the settings, from the environment and the file that it names.

    Raises Misconfigured with every unknown or malformed one, and where it stands; never repeats its value.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for row, text, origin in given(environment):
        if origin == DEFAULT and row.name in ("home", "policies"):
            continue
        try:
            values[row.name] = row.read(text)
        except (ValueError, KeyError) as error:
            reason = error.args[0] if isinstance(error, _Unfit) else "it cannot be read"
            where = row.variable if origin == row.variable else f"{origin}: {row.name}"
            problems.append(f"{where}: {reason}. {row.effect}")
    if not problems:
        try:
            values.setdefault("home", _home(environment))
        except ValueError as error:
            problems.append(f"{PREFIX}HOME: {error}. Set it")
    if problems:
        raise Misconfigured(*problems)
    values.setdefault("policies", shipped("policies"))
    return Settings(**values)


def _home(environment: Mapping[str, str]) -> Path:
    """Gives the home folder that nobody named. One place for a user, whatever folder he calls a command from."""
    if not installed():
        return ROOT / "var"
    base = environment.get("XDG_STATE_HOME", "")
    # What is not absolute is to be ignored (XDG Base Directory Specification, "Basics").
    return (Path(base) if base.startswith("/") else _path("~/.local/state")) / "gatehouse"


def _nearest(name: str, known: Mapping[str, Row] | list[str], spelt: Callable[[str], str] = str) -> str:
    near = difflib.get_close_matches(name.lower().removeprefix(PREFIX.lower()), known, n=1)
    return f"; did you mean {spelt(near[0])}?" if near else ""
